"""Bars as a picture: SVG that reads on light and on dark pages. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 720
LEFT: Final = 170
RIGHT: Final = 90
TOP: Final = 44
STEP: Final = 26
BAR: Final = 16
BOTTOM: Final = 30
STYLE: Final = """\
text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-size: 14px; fill: #1f2328 }
.grid { stroke: #d0d7de; stroke-width: 1 } .bar { fill: #8c959f } .ours { fill: #0969da } .value { fill: #1f2328 }
.bound { stroke: #bf8700; stroke-width: 1; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .title, .value { fill: #f0f6fc } .grid { stroke: #3d444d } .bar { fill: #656c76 }
  .ours { fill: #4493f8 } .bound { stroke: #d29922 }
}"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name, its value, the text at its end, and whether it is ours."""

    name: str
    value: float
    told: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """Where values stand: from `low` to `high`, in powers of ten or in even steps; `marks` are written below."""

    low: float
    high: float
    marks: tuple[float, ...]
    logarithmic: bool = False

    def across(self, value: float) -> float:
        """The place of a value, which lies within the axis or is moved to its end."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            part = math.log10(value / self.low) / math.log10(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return LEFT + part * (WIDTH - LEFT - RIGHT)


def powers_of_ten(values: Sequence[float]) -> Axis:
    """A logarithmic axis with room for all values."""
    first = math.floor(math.log10(min(values)))
    last = max(math.ceil(math.log10(max(values))), first + 1)
    return Axis(10.0**first, 10.0**last, tuple(10.0**power for power in range(first, last + 1)), logarithmic=True)


def even_steps(values: Sequence[float], step: float) -> Axis:
    """An axis from zero in even steps, with room for all values."""
    count = max(math.ceil(max(values) / step), 1)
    return Axis(0.0, count * step, tuple(step * number for number in range(count + 1)))


def bars(title: str, drawn: Sequence[Bar], axis: Axis, bound: float | None = None) -> str:
    """Bars from the left, one below the other; `bound` is a dashed line across them."""
    height = TOP + STEP * len(drawn) + BOTTOM
    floor = height - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="12" y="22">{escape(title)}</text>',
    ]
    for mark in axis.marks:
        at = axis.across(mark)
        parts.append(f'<path class="grid" d="M{at:.1f} {TOP - 8}V{floor}"/>')
        parts.append(f'<text x="{at:.1f}" y="{floor + 18}" text-anchor="middle">{mark:,.9g}</text>')
    for number, bar in enumerate(drawn):
        top, end = TOP + number * STEP, axis.across(bar.value)
        kind = "ours" if bar.ours else "bar"
        parts += [
            f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{max(end - LEFT, 1):.1f}" height="{BAR}" rx="2"/>',
            f'<text class="value" x="{end + 6:.1f}" y="{top + 12}">{escape(bar.told)}</text>',
        ]
    if bound is not None:
        parts.append(f'<path class="bound" d="M{axis.across(bound):.1f} {TOP - 8}V{floor}"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"
