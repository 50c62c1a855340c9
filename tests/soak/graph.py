"""A soak as a picture: memory over calls, in SVG that reads on light and on dark pages. Pure."""

from collections.abc import Sequence
from typing import Final

from tests.soak.calls import MIB, Plan, Point

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 44
STYLE: Final = """\
text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-size: 14px; fill: #1f2328 }
.grid { stroke: #d0d7de; stroke-width: 1 } .rss { fill: none; stroke: #0969da; stroke-width: 2 }
.settled { stroke: #bf8700; stroke-width: 1; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .title { fill: #f0f6fc } .grid { stroke: #3d444d } .rss { stroke: #4493f8 }
  .settled { stroke: #d29922 }
}"""


def graph(points: Sequence[Point], plan: Plan) -> str:
    """The resident memory of the gateway at every point, from zero up."""
    most_calls = points[-1].calls
    step = 20 if max(point.taken.rss for point in points) < 200 * MIB else 50
    top = step * -(-max(point.taken.rss for point in points) // (step * MIB))

    def across(calls: float) -> float:
        return LEFT + calls / most_calls * (WIDTH - LEFT - RIGHT)

    def down(mib: float) -> float:
        return HEIGHT - BOTTOM - mib / top * (HEIGHT - TOP - BOTTOM)

    line = " ".join(f"{across(point.calls):.1f},{down(point.taken.rss / MIB):.1f}" for point in points)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>Memory of the gateway over {most_calls:,} calls</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="22">Resident memory (MiB) over {most_calls:,} calls</text>',
    ]
    for mib in range(0, top + 1, step):
        drawn.append(f'<path class="grid" d="M{LEFT} {down(mib):.1f}H{WIDTH - RIGHT}"/>')
        drawn.append(f'<text x="{LEFT - 8}" y="{down(mib) + 4:.1f}" text-anchor="end">{mib}</text>')
    for part in range(5):
        calls = most_calls * part // 4
        anchor = "end" if part == 4 else "middle"
        drawn.append(
            f'<text x="{across(calls):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="{anchor}">{calls:,}</text>'
        )
    settled = across(plan.settled)
    drawn += [
        f'<path class="settled" d="M{settled:.1f} {TOP}V{HEIGHT - BOTTOM}"/>',
        f'<text x="{settled + 6:.1f}" y="{HEIGHT - BOTTOM - 8}">from here on growth counts</text>',
        f'<polyline class="rss" points="{line}"/>',
        "</svg>",
    ]
    return "\n".join(drawn) + "\n"
