"""Which run's rows a version has, and which version a run made, however many there are of both."""

from hypothesis import given
from hypothesis import strategies as st

from producer.table import commit, committed_version, committed_versions, list_parts
from producer.table.log import RUN_KEY, commits_of
from tests.unit.parts import a_record, write_run


def walked_back(by_version, version):
    """The definition: from a version back to the commit of a run, by way of what a restore went back to."""
    entry = by_version.get(version)
    if entry is None or RUN_KEY in entry:
        return entry
    restored = entry.get("operationParameters", {}).get("version")
    return walked_back(by_version, version - 1 if restored is None else int(restored))


@st.composite
def histories(draw):
    entries = []
    first = draw(st.integers(0, 3))
    for version in range(first, first + draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["run", "optimize", "restore"])) if version else "run"
        entry = {"version": version, "operation": kind.upper()}
        if kind == "run":
            entry[RUN_KEY] = f"run-{version}"
        if kind == "restore":
            entry["operationParameters"] = {"version": str(draw(st.integers(0, version - 1)))}
        entries.append(entry)
    return draw(st.permutations(entries))


@given(history=histories())
def test_a_version_has_the_rows_of_the_run_that_one_finds_going_back(history):
    by_version = {entry["version"]: entry for entry in history}
    assert commits_of(history) == {version: walked_back(by_version, version) for version in by_version}


def test_the_versions_of_many_runs_are_those_of_each(tmp_path):
    names = ["run-1", "run-2", "run-3"]
    for name in names[:2]:
        record = a_record(tmp_path, name, rows=20, mode="replace")
        write_run(record, [f"text {at}" for at in range(20)])
        commit(record, list_parts(record.table, record.run))
    assert committed_versions(str(tmp_path), names) == {"run-1": 0, "run-2": 1}
    assert [committed_version(str(tmp_path), name) for name in names] == [0, 1, None]
    assert committed_versions(str(tmp_path / "nowhere"), names) == {}
