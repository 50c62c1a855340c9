"""Writes what was measured where people read it: tables of README.md and docs/performance.md, plots in docs/images.

python -m benchmarks.report. It reads full.json, growth.json and profile.json of benchmarks/results; what is not there
is left as it stands. Only what stands between markers is touched.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import growth, profile
from benchmarks.figures import DIRECT, FLOOR, OURS, cells, markdown
from benchmarks.svg import Bar, bars, even_steps, powers_of_ten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Result = Mapping[str, Any]

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = Path(__file__).parent / "results"
PAGE: Final = ROOT / "docs" / "performance.md"
README: Final = ROOT / "README.md"
IMAGES: Final = ROOT / "docs" / "images"
# Targets that only differ from mcpgov in how it is set up: for the page, not for the README.
VARIANTS: Final = re.compile(r"mcpgov .+")
BUSY: Final = (
    "The machine was busy with something else: these figures show that it runs, and are to be taken again.\n\n"
)


def read(name: str) -> Result | None:
    """A result, if it was taken."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text("utf-8")) if file.exists() else None


def marked(text: str, name: str, block: str) -> str:
    """The text with what stands between the markers of this name replaced. Raises `ValueError` without them."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"no markers for {name}")
    return f"{before}{begin}{block}{end}{after}"


def taken(result: Result) -> str:
    """On what, when, and with which versions; a warning before it where the machine was busy."""
    on, size = result["machine"], result["size"]
    told = (
        f"Taken {result['taken'][:10]} on {on['cores']} cores of {on['cpu']}, kernel {on['kernel']}, Python "
        f"{result['versions']['python']}, mcpgov {result['versions']['mcpgov']}: {on['placement']}, medians of "
        f"alternating rounds of {size['seconds']:g} s ({size['rounds']}).\n"
    )
    return (BUSY if on["busy"] else "") + told


def summary(result: Result) -> str:
    """The README's table: mcpgov beside what is not mcpgov, the dearest last."""
    figures = {name: one for name, one in result["targets"].items() if not VARIANTS.fullmatch(name)}
    rows = [["", "CPU µs a call", "of nginx", "calls/s on a core", "added ms, p50", "p99", "RSS MiB"]]
    for name, one in sorted(figures.items(), key=lambda each: each[1].get("c16_cpu_us", 0)):
        if name != DIRECT and "c16_cpu_us" in one:
            rows.append([titled(result, name), *summary_cells(result, name, one)])
    return f"{markdown(rows)}\n{taken(result)}"


def titled(result: Result, name: str) -> str:
    """A target with its version; ours in bold, which has the commit below the table."""
    return f"**{name}**" if name == OURS else f"{name} {result['versions'].get(name, '')}".strip()


def summary_cells(result: Result, name: str, one: Mapping[str, float]) -> Iterator[str]:
    """The README's figures of one target."""
    ratio = result["ratios"].get(FLOOR, {}).get(name, {}).get("c16_cpu_us")
    values = (one["c16_cpu_us"], ratio, one.get("c16_calls_per_s"), one.get("added_p50_ms"), one.get("added_p99_ms"))
    forms = ("{:,.0f}", "{:,.1f}x", "{:,.0f}", "{:,.2f}", "{:,.2f}", "{:,.0f}")
    for form, value in zip(forms, (*values, one.get("rss_idle_mib")), strict=True):
        yield "" if value is None else form.format(value)


def compared(result: Result) -> str:
    """Every figure of every target, and what was left out with its reason."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if version)
    left_out = "".join(f"- not taken: {name}: `{why}`\n" for name, why in result["left_out"].items())
    return f"{markdown(cells(result))}\n{taken(result)}\nVersions: {versions}.\n" + (left_out and f"\n{left_out}")


def grown(result: Result) -> str:
    """The cost model."""
    return f"{markdown(growth.rows(result['pairs']))}\n{taken(result)}"


def profiled(lines: list[profile.Line]) -> str:
    """The dearest lines, and what was made of each."""
    heads, *rest = profile.rows(lines)
    return markdown([heads, *([shown(cell, at) for at, cell in enumerate(row)] for row in rest)])


def shown(cell: str, column: int) -> str:
    """A cell of the profile: its line and its source as code."""
    cell = cell.replace("|", "\\|")
    return f"`{cell}`" if cell and column in (0, 3) else cell


def cost_plot(result: Result) -> str:
    """CPU of a call by target, on a logarithmic axis."""
    key = "c16_cpu_us"
    figures = {n: one[key] for n, one in result["targets"].items() if key in one and not VARIANTS.fullmatch(n)}
    drawn = [
        Bar(name, value, f"{value:,.0f} µs", ours=name == OURS)
        for name, value in sorted(figures.items(), key=lambda each: each[1])
        if name != DIRECT
    ]
    return bars("CPU of one tools/call (µs, 16 at a time)", drawn, powers_of_ten([bar.value for bar in drawn]))


def growth_plot(result: Result) -> str:
    """Each ratio of the cost model, and the bound within which a call's cost is flat."""
    drawn = [
        Bar(f"{name} {one['small']:,} → {one['large']:,}", one["ratio"], f"{one['ratio']:.2f}", ours=True)
        for name, one in result["pairs"].items()
    ]
    axis = even_steps([1.25, *(bar.value for bar in drawn)], 0.25)
    return bars("CPU of a call when something grows (1 = unchanged)", drawn, axis, growth.FLAT)


def written() -> dict[Path, str]:
    """Every file that this writes, by its path."""
    full, grew, lines = read("full"), read("growth"), profile.kept()
    readme, page = README.read_text("utf-8"), PAGE.read_text("utf-8")
    files: dict[Path, str] = {}
    if full is not None:
        readme, page = marked(readme, "cost", summary(full)), marked(page, "full", compared(full))
        files[IMAGES / "cost.svg"] = cost_plot(full)
    if grew is not None:
        page = marked(page, "growth", grown(grew))
        files[IMAGES / "growth.svg"] = growth_plot(grew)
    if lines:
        page = marked(page, "profile", profiled(lines))
    return {README: readme, PAGE: page, **files}


def main() -> None:
    """Write them."""
    for file, text in written().items():
        file.write_text(text, "utf-8")
        print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
