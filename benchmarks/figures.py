"""From what was measured to what is told: medians over rounds, ratios within one run, and their table. Pure."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.rounds import Sample

Figures = dict[str, float]
MICRO: Final = 1e6
MILLI: Final = 1e3
FLOOR: Final = "nginx"
OURS: Final = "mcpgov"
DIRECT: Final = "direct"


def at_concurrency(samples: Sequence[Sample], connections: int) -> Figures:
    """The medians over the rounds of one target at one concurrency; CPU in microseconds a call."""

    def middle(of: Callable[[Sample], float]) -> float:
        return statistics.median(of(sample) for sample in samples)

    return {
        f"c{connections}_cpu_us": middle(lambda each: each.cpu.total / each.load.calls) * MICRO,
        f"c{connections}_user_us": middle(lambda each: each.cpu.user / each.load.calls) * MICRO,
        f"c{connections}_calls_per_s": middle(lambda each: each.load.rate),
        f"c{connections}_p50_ms": middle(lambda each: each.load.p50_ms),
        f"c{connections}_p99_ms": middle(lambda each: each.load.p99_ms),
        f"c{connections}_errors": float(sum(each.load.errors for each in samples)),
        f"c{connections}_upstream_us": middle(lambda each: each.upstream.total / each.load.calls) * MICRO,
    }


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of all is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def latency(times: Sequence[float], direct: Sequence[float]) -> Figures:
    """The probe's percentiles in milliseconds, and what they have over the direct call's, if it was there."""
    found = {"probe_p50_ms": percentile(times, 0.5) * MILLI, "probe_p99_ms": percentile(times, 0.99) * MILLI}
    for part in (50, 99) if direct else ():
        added = found[f"probe_p{part}_ms"] - percentile(direct, part / 100) * MILLI
        found[f"added_p{part}_ms"] = added
    return found


def ratios(targets: Mapping[str, Figures], to: str) -> dict[str, Figures]:
    """CPU of every target as a multiple of one of them, for each figure of CPU that both have."""
    base = targets.get(to, {})
    return {
        name: {key: value / base[key] for key, value in figures.items() if key.endswith("_cpu_us") and base.get(key)}
        for name, figures in targets.items()
    }


COLUMNS: Final = (
    ("c1_cpu_us", "CPU µs c1", "{:.0f}"),
    ("c16_cpu_us", "c16", "{:.0f}"),
    ("c64_cpu_us", "c64", "{:.0f}"),
    ("to_floor", "/ nginx", "{:.1f}"),
    ("c16_calls_per_s", "calls/s", "{:,.0f}"),
    ("added_p50_ms", "+p50 ms", "{:.2f}"),
    ("added_p99_ms", "+p99 ms", "{:.2f}"),
    ("sse_cpu_us", "µs/event", "{:.2f}"),
    ("idle_kib", "KiB/stream", "{:.1f}"),
    ("rss_idle_mib", "RSS idle", "{:.0f}"),
    ("rss_after_mib", "after", "{:.0f}"),
    ("start_s", "start s", "{:.2f}"),
)


def cells(result: Mapping[str, Any]) -> list[list[str]]:
    """The table of a run: a row for each target, empty where a figure was not taken; columns without any left out."""
    floor = result["ratios"].get(FLOOR, {})
    rows: list[list[str]] = []
    for name, figures in result["targets"].items():
        whole = {**figures, "to_floor": floor.get(name, {}).get("c16_cpu_us")}
        rows.append(
            [name, *(form.format(value) if (value := whole.get(key)) is not None else "" for key, _, form in COLUMNS)]
        )
    heads = ["target", *(head for _, head, _ in COLUMNS)]
    kept = [at for at in range(len(heads)) if any(row[at] for row in rows)]
    return [[row[at] for at in kept] for row in [heads, *rows]]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Cells in columns, the first one to the left."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(line(row, widths) for row in rows)


def line(row: Sequence[str], widths: Sequence[int]) -> str:
    """One row."""
    return "  ".join(
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
    )


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Cells as a table of Markdown."""
    heads, *rest = rows
    return "\n".join(lined(row) for row in (heads, ["---", *["---:"] * (len(heads) - 1)], *rest)) + "\n"


def lined(row: Iterable[str]) -> str:
    """One row of Markdown."""
    return f"| {' | '.join(row)} |"
