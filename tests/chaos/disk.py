"""The disk that the table lies on: a small one of its own where this user may mount one, else the usual one.

On its own disk a full disk is real, for workers and for the commit alike. Elsewhere, and for a read-only one, opening
the files of a table fails in our own processes (fake/sitecustomize.py), which leaves out what delta-rs writes.
"""

import errno
import os
import subprocess
from pathlib import Path

_SIZE = "48m"


class Disk:
    """A folder, and the filler that makes it full; `real` where it is mounted."""

    def __init__(self, folder: Path, switches: Path, *, real: bool) -> None:
        self.folder, self.real = folder, real
        self._switch = switches / "disk"
        self._filler = folder / ".filler"

    def fill(self) -> None:
        """Leave no room."""
        if not self.real:
            self._switch.write_text(str(errno.ENOSPC))
            return
        with self._filler.open("wb", buffering=0) as file:
            for step in (1 << 20, 4096):
                while _written(file.fileno(), step):
                    pass

    def forbid(self) -> None:
        """Let nothing be written."""
        self._switch.write_text(str(errno.EROFS))

    def allow(self) -> None:
        """Room again, and leave to write."""
        self._switch.unlink(missing_ok=True)
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is mounted any more."""
        if self.real:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def disk_at(world: Path) -> Disk:
    """The disk of a chaos run."""
    folder = world / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "vecmill-chaos", str(folder)]
    real = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    return Disk(folder, world / "switches", real=real)


def _written(descriptor: int, size: int) -> bool:
    try:
        return os.write(descriptor, b"\0" * size) > 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
