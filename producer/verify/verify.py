"""All checks of a table's latest version. Knows which checks there are, not how they work."""

from collections.abc import Callable, Iterator

from producer.table.history import history
from producer.table.log import live_files, open_log
from producer.table.state import TableState, open_table, read_record
from producer.verify.compare import comparison
from producer.verify.duplicates import check_duplicates
from producer.verify.finding import Finding
from producer.verify.rows import check_file
from producer.verify.sample import Encode, check_sample
from schemas.errors import TableError
from schemas.footer import read_footer
from schemas.run import RunRecord
from schemas.spec import FINEST_FIRST
from schemas.store import Store


def verify(
    table: str, *, sample: int, encode: Encode | None, on_progress: Callable[[int, int], None] | None = None
) -> Iterator[Finding]:
    """Everything that is wrong with a table; `encode` makes vectors as the table's spec says, None compares none."""
    state = open_table(table)
    if state is None:
        raise TableError(f"there is no table at {table}: nothing was committed there yet")
    files = live_files(open_log(table), table)
    broken = set()
    for number, file in enumerate(files, start=1):
        for finding in check_file(file, state.spec, state.store):
            if finding.check == "file":
                broken.add(file)
            yield finding
        if on_progress:
            on_progress(number, len(files))
    whole = [file for file in files if file not in broken]
    yield from check_duplicates(whole)
    if encode is not None and sample:
        dtype = coarsest(state.store, _dtype(state, [file.path for file in whole]))
        compare = comparison(state.store, state.ranges, dtype)
        yield from check_sample(whole, sample, encode, records=_records(table, state), compare=compare)


def _records(table: str, state: TableState) -> list[RunRecord]:
    """The runs that the rows may be of, the latest first: back to the one that made the whole of a version."""
    runs = [state.run, *(one.run for one in history(table) if one.version <= state.version and one.run is not None)]
    found = []
    for run in dict.fromkeys(runs):
        record = read_record(table, run)
        if record is None:
            continue
        found.append(record)
        if record.step is None:
            break
    return found


def _dtype(state: TableState, paths: list[str]) -> str:
    """What the vectors were computed in; `auto` is decided by each worker, and its receipts say how."""
    footers = (read_footer(path) for path in paths)
    dtypes = {footer.receipt.dtype for footer in footers if footer is not None}
    return coarsest("float32", state.spec.dtype, *dtypes) if state.spec.dtype != "auto" or dtypes else "bfloat16"


def coarsest(store: Store, *dtypes: str) -> str:
    """What the numbers were rounded to most, computed or stored; codes are compared as such, whatever their store."""
    order = ["auto", *FINEST_FIRST]
    stored = store if store in ("float16", "bfloat16") else "float32"
    return max((dtype for dtype in (stored, *dtypes) if dtype in order), key=order.index)
