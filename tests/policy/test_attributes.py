"""An attribute always gives something of the right type, notes where it had to make it up, and describes itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from mcpgov.errors import ExpressionError
from mcpgov.policy.attributes import (
    Choice,
    Flag,
    Items,
    Key,
    Number,
    Steps,
    Templated,
    Templates,
    Text,
    Texts,
    Value,
    When,
    WholeNumber,
    mapping_schema,
)
from mcpgov.policy.dialects import Xml, Yaml
from mcpgov.policy.draft import Draft
from mcpgov.policy.expression import NO_REFERENCES, Template
from mcpgov.policy.place import Place, Reading
from mcpgov.policy.registry import ELEMENTS
from mcpgov.yaml_source import parse_yaml
from tests.policy.calls import context

if TYPE_CHECKING:
    from mcpgov.policy.place import Attribute


def place(text: str, *, xml: bool = False) -> Place:
    source = parse_yaml(text, "f.yaml")
    dialect = Xml(NO_REFERENCES) if xml else Yaml(NO_REFERENCES)
    return Place(source, (), source.value, dialect, Reading(ELEMENTS), "inbound", "f#")


def noted(here: Place) -> list[str]:
    return [str(problem).removeprefix("f.yaml:") for problem in here.reading.problems]


def draft() -> Draft:
    return Draft(context())


T = Text("t", "a text")
C = Choice("c", "a word", ("a", "b"))
F = Flag("f", "a flag", default=True)
W = WholeNumber("w", "a number", 1, 5)
N = Number("n", "a number", 1, 5)
B = When("b", "a condition")
K = Key("k", "a key")
M = Templated("m", "a text")
V = Value("v", "a value")
L = Texts("l", "texts", "l")
S = Templates("s", "texts", "s")
ITEMS = Items("i", "mappings", "i", (T,))
E = Steps("e", "elements")
EVERY: tuple[Attribute[Any], ...] = (T, C, F, W, N, B, K, M, V, L, S, ITEMS, E)
FULL = """\
t: text
c: b
f: false
w: 5
n: "${{ 2 + 2 }}"
b: principal.id == "key:k1"
k: principal.id
m: "by ${{ principal.name }}"
v: "${{ [1, 2] }}"
l: [x, y]
s: [x, "${{ principal.id }}"]
i: [{ t: one }, { t: two }]
e: [set-header: { name: a, exists-action: delete }]
"""


def test_values_are_read_with_their_types() -> None:
    here = place(FULL)
    here.only(EVERY)
    assert (T.read(here), C.read(here), F.read(here), W.read(here)) == ("text", "b", False, 5)
    assert N.read(here).value(draft()) == 4
    assert B.read(here).holds(draft())
    assert (K.read(here).value(draft()), M.read(here).value(draft())) == ("key:k1", "by first")
    assert V.read(here).value(draft()) == [1, 2]
    assert [text for _, text in L.read(here)] == ["x", "y"]
    assert [one.value(draft()) for one in S.read(here)] == ["x", "key:k1"]
    assert [T.read(item) for item in ITEMS.read(here)] == ["one", "two"]
    assert [step.rule for step in E.read(here)] == ["f#1 set-header"]
    assert noted(here) == []


def test_in_xml_every_value_is_text() -> None:
    here = place("f: FALSE\nw: ' 5 '\nn: '4'\nb: 'true'\nk: literal\nv: text\n", xml=True)
    assert (F.read(here), W.read(here), N.read(here).value(draft())) == (False, 5, 4)
    assert B.read(here).holds(draft())
    assert (K.read(here).value(draft()), V.read(here).value(draft())) == ("literal", "text")
    assert noted(here) == []
    wrong = place("f: maybe\nw: five\nn: '99999999999999999999'\nb: perhaps\n", xml=True)
    assert (F.read(wrong), W.read(wrong), N.read(wrong).value(draft()), B.read(wrong).holds(draft())) == (
        True,
        1,
        1,
        False,
    )
    assert [message.partition(": ")[2][:20] for message in noted(wrong)] == [
        "f must be true or fa",
        "w must be a whole nu",
        "n must be a whole nu",
        "b: this is neither t",
    ]


@pytest.mark.parametrize("attribute", [T, C, W, N, B, K, M, V], ids=lambda attribute: attribute.name)
def test_missing_value_is_noted_where_it_would_stand(attribute: Attribute[object]) -> None:
    here = place("other: 1")
    attribute.read(here)
    assert attribute.is_required
    assert noted(here) == [f"1:1: {attribute.name} is missing (add {attribute.name}:)"]


@pytest.mark.parametrize("attribute", [one for one in EVERY if one is not ITEMS], ids=lambda attribute: attribute.name)
def test_wrong_value_is_noted_where_it_stands(attribute: Attribute[object]) -> None:
    here = place(f"{attribute.name}: {{}}")
    attribute.read(here)
    assert len(noted(here)) == 1


def test_absent_values_have_their_defaults() -> None:
    here = place("other: 1")
    key = Template(("all",))
    assert Text("t", "", "x").read(here) == "x"
    assert Choice("c", "", ("a", "b"), "b").read(here) == "b"
    assert WholeNumber("w", "", 1, 5, 3).read(here) == 3
    assert Number("n", "", 1, 5, 3).read(here).value(draft()) == 3
    assert When("b", "", default=True).read(here).holds(draft())
    assert Key("k", "", key).read(here) is key
    assert Templated("m", "", "x").read(here).value(draft()) == "x"
    assert Templated("m", "", "").read(here).value(draft()) == ""
    assert (L.read(here), S.read(here), ITEMS.read(here), E.read(here), F.read(here)) == ((), (), (), (), True)
    assert noted(here) == []


def test_lists_that_must_be_there_are_noted() -> None:
    here = place("other: 1")
    for attribute in (Texts("l", "", "l", True), Templates("s", "", "s", True), Items("i", "", "i", (), True)):
        attribute.read(here)
    Steps("e", "", required=True).read(here)
    assert noted(here) == [
        *("1:1: l is missing (add l:)", "1:1: s is missing (add s:)", "1:1: i is missing (add i:)"),
        "1:1: e is missing (add e: [ … ]; [] to do nothing)",
    ]


def test_empty_text_is_no_text_except_in_a_template() -> None:
    here = place("t: ''\nm: ''\nb: ''\nk: ''\n")
    assert (T.read(here), M.read(here).value(draft()), B.read(here).holds(draft())) == ("", "", False)
    assert K.read(here).value(draft()) == ""
    assert len(noted(here)) == 3


def test_constants_stand_for_conditions_and_values() -> None:
    here = place("b: true\nv: 7\n")
    assert B.read(here).holds(draft())
    assert V.read(here).value(draft()) == 7


def test_expression_that_cannot_be_compiled_is_noted_with_its_key() -> None:
    here = place("b: 1 +\nk: 1 +\nm: '${{ 1 + }}'\nn: '${{ 1 + }}'\nv: '${{ 1 + }}'\ns: ['${{']\n")
    for attribute in (B, K, M, N, V, S):
        attribute.read(here)
    assert [message.partition(": ")[2].partition(":")[0] for message in noted(here)] == ["b", "k", "m", "n", "v", "s"]


def test_one_mapping_is_a_list_of_one() -> None:
    here = place("i: { t: one }")
    assert [T.read(item) for item in ITEMS.read(here)] == ["one"]


def test_item_that_is_no_mapping_is_noted_and_left_out() -> None:
    here = place("i: [5, { x: 1, t: a }]\nl: [5]\ns: [5]\n")
    assert (len(ITEMS.read(here)), L.read(here)) == (1, ())
    assert S.read(here)[0].value(draft()) == ""
    assert [message[:4] for message in noted(here)] == ["1:5:", "1:10", "2:5:", "3:5:"]


def test_number_that_turns_out_beyond_its_bounds_is_an_error() -> None:
    for text in ("n: '${{ 2 + 4 }}'", "n: '${{ size(principal.id) * 100 }}'"):
        with pytest.raises(ExpressionError):
            N.read(place(text)).value(draft())


def test_schema_of_attributes_admits_what_they_read_and_nothing_else() -> None:
    schema = {**mapping_schema(EVERY), "$defs": {"step": {"type": "object"}}}
    valid = jsonschema_rs.validator_for(schema)
    full = parse_yaml(FULL, "f.yaml").value
    assert isinstance(full, dict)
    assert valid.is_valid(full)
    for name in EVERY:
        assert not valid.is_valid({**full, name.name: {"no": 1}})
    assert not valid.is_valid({**full, "more": 1})
    assert not valid.is_valid({key: value for key, value in full.items() if key != "t"})
