"""Why a table is made anew, in words: never silent where the fingerprint differs, never a word where it does not."""

from hypothesis import given
from hypothesis import strategies as st

from producer.table import spec_changes
from schemas.spec import Module
from tests.unit.parts import a_spec

KINDS = st.sampled_from(["Transformer", "Pooling", "Dense", "own_file.Head"])
CONFIGS = st.dictionaries(st.sampled_from(["modes", "in.features", "args"]), st.sampled_from([1, "a", ["a", "b"], {}]))
MODULES = st.lists(st.builds(Module, kind=KINDS, config=CONFIGS, path=st.sampled_from(["", "1"])), max_size=3)
SPECS = st.builds(
    lambda **values: a_spec(**values),
    modules=MODULES.map(tuple),
    prompt=st.sampled_from(["", "query: "]),
    content=st.sampled_from(["files:one", "two"]),
    model=st.sampled_from(["a", "b"]),
    max_tokens=st.sampled_from([None, 8]),
)


@given(old=SPECS, new=SPECS)
def test_it_speaks_exactly_where_the_fingerprints_differ(old, new):
    assert bool(spec_changes(old, new)) == (old.fingerprint != new.fingerprint)
    assert spec_changes(old, old) == []


def test_two_models_are_told_by_name_and_by_what_they_do():
    mean, cls = (Module(kind="Pooling", path="1_Pooling", config={"modes": [mode]}) for mode in ("mean", "cls"))
    first = Module(kind="Transformer")
    old = a_spec(model="all-MiniLM", content="files:0011223344556677", modules=(first, mean, Module(kind="Normalize")))
    new = a_spec(model="BAAI/bge", content="aabbccddeeff00112233", modules=(first, cls), max_tokens=512, dims=384)
    assert spec_changes(old, new) == [
        "model: 'all-MiniLM' in the table, 'BAAI/bge' in the run",
        "files of the model: '001122334455' in the table, 'aabbccddeeff' in the run",
        "modules: 'Transformer, Pooling, Normalize' in the table, 'Transformer, Pooling' in the run",
        "max_tokens: None in the table, 512 in the run",
        "dims: 8 in the table, 384 in the run",
        "Pooling.modes: 'mean' in the table, 'cls' in the run",
    ]


def test_a_model_that_only_moved_is_the_same():
    assert spec_changes(a_spec(model="/old/place"), a_spec(model="/new/place")) == []
