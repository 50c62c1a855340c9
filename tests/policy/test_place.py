"""A Place always gives something of the right type, and notes where it had to make it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.policy.document import ELEMENTS
from mcpgov.policy.place import NOT_YET, Place
from mcpgov.yaml_source import parse_yaml
from tests.policy.calls import context, problems

if TYPE_CHECKING:
    from mcpgov.errors import Problem


def place(text: str) -> Place:
    source = parse_yaml(text, "f.yaml")
    noted: list[Problem] = []
    return Place(source, (), source.value, noted, ELEMENTS, "inbound", "f#")


def noted(place: Place) -> list[str]:
    return [str(problem).removeprefix("f.yaml:") for problem in place.problems]


def test_values_are_read_with_their_types() -> None:
    here = place("t: text\nn: 5\nf: true\nc: b\nl: [x, y]\ne: principal.id\nb: 'true'\n")
    assert (here.text("t"), here.whole_number("n", 1, 5), here.flag("f", default=False)) == ("text", 5, True)
    assert here.choice("c", ("a", "b")) == "b"
    assert [text for _, text in here.texts("l")] == ["x", "y"]
    assert here.expression("e").value(context()) == "key:k1"
    assert here.condition("b").holds(context())
    assert here.at("t").template().value(context()) == "text"
    assert noted(here) == []


def test_absent_values_have_their_defaults() -> None:
    here = place("other: 1")
    assert (here.text("t", "x"), here.flag("f", default=True), here.choice("c", ("a", "b"), "b")) == ("x", True, "b")
    assert (here.items("l"), here.texts("l"), here.steps("s")) == ((), (), ())
    assert here.expression("e", "principal.id").value(context()) == "key:k1"
    assert here.condition("b", "true").holds(context())
    assert noted(here) == []


def test_missing_values_are_noted_where_they_would_stand() -> None:
    here = place("other: 1")
    assert (here.text("t"), here.whole_number("n", 3, 5), here.choice("c", ("a",))) == ("", 3, "")
    assert here.expression("e").value(context()) == ""
    assert not here.condition("b").holds(context())
    assert noted(here) == [f"1:1: {key} is missing (add {key}:)" for key in "tnceb"]


def test_wrong_values_are_noted_where_they_stand() -> None:
    here = place("t: 5\nn: x\nf: x\nc: x\nl: x\ne: 1 +\nb: principal.id\ns: [1]\nz: ''\ny: true\n")
    assert (here.text("t", "d"), here.text("z"), here.whole_number("n", 1, 2), here.whole_number("y", 1, 2)) == (
        *("d", "", 1, 1),
    )
    assert (here.flag("f", default=True), here.choice("c", ("a", "b")), here.items("l")) == (True, "x", ())
    assert here.texts("s") == ()
    assert here.expression("e").value(context()) == ""
    assert not here.condition("b").holds(context())
    assert [message[:4] for message in noted(here)] == [
        *("1:4:", "9:4:", "2:4:", "10:4", "3:4:", "4:4:", "5:4:", "8:5:", "6:4:", "7:4:")
    ]


def test_place_that_is_no_mapping_is_noted_once() -> None:
    here = place("[1, 2]")
    here.only("a", "b")
    assert (here.text("a"), here.whole_number("b", 1, 2), here.items("c")) == ("", 1, ())
    assert noted(here) == ["1:1: must be a mapping (write { a: … })"]


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_element_of_a_later_version_is_refused_by_name(name: str) -> None:
    assert name not in ELEMENTS
    assert problems(f"inbound: [{name}: {{}}]") == [
        f"1:11: {name} is not supported yet (remove it; nothing else stands in for it)"
    ]


def test_unknown_element_is_told_the_nearest_name() -> None:
    assert problems("inbound: [ip-filtr: {}]") == [
        "1:11: there is no policy element ip-filtr (did you mean ip-filter?)"
    ]


@pytest.mark.parametrize("step", ["x", "5", "[]", "{}", "{ ip-filter: {}, set-header: {} }"])
def test_step_is_one_element(step: str) -> None:
    assert problems(f"inbound: [{step}]") == [
        "1:11: a step is one element (write - name: { … }, with one name to a step)"
    ]


def test_element_in_the_wrong_section_is_refused() -> None:
    assert problems("backend: [ip-filter: {}]") == ["1:11: ip-filter may not stand in backend (move it to inbound)"]
