"""The runs as a table of medians, and the table in RESULTS.md."""

import statistics
from pathlib import Path
from typing import Any

from benchmarks.peers.contenders import BASELINE, PEERS, Peer
from benchmarks.peers.corpora import CORPORA
from benchmarks.peers.runs import clock_of

Record = dict[str, Any]
#: Which field of a record a clock is, and what to call it.
_FIELDS = {"cpu": "cpu_seconds", "wall": "seconds"}
_SECONDS = {"cpu": "CPU second of all processes", "wall": "second"}
#: Multiply and add, of all weights of the linear layers of all-MiniLM-L6-v2; attention's own products come on top.
FLOP_PER_TOKEN = 2 * 6 * (4 * 384 * 384 + 2 * 384 * 1536)
_HEAD = (
    "| | computes in | texts/s | with start | times | with start | of peak | cosine: mean, least | same nearest |"
    " memory | start | wall | batch | runs |\n| --- " + "| ---: " * 13 + "|"
)
_LEGEND = (
    "texts/s are per {seconds}, without start and with it; times: that time of"
    f" {BASELINE} divided by this, again without start and with it. Start is a run of one text, by the same clock; wall"
    " is the whole command. Of peak: products of the linear layers alone, against the most of that precision. Cosine"
    f" and which are the ten nearest, against {BASELINE} in float32. Memory: all processes together, at most."
)


def table(records: list[Record]) -> str:
    """Markdown: the machine, and for each corpus a line for each peer."""
    facts, peak = records[-1], _peaks(records)
    cpu = f"{facts['cpu']} {facts['cpu_family_model']} ({', '.join(facts['flags'])})"
    most = ", ".join(f"{name} {value:.0f}" for name, value in peak.items())
    lines = [
        f"`python -m benchmarks.peers`, {facts['date']}, commit {facts['commit']}: {cpu}, {facts['used_cores']} of"
        f" {facts['cores']} cores. What that multiplies at most, in GFLOP/s: {most}.",
        "",
        _LEGEND.format(seconds=_SECONDS[clock_of(facts["used_cores"])]),
    ]
    for name in CORPORA:
        if any(record["kind"] == "full" and record["corpus"] == name for record in records):
            lines += ["", *_of_corpus(name, records, peak)]
    return "\n".join(lines)


def put(said: str, path: Path, cores: int = 1) -> None:
    """Replace what the last time on so many cores put between its marks, or put it at the end of the file."""
    name = "benchmarks.peers" if cores == 1 else f"benchmarks.peers --cores {cores}"
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = path.read_text() if path.exists() else ""
    if begin not in text:
        text = f"{text.rstrip()}\n\n## Peers, {cores} of the cores\n\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    path.write_text(f"{before}{begin}\n\n{said}\n\n{end}{rest.partition(end)[2]}")


def _of_corpus(name: str, records: list[Record], peak: dict[str, float]) -> list[str]:
    medians = {peer.name: found for peer in PEERS if (found := figures(peer, name, records)) is not None}
    tokens = next((found["tokens"] for found in medians.values() if found["tokens"]), 0)
    texts = next(iter(medians.values()))["texts"]
    lines = [f"**{name}**: {texts:,} texts, {tokens:,} tokens.", "", _HEAD]
    for peer in PEERS:
        if peer.name in medians:
            found = medians[peer.name]
            share = share_of_peak(found, tokens, peak.get(found["dtype"], 0.0))
            lines.append(_line(peer.name, found, medians.get(BASELINE, {}), share))
    failed = {one["peer"]: one["why"] for one in records if one["kind"] == "failed" and one["corpus"] == name}
    return lines + [f"\n* {peer} did not run: {why}" for peer, why in failed.items()]


def figures(peer: Peer, corpus: str, records: list[Record]) -> Record | None:
    """Medians of a peer's runs; seconds without start are those of all texts less those of one."""
    runs = [
        record for record in records
        if record["kind"] == "full" and (record["peer"], record["corpus"]) == (peer.name, corpus)
    ]  # fmt: skip
    starts = [record for record in records if record["kind"] == "start" and record["peer"] == peer.name]
    if not runs or not starts:
        return None
    cores = runs[0]["used_cores"]
    clock = _FIELDS[clock_of(cores)]
    start, whole = (statistics.median(run[clock] for run in some) for some in (starts, runs))
    return {
        "texts": runs[0]["texts"], "tokens": runs[0].get("tokens", 0), "runs": len(runs),
        "whole": whole, "start": start,
        "wall": statistics.median(run["seconds"] for run in runs),
        "steady": max(whole - start, 1e-9), "batch_size": runs[-1].get("batch_size", ""),
        "peak_bytes": max(run["peak_bytes"] for run in runs), "dtype": runs[0].get("dtype", peer.precision),
        **{key: runs[-1].get(key) for key in ("cosine_mean", "cosine_least", "same_nearest")},
    }  # fmt: skip


def share_of_peak(found: Record, tokens: int, gflops: float) -> float:
    """How much of what the cores multiply at most a peer made use of; 0 where that is not known."""
    return tokens * FLOP_PER_TOKEN / found["steady"] / gflops / 1e9 if gflops else 0.0


def _line(name: str, found: Record, baseline: Record, share: float) -> str:
    kinds = ("steady", "whole")
    per_second = [f"{found['texts'] / found[kind]:.1f}" for kind in kinds]
    times = [f"{baseline[kind] / found[kind]:.2f}" if baseline else "" for kind in kinds]
    near = ["", ""]
    if found["cosine_mean"] is not None:
        near = [f"{found['cosine_mean']:.4f}, {found['cosine_least']:.4f}", f"{found['same_nearest']:.3f}"]
    rest = [f"{found['peak_bytes'] / 2**20:.0f} MiB", f"{found['start']:.1f} s", f"{found['wall']:.0f} s"]
    cells = [name, found["dtype"], *per_second, *times, f"{share:.2f}", *near, *rest]
    return f"| {' | '.join([*cells, str(found['batch_size']), str(found['runs'])])} |"


def _peaks(records: list[Record]) -> dict[str, float]:
    found = [record["gflops"] for record in records if record["kind"] == "peak"]
    return {name: statistics.median(one[name] for one in found) for name in found[0]} if found else {}
