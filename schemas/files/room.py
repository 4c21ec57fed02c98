"""What to say where a disk does not do what it is asked."""

import errno

from schemas.errors import VecmillError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def about_disk(error: OSError) -> VecmillError:
    """The error that a person meets, from one of the operating system."""
    if error.errno in _FULL:
        return VecmillError(
            f"no room is left on {f'the disk of {error.filename}' if error.filename else 'a disk'}",
            way_out="make room (df -h; TMPDIR names where temporary files go), then: vecmill resume TABLE",
        )
    if error.errno in _FORBIDDEN:
        return VecmillError(f"not allowed: {error}", way_out="change the permissions, or choose another folder")
    return VecmillError(f"the system refuses: {error}", way_out="vecmill doctor looks at what a run needs")
