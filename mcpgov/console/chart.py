"""Charts as inline SVG: sizes are attributes and colours are classes, because the policy allows no style in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.audit.review import GIVEN_UP, OK, REFUSED, TROUBLE
from mcpgov.console.html import Markup, join, tag
from mcpgov.console.times import minute, short, span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcpgov.audit.review import Bar, Summary

    To = Callable[[str, str], str]  # the URL of a page that shows the calls from one time to another

WORDS: Final = {OK: "ok", TROUBLE: "went wrong", REFUSED: "denied", GIVEN_UP: "given up or open"}
ORDER: Final = (OK, GIVEN_UP, TROUBLE, REFUSED)  # from below
HEIGHT: Final = 120
UNIT: Final = 12  # the width of a bar with its gap
GAP: Final = 2


def histogram(summary: Summary, to: To) -> Markup:
    """The calls over time. Each bar leads to its own calls; the same stands in a table for whoever sees no bars."""
    most = nice(max((bar.total for bar in summary.bars), default=0))
    width = UNIT * len(summary.bars)
    drawn = tag(
        "svg",
        *(tag("line", x1=0, x2=width, y1=y, y2=y, class_="grid") for y in (0.5, HEIGHT / 2, HEIGHT - 0.5)),
        [drawn_bar(bar, number, most, to(*ends(bar, summary))) for number, bar in enumerate(summary.bars)],
        viewBox=f"0 0 {width} {HEIGHT}",
        preserveAspectRatio="none",
        role="group",
        aria_label="Calls over time; the table below has the numbers",
    )
    scale = tag(
        "div",
        tag("span", f"{most:,}"),
        tag("span", f"{most // 2:,}" if most % 2 == 0 else ""),
        tag("span", "0"),
        class_="scale",
        aria_hidden="true",
    )
    return tag("div", scale, tag("div", drawn, axis(summary), class_="plot"), class_="chart")


def drawn_bar(bar: Bar, number: int, most: int, href: str) -> Markup:
    """One bar, its parts one above the other. What is there is seen, however little it is."""
    parts: list[Markup] = []
    base = float(HEIGHT)
    for kind in ORDER:
        if calls := bar.counts.get(kind, 0):
            height = max(calls / most * HEIGHT, 1.5)
            base -= height
            size = {"x": number * UNIT + GAP / 2, "y": round(base, 2), "width": UNIT - GAP, "height": round(height, 2)}
            parts.append(tag("rect", class_=f"k-{kind}", **size))
    said = ", ".join(f"{bar.counts[kind]:,} {WORDS[kind]}" for kind in reversed(ORDER) if bar.counts.get(kind))
    area = tag("rect", x=number * UNIT, y=0, width=UNIT, height=HEIGHT, class_="area")
    title = tag("title", f"{minute(bar.at)}: {said or 'no calls'}")
    # Not in the order of the Tab key: seventy stops would be in everybody's way, and the table has the same links.
    return tag("a", title, area, *parts, href=href, tabindex="-1", aria_label=f"{minute(bar.at)}: {said or 'no calls'}")


def axis(summary: Summary) -> Markup:
    """A few times below the bars."""
    count = len(summary.bars)
    shown = [summary.bars[count * part // 4].at for part in range(4)] if count >= 4 else [summary.since]
    return tag(
        "div",
        [tag("span", minute(at)) for at in shown],
        tag("span", minute(summary.until)),
        class_="axis",
        aria_hidden="true",
    )


def bars_table(summary: Summary, to: To) -> Markup:
    """The bars that have calls, as a table."""
    heads = ("From (UTC)", *(WORDS[kind] for kind in ORDER))
    rows = [
        tag(
            "tr",
            tag("td", tag("a", minute(bar.at), href=to(*ends(bar, summary)))),
            [tag("td", f"{bar.counts.get(kind, 0):,}", class_="number") for kind in ORDER],
        )
        for bar in summary.bars
        if bar.total
    ]
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in heads]))
    return tag(
        "details",
        tag("summary", f"As a table, by {span(summary.step)}"),
        tag(
            "div",
            tag("table", head, tag("tbody", rows)),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label="Calls over time, as a table",
        ),
    )


def ends(bar: Bar, summary: Summary) -> tuple[str, str]:
    """From when to when a bar is, as a URL carries it."""
    return short(bar.at), short(bar.at + summary.step)


def legend() -> Markup:
    """What the colours mean."""
    return tag("ul", [tag("li", tag("i", class_=f"swatch k-{kind}"), WORDS[kind]) for kind in ORDER], class_="legend")


def share(part: int, of: int, denied: int = 0) -> Markup:
    """A bar behind a row of a list: how much of the most frequent it is, and how much of that was denied."""
    whole = 100 * part / of if of else 0
    refused = whole * denied / part if part else 0
    return tag(
        "svg",
        tag("rect", width=round(whole, 2), height=4, class_="k-share"),
        tag("rect", width=round(refused, 2), height=4, class_="k-denied"),
        viewBox="0 0 100 4",
        preserveAspectRatio="none",
        aria_hidden="true",
        class_="share",
    )


def timeline(parts: Sequence[tuple[str, str, float]], total: float) -> Markup:
    """Spans one behind the other: (class, name, length), on a line of `total`."""
    at, drawn = 0.0, list[Markup]()
    for kind, name, length in parts:
        width = max(100 * length / total, 0.4) if total else 0
        drawn.append(
            tag("rect", tag("title", name), x=round(at, 2), width=round(width, 2), height=10, class_=f"t-{kind}")
        )
        at += 100 * length / total if total else 0
    return tag(
        "svg", join(*drawn), viewBox="0 0 100 10", preserveAspectRatio="none", class_="timeline", aria_hidden="true"
    )


def nice(most: int) -> int:
    """The next round number."""
    size = 1
    while True:
        for step in (1, 2, 3, 4, 5, 6, 8):
            if most <= step * size:
                return step * size
        size *= 10
