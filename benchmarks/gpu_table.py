"""The rows of benchmarks/gpu.py as a table for people."""

from typing import Any


def table(rows: list[dict[str, Any]]) -> str:
    """For people; what failed says so in place of numbers."""
    names = ("model", "tokens a text", "tokens/s", "of", "from texts", "GPU busy", "host", "x ST default", "x ST best")
    lines = [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
    for row in rows:
        engine, texts = row.get("engine", {}), row.get("texts", {})
        cells = [
            row["model"], row.get("length", ""), row.get("failed") or _number(engine, "tokens_per_second"),
            _of(row), _number(texts, "tokens_per_second"), _share(row.get("busy_share")),
            _share(engine.get("host_share")), row.get("to_default", ""), row.get("to_best", ""),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _number(found: dict[str, Any], name: str) -> str:
    return f"{found[name]:,.0f}" if name in found else str(found.get("failed", ""))


def _of(row: dict[str, Any]) -> str:
    if "share_of_engine" in row:
        return f"{row['share_of_engine']:.1%} of the engine"
    return f"{row['share_of_ceiling']:.1%} of the ceiling" if "share_of_ceiling" in row else ""


def _share(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, float) else ""
