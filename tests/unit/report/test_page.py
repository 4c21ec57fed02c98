"""The page says what was found, shows texts as texts, and asks nothing of the network."""

import base64
import hashlib
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from producer import records
from producer.report import tell
from producer.report.write import render
from producer.table import commit, list_parts
from producer.table.compact import compact
from producer.table.upkeep import vacuum
from schemas.run import SourceOptions
from schemas.store import Ranges
from tests.unit.parts import DIMS, a_payload, a_record, a_spec, encode, write_job

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onmouseover='alert(1)'",
    "</title></style></svg><b>&lt;&amp;</b>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "line\u2028break\u0000 \u202ereversed",
    "-->]]>",
]


class Page(HTMLParser):
    """What a browser would make of it: elements with their attributes, and all that can be read."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.said, self.scripts, self._in = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._in.append(tag)
        self.said += [value for name, value in attributes if name.startswith("data-")]

    def handle_endtag(self, tag):
        while self._in and self._in.pop() != tag:
            continue

    def handle_data(self, data):
        (self.scripts if self._in[-1:] == ["script"] else self.said).append(data)

    @property
    def tags(self):
        return {tag for tag, _ in self.elements}


def a_run(folder, texts, *, ids=None, spec=None, failed=(), kept=None, keep_text=True, **changes):
    """A committed run of one job per ten rows."""
    source = SourceOptions(paths=("corpus <b>.parquet",), keep_text=keep_text)
    record = a_record(folder / "t", rows=len(texts) + len(failed), source=source, spec=spec or a_spec(), **changes)
    ids = ids or [f"d{at}" for at in range(len(texts))]
    for job, first in enumerate(range(0, len(texts), 10)):
        some = slice(first, first + 10)
        columns = {name: pa.array(values[some]) for name, values in (kept or {}).items()}
        rows = a_payload(texts[some], ids=ids[some], kept=columns)
        if failed and first + 10 >= len(texts):
            bad = a_payload([None] * len(failed), ids=list(failed), problems=[f"no text: {name}" for name in failed])
            rows = pa.concat_tables([rows, bad])
        write_job(record, job, rows, first=first)
    records.save(record)
    commit(record, list_parts(record.table, record.run))
    return record


@pytest.fixture(autouse=True)
def _notes_stay_here(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_what_comes_from_a_corpus_is_text_and_nothing_else(tmp_path):
    spec = a_spec(model="<i>model</i>", prompt="<u>query:</u> ", warnings=("<s>careful</s>",))
    record = a_run(tmp_path, [f"text {text}" for text in HOSTILE], ids=HOSTILE, spec=spec)
    harmless = Page(render(tell(a_run(tmp_path / "other", list(map(str, range(len(HOSTILE))))))))
    page = Page(render(tell(record)))
    assert page.tags <= harmless.tags
    assert [len([one for one in found.elements if one[0] == "script"]) for found in (page, harmless)] == [1, 1]
    assert page.scripts == harmless.scripts
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert names <= {name for _, attributes in harmless.elements for name in attributes}
    said = "\n".join(page.said)
    for text in HOSTILE:
        assert text.replace("\u0000", "\ufffd") in said or text in said
    for text in ("<i>model</i>", "<u>query:</u>", "<s>careful</s>", "corpus <b>.parquet"):
        assert text in said


def test_failed_rows_are_escaped_too(tmp_path):
    record = a_run(tmp_path, ["a", "b"], failed=HOSTILE)
    page = Page(render(tell(record)))
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "img" not in page.tags
    assert "no text: </script><img src=x onerror=alert(1)>" in page.said


def test_only_its_own_script_may_run_and_nothing_is_fetched(tmp_path):
    text = render(tell(a_run(tmp_path, ["a", "b", "c"])))
    page = Page(text)
    (policy,) = (one["content"] for tag, one in page.elements if tag == "meta" and "http-equiv" in one)
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    asking = {"src", "href", "action", "srcset", "data", "poster", "xlink:href"}
    assert not [one for one in page.elements if asking & set(one[1])]
    assert not {"link", "iframe", "object", "embed", "form"} & page.tags
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_says_what_the_run_came_to(tmp_path):
    record = a_run(tmp_path, [f"t{at}" * (1 + at % 4) for at in range(25)], failed=["bad-1", "bad-2"])
    story = tell(record)
    assert (story.totals.rows, story.failed.total, story.committed.version) == (25, 2, 0)
    assert story.versions["pyarrow"] == pa.__version__
    said = " ".join(" ".join(Page(render(story)).said).split())
    for words in (
        "committed as version 0", "25 rows became vectors of 8 numbers with a/model",
        "2 rows have no vector: source (2)", "bad-1", "no text: bad-2", f"_errors/{record.run}/",
        record.spec.fingerprint, pa.__version__,
        "the vector is scaled to length 1", "25 of 25 rows, in the plane", "were longer than the model reads",
    ):  # fmt: skip
        assert words in said, words


def test_a_kept_column_colours_the_map(tmp_path):
    kept = {"lang": ["en", "de", None, "en"] * 5, "nr": [str(at) for at in range(20)]}
    page = Page(render(tell(a_run(tmp_path, [f"t{at}" for at in range(20)], kept=kept))))
    circles = [one for tag, one in page.elements if tag == "circle"]
    assert len(circles) == 20
    colours = {one["data-tip"].split("\n")[1].split(",")[0]: one["class"] for one in circles}
    assert set(colours) == {"en", "de", "(none)"}
    assert len(set(colours.values())) == 3


def test_texts_are_shown_only_where_the_table_holds_them(tmp_path):
    story = tell(a_run(tmp_path, ["a secret text", "another"], keep_text=False))
    assert "secret" not in render(story)
    assert "d0" in render(story)


@pytest.mark.parametrize("store", ["bfloat16", "int8", "uint8", "binary", "ubinary"])
def test_every_store_can_be_told_of(tmp_path, store):
    texts = [f"t{at}" for at in range(30)]
    ranges = Ranges.of(encode(texts)) if store.endswith("int8") else None
    story = tell(a_run(tmp_path, texts, store=store, ranges=ranges))
    assert story.sample.vectors.shape == (30, DIMS)
    # Each row is its own nearest, so the next one is less near.
    assert all(check.nearest[0].score <= 1 + 1e-6 for check in story.checks)
    assert len(story.checks) == 6
    assert "circle" in render(story)


def test_a_run_with_nothing_done_has_a_page(tmp_path):
    record = a_record(tmp_path / "t", rows=5)
    said = " ".join(Page(render(tell(record))).said)
    assert "not committed" in said
    assert "None so far" in said


def test_when_a_vacuum_took_the_parts_the_table_is_told_of(tmp_path):
    record = a_run(tmp_path, [f"t{at}" for at in range(30)])
    compact(record.table)
    vacuum(record.table, keep_days=0)
    story = tell(record)
    assert (story.own, story.lengths.rows, story.sample.looked_at) == (False, 30, 30)
    assert "No part of this run is there any more" in render(story)
