"""What a worker's own settings allow, whatever a run asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.embedded.cluster import LocalCluster
from producer.embedded.machine import Crew
from schemas.errors import UsageError
from schemas.transport import as_list, listed
from tests.unit.parts import a_record, a_spec
from worker.settings import Refused, WorkerSettings


def settings(tmp_path, **changes):
    return WorkerSettings(**{"broker_url": "redis://x", "allow_roots": (str(tmp_path / "data"),), **changes})


def test_a_table_below_an_allowed_root_is_allowed(tmp_path):
    settings(tmp_path).check(a_record(tmp_path / "data" / "deep" / "table"))


@pytest.mark.parametrize("table", ["elsewhere/t", "data/../elsewhere/t", "database/t"])
def test_a_table_outside_is_refused_with_the_way_out(tmp_path, table):
    with pytest.raises(Refused, match="--allow-root"):
        settings(tmp_path).check(a_record(f"{tmp_path}/{table}"))


def test_a_link_out_of_the_root_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path)
    with pytest.raises(Refused):
        settings(tmp_path).check(a_record(tmp_path / "data" / "link" / "t"))


@pytest.mark.parametrize(
    ("patterns", "allowed"), [(("*",), True), (("a/*",), True), (("BAAI/*", "a/model"), True), (("BAAI/*",), False)]
)
def test_models_by_glob(tmp_path, patterns, allowed):
    record = a_record(tmp_path / "data" / "t", spec=a_spec(model="a/model"))
    one = settings(tmp_path, allow_models=patterns)
    if allowed:
        one.check(record)
    else:
        with pytest.raises(Refused, match="a/model"):
            one.check(record)


@pytest.mark.parametrize(("base", "allowed"), [("/models/base", True), ("/secret/base", False), (None, True)])
def test_the_base_of_an_adapter_must_be_allowed_too(tmp_path, base, allowed):
    record = a_record(tmp_path / "data" / "t", spec=a_spec(model="/models/adapter", base=base))
    one = settings(tmp_path, allow_models=("/models/*",))
    if allowed:
        one.check(record)
    else:
        with pytest.raises(Refused, match="/secret/base"):
            one.check(record)


@pytest.mark.parametrize("name", ["/models/../secret", "/models/a/../../secret"])
@pytest.mark.parametrize("field", ["model", "base"])
def test_no_path_leads_out_of_a_pattern(tmp_path, name, field):
    record = a_record(tmp_path / "data" / "t", spec=a_spec(**{"model": "/models/a", field: name}))
    with pytest.raises(Refused, match="may not load"):
        settings(tmp_path, allow_models=("/models/*",)).check(record)


def test_code_of_a_model_runs_only_where_the_worker_trusts_it(tmp_path):
    record = a_record(tmp_path / "data" / "t", spec=a_spec(trust_remote_code=True))
    with pytest.raises(Refused, match="--trust-remote-code"):
        settings(tmp_path).check(record)
    settings(tmp_path, trust_remote_code=True).check(record)


def test_the_environment_is_read_and_its_absence_is_told(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    read = WorkerSettings.from_env(
        {"VECMILL_BROKER_URL": "redis://h", "VECMILL_ALLOW_MODELS": "a/*,b", "VECMILL_THREADS": "3"}
    )
    assert (read.allow_models, read.allow_roots, read.threads) == (("a/*", "b"), (str(tmp_path),), 3)
    assert not read.trust_remote_code
    with pytest.raises(UsageError, match="VECMILL_BROKER_URL"):
        WorkerSettings.from_env({})


@pytest.mark.parametrize("path", ["../../secret", "/etc", "a/../../b"])
def test_no_path_below_a_model_leads_out_of_its_folder(tmp_path, path):
    module = a_spec().modules[0]
    table = tmp_path / "data" / "t"
    for changes in (
        {"revision": path},
        {"modules": (module.model_copy(update={"path": path}),)},
        {"modules": (module.model_copy(update={"config": {"model_kwargs": {"subfolder": path}}}),)},
    ):
        with pytest.raises(Refused, match="leads out of"):
            settings(tmp_path).check(a_record(table, spec=a_spec(**changes)))


def test_a_table_with_a_nul_is_refused(tmp_path):
    with pytest.raises(Refused, match="no place for a table"):
        settings(tmp_path).check(a_record(f"{tmp_path}/data/\0t"))


@given(st.lists(st.text(min_size=1)))
def test_names_of_any_letters_reach_a_worker_as_they_are(names):
    assert listed(as_list(names)) == tuple(names)


@pytest.mark.parametrize("name", ["a,b", "[ab]", "a*b", "?", '["a"]', "a[!b]"])
def test_an_embedded_run_allows_its_own_model_and_table_and_no_other(tmp_path, name):
    record = a_record(tmp_path / name, spec=a_spec(model=f"/models/{name}", base=f"/bases/{name}"))
    cluster = LocalCluster(record, crew=Crew(1, 1), device="cpu")
    try:
        own = WorkerSettings.from_env(cluster._worker_settings())
    finally:
        cluster.stop()
    own.check(record)
    for other in ({"model": "/models/a"}, {"model": "/models/axb"}, {"base": "/bases/b"}):
        with pytest.raises(Refused):
            own.check(record.model_copy(update={"spec": record.spec.model_copy(update=other)}))
    with pytest.raises(Refused):
        own.check(record.model_copy(update={"table": str(tmp_path / "a")}))


def test_a_list_that_is_none_is_told(tmp_path):
    with pytest.raises(UsageError, match="VECMILL_ALLOW_ROOTS begins as a JSON list"):
        WorkerSettings.from_env({"VECMILL_BROKER_URL": "redis://h", "VECMILL_ALLOW_ROOTS": '["a", 1'})
