"""Vecmill against its peers: which embeds the same texts in the least time, and how near its vectors are.

    python -m benchmarks.peers --rounds 3 --report benchmarks/RESULTS.md
    python -m benchmarks.peers --rounds 3 --report benchmarks/RESULTS.md --cores 2 --scale 4

On one core CPU time is compared, which other work disturbs less; on several, how long it takes.

Each peer runs in an environment of its own, made under --cache, and as a process of its own; peers take turns, so that
what disturbs the machine disturbs all of them. Of each there is a run of one text, which is start and end (the first is
thrown away), and runs of all texts. Every run is a line in --runs; runs of one commit and one day add up. What does not
install is told, and left out.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.peers.contenders import BASELINE, PEERS, Peer
from benchmarks.peers.corpora import CORPORA, write_corpus
from benchmarks.peers.environments import Unavailable
from benchmarks.peers.report import put, table
from benchmarks.peers.runs import Bench, Setting
from benchmarks.products import peaks
from benchmarks.throughput import model_folder


@dataclass(frozen=True)
class Records:
    """The file of runs: a JSON object a line, each with what all of them share."""

    path: Path
    facts: dict[str, Any]

    def add(self, **what: Any) -> None:
        """One line more, which is shown as well."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            print(json.dumps(what | self.facts), file=file)
        shown = {key: round(value, 3) if isinstance(value, float) else value for key, value in what.items()}
        print(json.dumps(shown), file=sys.stderr)

    def all(self) -> list[dict[str, Any]]:
        """What was found so far."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def that(self, **what: Any) -> list[dict[str, Any]]:
        """The records that say all this."""
        return [record for record in self.all() if what.items() <= record.items()]


def main() -> None:
    options = _options()
    machine.last_cores(options.cores)
    facts = machine.facts() | {"used_cores": options.cores, "scale": options.scale}
    name = f"runs-{facts['date']}-{facts['commit']}-{options.cores}-{options.scale}.jsonl"
    records = Records(options.runs or options.cache / name, facts)
    benches = list(_benches(options))
    for _ in range(options.rounds):
        records.add(kind="peak", gflops=peaks())
        for bench in benches:
            turn = len(records.that(kind="full", peer=BASELINE, corpus=bench.name))
            for peer in in_turn(options.peers, turn):
                one(bench, peer, records)
    said = table(records.all())
    print(said)
    if options.report:
        put(said, options.report, options.cores)


def in_turn(names: list[str], turn: int) -> list[Peer]:
    """The peers in their order, every other turn backwards; the baseline first, since all are compared with it."""
    chosen = [peer for peer in PEERS if not names or peer.name in names]
    order = chosen[::-1] if turn % 2 else chosen
    return sorted(order, key=lambda peer: peer.name != BASELINE)


def one(bench: Bench, peer: Peer, records: Records) -> None:
    """A run of all texts; before it one of a single text, once for all corpora, and the search of a batch size."""
    who, what = {"peer": peer.name}, {"peer": peer.name, "corpus": bench.name}
    if records.that(kind="failed", **what):
        return
    try:
        size = batch_size(bench, peer, records)
        starts = len(records.that(kind="start", **who))
        if not starts:
            bench.run(peer, size, limit=1)  # what is compiled, exported or read once a machine is no part of a start
        if starts <= len(records.that(kind="full", **what)):
            records.add(kind="start", **who, **bench.run(peer, size, limit=1))
        records.add(kind="full", **what, **size, texts=bench.texts, **bench.run(peer, size))
    except Unavailable as why:
        records.add(kind="failed", **what, why=str(why))


def batch_size(bench: Bench, peer: Peer, records: Records) -> dict[str, Any]:
    """The best one; a pool's processes take that of the same program alone. Nothing for Vecmill, which needs none."""
    if not peer.adapter:
        return {}
    what = {"kind": "tuned", "peer": BASELINE if peer.pool else peer.name, "corpus": bench.name}
    if not records.that(**what):
        records.add(**what, **bench.tune(next(one for one in PEERS if one.name == what["peer"])))
    return {"batch_size": records.that(**what)[0]["batch_size"]}


def _benches(options: argparse.Namespace) -> Iterator[Bench]:
    model, folder = model_folder(), options.cache / f"corpora-{options.scale}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.parquet" for name in CORPORA}
    texts = {name: write_corpus(path, name, model, options.scale) for name, path in paths.items()}
    setting = Setting(model, options.cache, options.cores, options.limit_seconds, paths["docstrings"])
    for name in options.corpora:
        yield Bench(setting, name, paths[name], texts[name])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="turns of every peer; medians count (default 3)")
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=list(CORPORA))
    parser.add_argument("--peers", nargs="+", default=[], choices=[peer.name for peer in PEERS], metavar="NAME")
    parser.add_argument("--cores", type=int, default=1, help="cores that all of it runs on (default 1)")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the texts (default 1)")
    parser.add_argument("--cache", type=Path, default=Path("build") / "peers", help="environments, exports, runs")
    parser.add_argument("--runs", type=Path, help="the file of runs (default: of this day and commit, in the cache)")
    parser.add_argument("--limit-seconds", type=float, default=900.0, help="of one run (default 900)")
    parser.add_argument("--report", type=Path, help="a Markdown file whose table is replaced, or put at its end")
    options = parser.parse_args()
    options.cache = options.cache.resolve()
    return options


if __name__ == "__main__":
    main()
