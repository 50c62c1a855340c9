"""What people read is what was measured."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import profile
from benchmarks.report import (
    PAGE,
    README,
    compared,
    cost_plot,
    grown,
    growth_plot,
    marked,
    profiled,
    read,
    shown,
    summary,
    written,
)
from benchmarks.svg import Axis, Bar, bars, even_steps, powers_of_ten

RESULT: dict[str, Any] = {
    "taken": "2026-11-22T05:00:00+00:00",
    "machine": {"cpu": "X", "cores": 2, "kernel": "6.1", "placement": "proxy on core 0", "busy": False},
    "versions": {"mcpgov": "abc", "python": "3.11.7", "nginx": "1.22.1"},
    "size": {"rounds": 2, "seconds": 3},
    "targets": {
        "direct": {"c16_cpu_us": 6.0},
        "mcpgov": {"c16_cpu_us": 58.4, "c16_calls_per_s": 13_456.7, "added_p50_ms": 0.5, "rss_idle_mib": 61.2},
        "mcpgov os-cache": {"c16_cpu_us": 50.0},
        "nginx": {"c16_cpu_us": 14.6, "c16_calls_per_s": 45_000.0},
    },
    "ratios": {"nginx": {"mcpgov": {"c16_cpu_us": 4.0}, "nginx": {"c16_cpu_us": 1.0}}},
    "left_out": {"litellm": "DidNotStartError: no wheel"},
}
GROWN: dict[str, Any] = {
    **{key: RESULT[key] for key in ("taken", "machine", "versions", "size")},
    "pairs": {
        "tools": {"small": 10, "large": 1000, "small_cpu_us": 60.0, "large_cpu_us": 63.0, "ratio": 1.05, "flat": True}
    },
}


def test_readme_has_mcpgov_beside_what_is_not_mcpgov_the_dearest_last() -> None:
    assert summary(RESULT).splitlines()[:4] == [
        "|  | CPU µs a call | of nginx | calls/s on a core | added ms, p50 | p99 | RSS MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| nginx 1.22.1 | 15 | 1.0x | 45,000 |  |  |  |",
        "| **mcpgov** | 58 | 4.0x | 13,457 | 0.50 |  | 61 |",
    ]


def test_figures_of_a_busy_machine_say_so_first() -> None:
    busy = {**RESULT, "machine": {**RESULT["machine"], "busy": True}}
    assert "busy" in summary(busy)
    assert "busy" not in summary(RESULT)


def test_the_page_has_every_target_every_version_and_what_was_not_taken() -> None:
    text = compared(RESULT)
    assert "| mcpgov os-cache |" in text
    assert "nginx 1.22.1" in text
    assert "- not taken: litellm: `DidNotStartError: no wheel`" in text


def test_what_grows_is_told_with_its_verdict() -> None:
    assert "| tools | 10 | 1,000 | 60 | 63 | 1.05 | flat |" in grown(GROWN)


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    text = "a\n<!-- cost -->\nold\n<!-- end of cost -->\nb\n"
    assert marked(text, "cost", "new\n") == "a\n<!-- cost -->\nnew\n<!-- end of cost -->\nb\n"
    with pytest.raises(ValueError, match="no markers for growth"):
        marked(text, "growth", "")


@pytest.mark.parametrize("drawn", [cost_plot(RESULT), growth_plot(GROWN)])
def test_a_plot_is_whole_and_within_its_picture(drawn: str) -> None:
    size = re.search(r'viewBox="0 0 (\d+) (\d+)"', drawn)
    assert size
    boxes = re.findall(r'<rect class="\w+" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', drawn)
    assert boxes
    for x, y, width, height in (map(float, box) for box in boxes):
        assert 0 < x + width <= float(size[1])
        assert 0 < y + height <= float(size[2])
    assert drawn.endswith("</svg>\n")


def test_our_bar_is_told_apart_and_text_is_escaped() -> None:
    drawn = bars("a < b", [Bar("x&y", 1, "1 µs", ours=True), Bar("z", 2, "2 µs")], even_steps([2], 1), 1.5)
    assert "a &lt; b" in drawn
    assert "x&amp;y" in drawn
    assert (drawn.count('class="ours"'), drawn.count('class="bar"'), drawn.count('class="bound"')) == (1, 1, 1)


def test_an_axis_has_room_for_every_value() -> None:
    assert powers_of_ten([14, 3200]) == Axis(10, 10_000, (10, 100, 1000, 10_000), logarithmic=True)
    assert powers_of_ten([14, 15]).marks == (10, 100)
    assert even_steps([1.3], 0.25).high == 1.5
    logarithmic = powers_of_ten([10, 1000])
    assert logarithmic.across(100) * 2 == pytest.approx(logarithmic.across(10) + logarithmic.across(1000))


def test_a_line_of_the_profile_stands_in_its_table_as_code() -> None:
    line = profile.Line(0.25, "f", "mcpgov/a.py", 3, "x = y | z", "stays: it is the flush")
    assert profiled([line]).splitlines()[2] == (
        "| `mcpgov/a.py:3` | 25.0% | f | `x = y \\| z` | stays: it is the flush |"
    )
    assert shown("", 3) == ""


def table_in(page: Path, name: str) -> str:
    found = re.search(
        rf"^<!-- {name} -->\n(.*?)^<!-- end of {name} -->", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found, name
    return found[1]


def test_what_stands_on_the_pages_is_what_is_in_the_results() -> None:
    for file, text in written().items():
        assert file.read_text("utf-8") == text, f"{file.name}: run python -m benchmarks.report"
    if (full := read("full")) is not None:
        assert table_in(README, "cost") == summary(full)
        assert json.dumps(full["targets"]["mcpgov"]["c16_cpu_us"])
    assert table_in(PAGE, "growth") == (grown(one) if (one := read("growth")) is not None else "")
