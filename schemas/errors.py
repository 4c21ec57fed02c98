"""The errors a person meets.

VecmillError            something stopped the work; exit code 1
├── UsageError          the request cannot be met as it stands; exit code 2, nothing was enqueued
│   ├── SourceError     the corpus: a missing column, an unreadable file, duplicate ids
│   ├── ModelError      the model: unknown, incomplete, or of a kind that would give wrong vectors
│   └── TableError      the table: unwritable, made with other columns, of another fingerprint
├── BrokerError         Redis cannot be reached, refuses, or is set up in a way that loses jobs
├── PayloadError        what Redis holds as the rows of a job is none, or more than a worker takes
├── BucketError         an object store cannot be reached or refuses; what is in it stays as it is
│   └── BucketAway      it does not answer or fails: the same request may be carried out later
└── RunFailed           the run stopped before its commit; what is done is kept, and it can be resumed
    └── RunTaken        another process drives the run: nothing is wrong with it

Every message says what is wrong and where; `way_out` says what to type or change.
"""


class VecmillError(Exception):
    """What went wrong and where, with the way out kept apart so that a terminal can set it off."""

    exit_code = 1

    def __init__(self, message: str, *, way_out: str = "") -> None:
        super().__init__(message)
        self.way_out = way_out

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\n  -> {self.way_out}" if self.way_out else message


class UsageError(VecmillError):
    """The request cannot be met as it stands."""

    exit_code = 2


class SourceError(UsageError):
    """The corpus cannot be read as asked."""


class ModelError(UsageError):
    """The model is unknown, incomplete, or would give wrong vectors."""


class TableError(UsageError):
    """The table cannot take this run."""


class BrokerError(VecmillError):
    """Redis cannot be used."""


class PayloadError(VecmillError):
    """What Redis holds as the rows of a job cannot be used."""


class BucketError(VecmillError):
    """The object store cannot be used."""


class BucketAway(BucketError):
    """The object store cannot be used now, through no fault of the request."""


class RunFailed(VecmillError):
    """The run stopped before its commit."""


class RunTaken(RunFailed):
    """Another process drives the run."""
