"""Every text is escaped where it is put in; nothing that was put in is invisible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.console.html import Markup, join, link, tag, trusted, visible


def test_an_element_has_its_attributes_and_children() -> None:
    made = tag(
        "a", "A & B", tag("b", 1), None, ["x", tag("br")], href="/?a=1&b=2", class_="x", aria_label='"', hidden=False
    )
    assert str(made) == '<a href="/?a=1&amp;b=2" class="x" aria-label="&quot;">A &amp; B<b>1</b>x<br></a>'
    assert str(tag("input", required=True, value=None)) == "<input required>"
    assert str(tag("rect", x=1.5)) == '<rect x="1.5"/>'
    assert str(join("<", trusted("<hr>"))) == "&lt;<hr>"


@given(st.text())
def test_no_text_becomes_an_element(text: str) -> None:
    for made in (tag("p", text), tag("p", title=text)):
        inner = made.text.removeprefix("<p").removesuffix("</p>")
        assert inner.count("<") == 0
        assert inner.count(">") == 1
        assert inner.count('"') in {0, 2}


@pytest.mark.parametrize(
    ("text", "seen"),
    [("a\u202eb", r"a\u202eb"), ("\x1b[2J", r"\x1b[2J"), ("\u200b", r"\u200b"), ("a\nb", "a\nb"), ("é 漢", "é 漢")],
)
def test_what_is_invisible_is_written_out(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_a_link_leaves_out_what_is_empty() -> None:
    assert link("/console", a="1&2", b="", c=None) == "/console?a=1%262"
    assert link("/console") == "/console"
    assert isinstance(tag("p"), Markup)
