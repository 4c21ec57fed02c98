"""Where the table of a chaos run lies: on a disk that can be full, or in a bucket of a store that can be away."""

import os
from collections.abc import Mapping
from pathlib import Path

from schemas.files import names_in
from tests.chaos.disk import disk_at
from tests.integration.s3_server import S3Server


class Place:
    """`root` is what a worker is allowed, `env` what processes are started with."""

    def __init__(self, root: str, env: Mapping[str, str]) -> None:
        self.root, self.table, self.env = root, f"{root}/table", env

    def parts(self, run: str) -> int:
        """How many parts a run has; raises `BucketAway`."""
        names = names_in(f"{self.table}/{run}")
        return sum(name.startswith("part-") and name.endswith(".parquet") for name in names)

    def close(self) -> None:
        """Take it away."""
        raise NotImplementedError


class OnDisk(Place):
    """On a small disk of its own, where one can be mounted."""

    def __init__(self, world: Path) -> None:
        self.disk = disk_at(world)
        super().__init__(str(self.disk.folder), {})

    def close(self) -> None:
        self.disk.close()


class InBucket(Place):
    """In a bucket of an S3 of its own, which this process, too, finds in its environment."""

    def __init__(self, world: Path) -> None:
        (world / "store").mkdir()
        self.store = S3Server(world / "store")
        self._before = {name: os.environ.get(name) for name in self.store.env}
        os.environ.update(self.store.env)
        super().__init__(f"s3://{self.store.bucket}/tables", self.store.env)

    def close(self) -> None:
        self.store.stop()
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
