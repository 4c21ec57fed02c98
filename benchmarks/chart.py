"""docs/scaling.svg out of what `benchmarks.scaling` printed: jobs a second against workers, beside the ideal.

python -m benchmarks.scaling > build/scaling.json && python -m benchmarks.chart build/scaling.json docs/scaling.svg
"""

import json
import math
import sys
from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _TOP = 420, 260, 56, 16


def main(measured: str, chart: str) -> None:
    runs = json.loads(Path(measured).read_text().splitlines()[-1])["runs"]
    Path(chart).write_text(svg([(run["workers"], run["jobs_per_second"]) for run in runs]))


def svg(points: list[tuple[int, float]]) -> str:
    """Both axes are logarithmic; the dashed line is one job a second for each worker."""
    top = 2 ** math.ceil(math.log2(max(workers for workers, _ in points)))
    marks = [8**power for power in range(4) if 8**power <= top]

    def at(workers: float, rate: float) -> str:
        x, y = (math.log(max(value, 0.5) * 2) / math.log(top * 2) for value in (workers, rate))
        return f"{_LEFT + x * _WIDTH:.0f},{_TOP + (1 - y) * _HEIGHT:.0f}"

    def text(place: str, words: str, anchor: str) -> str:
        x, y = place.split(",")
        return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>'

    lines = [
        f'<polyline points="{at(1, 1)} {at(top, top)}" stroke="#999" stroke-dasharray="4"/>',
        f'<polyline points="{" ".join(at(*point) for point in points)}" stroke="#06c" stroke-width="2"/>',
        f'<polyline points="{at(0.5, top)} {at(0.5, 0.5)} {at(top, 0.5)}" stroke="#333"/>',
    ]
    words = [text(f"{_LEFT - 6},{at(1, mark).split(',')[1]}", str(mark), "end") for mark in marks]
    words += [text(f"{at(mark, 1).split(',')[0]},{_TOP + _HEIGHT + 16}", str(mark), "middle") for mark in marks]
    words += [text(f"{_LEFT + 8},{_TOP + 12}", "jobs a second, against workers (each a job a second at best)", "start")]
    size = f'viewBox="0 0 {_LEFT + _WIDTH + 16} {_TOP + _HEIGHT + 28}"'
    style = 'font-family="sans-serif" font-size="12" fill="#333"'
    body = "\n".join([f'<g fill="none">{"".join(lines)}</g>', f"<g {style}>{''.join(words)}</g>"])
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{paper}\n{body}\n</svg>\n'


if __name__ == "__main__":
    main(*sys.argv[1:])
