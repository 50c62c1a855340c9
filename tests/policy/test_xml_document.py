"""read_xml gives what the same document in YAML gives, with the place of everything, and drops nothing."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Json
from mcpgov.policy.attributes import Flag, Items, Steps, Templated, Templates, Text, Texts, WholeNumber
from mcpgov.policy.element import Element
from mcpgov.policy.place import Attribute, Loadable, Place
from mcpgov.policy.xml_document import read_xml
from mcpgov.yaml_source import parse_yaml


@dataclass(frozen=True, slots=True)
class Declared:
    """A class of elements, as far as it is asked here."""

    name: str
    attributes: tuple[Attribute[object], ...]
    sections: tuple[str, ...] = ("inbound",)

    def load(self, place: Place) -> Element:
        raise AssertionError(place)


RANGE = Items("range", "", "range", (Text("from", ""),))
WHEN = Items("when", "", "when", (Text("condition", ""), Steps("do", "", required=True)))
ELEMENTS: Mapping[str, Loadable] = {
    element.name: element
    for element in (
        Declared("choose", (WHEN, Steps("otherwise", "", "otherwise/*"))),
        Declared("ip-filter", (Text("action", ""), Texts("addresses", "", "address"), RANGE)),
        Declared("set-header", (Text("name", ""), Text("action", "", "override"), Templates("value", "", "value"))),
        Declared("set-body", (Templated("body", "", xml="."), Flag("raw", "", default=False))),
        Declared(
            "trace", (Text("source", ""), Templated("message", "", "", "message"), Templated("note", "", "", "."))
        ),
        Declared("limit-concurrency", (WholeNumber("max-count", "", 1, 9), Steps("do", ""), Texts("tag", "", "tag"))),
        Declared(
            "cors",
            (
                Texts("origins", "", "allowed-origins/origin"),
                Texts("methods", "", "allowed-methods/method"),
                WholeNumber("max-age", "", 0, 9, 0, "allowed-methods/@preflight-result-max-age"),
                Templated("deep", "", "", "a/b/c"),
            ),
        ),
    )
}


def read(text: str) -> Json:
    """The value of a document."""
    return read_xml(text, "f.xml", ELEMENTS).value


def step(text: str) -> Json:
    """The value of the one element in `text`."""
    value = read(f"<inbound>{text}</inbound>")
    assert isinstance(value, dict)
    assert isinstance(value["inbound"], list)
    return value["inbound"][0]


def refused(text: str) -> list[str]:
    """What is said of a document."""
    with pytest.raises(InvalidConfiguration) as raised:
        read(text)
    return [str(problem) for problem in raised.value.problems]


# -- the same value as YAML --------------------------------------------------------------------------------------------

XML = """\
<policies>
  <inbound>
    <base />
    <ip-filter action="allow">
      <address> 10.0.0.0/24 </address> <!-- office -->
      <range from="10.1.0.1" />
      <address>20.50.123.45</address>
    </ip-filter>
    <choose>
      <when condition="@(a && b < "c")">
        <set-header name="x"><value>1</value><value /></set-header>
        <limit-concurrency max-count="3" />
      </when>
      <when condition="true" />
      <otherwise>
        <set-body raw="true">
          @{ return "x"; }
        </set-body>
      </otherwise>
    </choose>
    <limit-concurrency max-count="2"><tag>t</tag><trace source="s"><message>m</message></trace></limit-concurrency>
    <cors>
      <allowed-origins><origin>*</origin></allowed-origins>
      <allowed-methods preflight-result-max-age="5"><method>GET</method><method>PUT</method></allowed-methods>
      <a><b><c>d</c></b></a>
    </cors>
  </inbound>
  <outbound />
</policies>
"""
YAML = """\
inbound:
  - base: {}
  - ip-filter: { action: allow, addresses: [10.0.0.0/24, 20.50.123.45], range: [{ from: 10.1.0.1 }] }
  - choose:
      when:
        - condition: '@(a && b < "c")'
          do:
            - set-header: { name: x, value: ["1", ""] }
            - limit-concurrency: { max-count: "3", do: [] }
        - { condition: "true", do: [] }
      otherwise:
        - set-body: { raw: "true", body: '@{ return "x"; }' }
  - limit-concurrency: { max-count: "2", tag: [t], do: [{ trace: { source: s, message: m } }] }
  - cors: { origins: ["*"], max-age: "5", methods: [GET, PUT], deep: d }
outbound: []
"""


def paths(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of each value in `value`."""
    yield path
    if isinstance(value, dict | list):
        for key, inside in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(inside, (*path, key))


def test_xml_reads_to_the_value_that_yaml_does() -> None:
    assert read(XML) == parse_yaml(YAML, "f.yaml").value


def test_every_value_and_key_has_a_place() -> None:
    source = read_xml(XML, "f.xml", ELEMENTS)
    every = list(paths(source.value))
    assert set(every) == set(source.values)
    assert {path for path in every if path and isinstance(path[-1], str)} == set(source.keys)


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ((), "", "1:1 <policies>"),
        (("inbound",), "2:3 <inbound>", "2:3 <inbound>"),
        (("outbound",), "28:3 <outbound />", "28:3 <outbound />"),
        (("inbound", 1), "", "4:5 <ip-filter"),
        (("inbound", 1, "ip-filter"), "4:5 <ip-filter", "4:5 <ip-filter"),
        (("inbound", 1, "ip-filter", "action"), "4:16 action", "4:24 allow"),
        (("inbound", 1, "ip-filter", "addresses"), "5:7 <address>", "5:7 <address>"),
        (("inbound", 1, "ip-filter", "addresses", 0), "", "5:17 10.0.0.0/24"),
        (("inbound", 1, "ip-filter", "range", 0), "", "6:7 <range"),
        (("inbound", 1, "ip-filter", "range", 0, "from"), "6:14 from", "6:20 10.1.0.1"),
        (("inbound", 2, "choose", "when", 1), "", "14:7 <when"),
        (("inbound", 2, "choose", "when", 1, "do"), "14:7 <when", "14:7 <when"),
        (("inbound", 2, "choose", "otherwise"), "15:7 <otherwise>", "15:7 <otherwise>"),
        (("inbound", 2, "choose", "otherwise", 0, "set-body", "body"), "16:9 <set-body", "17:11 @{ return"),
        (("inbound", 3, "limit-concurrency", "do", 0, "trace", "message"), "21:68 <message>", "21:77 m"),
        (("inbound", 4, "cors", "max-age"), "24:24 preflight", "24:50 5"),
    ],
)
def test_place_is_where_it_stands(path: tuple[str | int, ...], key: str, value: str) -> None:
    source = read_xml(XML, "f.xml", ELEMENTS)
    lines = XML.splitlines()
    places = [(source.values[path], value), *([(source.keys[path], key)] if key else [])]
    for (line, column), expected in places:
        position, _, begin = expected.partition(" ")
        assert (f"{line}:{column}", lines[line - 1][column - 1 :][: len(begin)]) == (position, begin)


def test_bare_section_sections_and_a_fragment_stand_under_their_names() -> None:
    base: Json = [{"base": {}}]
    assert read("<inbound><base/></inbound>") == {"inbound": base}
    assert read("<inbound><base/></inbound><on-error/>") == {"inbound": base, "on-error": []}
    assert step("<base id='b'/>") == {"base": {"id": "b"}}
    assert read("<fragment><set-body>x</set-body></fragment>") == {"fragment": [{"set-body": {"body": "x"}}]}
    assert read("<policies mode='report'/>") == {"mode": "report"}


def test_text_that_is_needed_is_there_even_if_empty() -> None:
    assert step("<set-body/>") == {"set-body": {"body": ""}}
    assert step("<trace> </trace>") == {"trace": {}}
    assert step("<trace><message/> n </trace>") == {"trace": {"message": "", "note": "n"}}


# -- nothing is dropped ------------------------------------------------------------------------------------------------


STRAYS: list[tuple[str, Json]] = [
    ("<set-heder name='x'><value>y</value></set-heder>", {"set-heder": {}}),
    ("<set-header nam='x'/>", {"set-header": {"nam": "x"}}),
    ("<set-header id='x'/>", {"set-header": {"id": "x"}}),
    ("<set-header><id/></set-header>", {"set-header": {"<id>": {}}}),
    ("<set-header> x <set-body/></set-header>", {"set-header": {"(text)": "x", "set-body": {}}}),
    ("<set-header value='x'/>", {"set-header": {"@value": "x"}}),
    ("<set-header><name>x</name></set-header>", {"set-header": {"<name>": {}}}),
    (
        "<set-header><value a='b'>x<c/></value></set-header>",
        {"set-header": {"value": ["x"], "value/@a": "b", "value/<c>": {}}},
    ),
    (
        "<ip-filter><range to='x' id='i'>y</range></ip-filter>",
        {"ip-filter": {"range": [{"to": "x", "id": "i", "(text)": "y"}]}},
    ),
    (
        "<choose><otherwise id='i'>x</otherwise></choose>",
        {"choose": {"otherwise/@id": "i", "otherwise/(text)": "x", "otherwise": []}},
    ),
    ("<choose><when do='x'>y</when></choose>", {"choose": {"when": [{"@do": "x", "(text)": "y", "do": []}]}}),
    ("<cors><allowed-origins><method>x</method></allowed-origins></cors>", {"cors": {"allowed-origins/<method>": {}}}),
    ("<cors><a><b><c d='e'/></b></a></cors>", {"cors": {"deep": "", "a/b/c/@d": "e"}}),
    ("<trace><message a='b'/></trace>", {"trace": {"message": "", "message/@a": "b"}}),
]


@pytest.mark.parametrize(("text", "expected"), STRAYS)
def test_what_no_attribute_claims_stays_under_a_name_that_none_has(text: str, expected: Json) -> None:
    assert step(text) == expected


OUTSIDE: list[tuple[str, Json]] = [
    ("<foo><inbound/></foo>", {"foo": {}}),
    ("<policies a='b'>x<foo/><inbound/></policies>", {"a": "b", "(text)": "x", "foo": {}, "inbound": []}),
    (
        "<policies inbound='b' fragment='c'><fragment/></policies>",
        {"@inbound": "b", "@fragment": "c", "<fragment>": {}},
    ),
]


@pytest.mark.parametrize(("text", "expected"), OUTSIDE)
def test_what_is_no_section_stays_under_a_name_that_none_has(text: str, expected: Json) -> None:
    assert read(text) == expected


TWICE = "stands here a second time (keep one of them)"
TEXT = "(remove it, or put it in a comment <!-- … -->)"
NOT_HELD = [
    ("<inbound a='b'/>", "1:10: <inbound> has no attribute a (remove it)"),
    ("<inbound id='b'/>", "1:10: <inbound> has no attribute id (remove it)"),
    ("<fragment a='b'/>", "1:11: <fragment> has no attribute a (remove it)"),
    ("<inbound>\n x</inbound>", f"2:2: text stands in <inbound> {TEXT}"),
    ("<inbound><base a='b'/></inbound>", "1:16: <base> has no attribute a (remove it)"),
    ("<inbound><base>x</base></inbound>", f"1:16: text stands in <base> {TEXT}"),
    ("<inbound><base><trace/></base></inbound>", "1:16: nothing may stand inside <base> (move it out)"),
    ("<inbound/><inbound/>", f"1:11: <inbound> {TWICE}"),
    ("<inbound><choose><otherwise/><otherwise/></choose></inbound>", f"1:30: <otherwise> {TWICE}"),
    ("<inbound><trace><message/><message/></trace></inbound>", f"1:27: <message> {TWICE}"),
    ("<inbound", "1:1: the tag <inbound> is not closed (add >)"),
]


@pytest.mark.parametrize(("text", "said"), NOT_HELD)
def test_what_no_mapping_can_hold_is_refused(text: str, said: str) -> None:
    assert refused(text) == [f"f.xml:{said}"]


def test_what_is_refused_is_told_together() -> None:
    assert len(refused("<policies><inbound a='b'>x<base>y</base></inbound><inbound/></policies>")) == 4


@dataclass(slots=True)
class Tree:
    """An element that can be changed."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    children: list[Tree] = field(default_factory=list["Tree"])
    text: str = ""

    def written(self) -> str:
        attributes = "".join(f' {name}="{html.escape(value)}"' for name, value in self.attributes.items())
        inside = html.escape(self.text) + "".join(child.written() for child in self.children)
        return f"<{self.name}{attributes}>{inside}</{self.name}>"

    def walk(self) -> Iterator[Tree]:
        yield self
        for child in self.children:
            yield from child.walk()


WORDS = sorted({*re.findall(r"[<\s]([a-z-]+)(?=[\s=/>])", XML), "id", "do", "addresses", "origins", "max-age", "mode"})
TOKEN = re.compile(r"t\d+")


def made(chance: random.Random) -> Tree:
    """A document in which each value is there only once, with up to three things changed at random."""
    numbers = iter(range(1000))
    every = [Tree("set-header", {"name": "", "action": ""}, [Tree("value", text="x")]), Tree("set-body", text="x")]
    every += [Tree("ip-filter", {"action": ""}, [Tree("address", text="x"), Tree("range", {"from": ""})])]
    every += [Tree("choose", {}, [Tree("when", {"condition": ""}, [every[0]]), Tree("otherwise", {}, [every[1]])])]
    methods = Tree("allowed-methods", {"preflight-result-max-age": ""}, [Tree("method", text="x")])
    every += [
        Tree("cors", {}, [methods]),
        Tree("trace", {"source": ""}, [Tree("message", text="x")], "x"),
        Tree("base"),
    ]
    document = Tree("policies", {}, [Tree("inbound", {}, every[2:]), Tree("on-error")])
    for _ in range(chance.randint(0, 3)):
        tree, word = chance.choice(list(document.walk())), chance.choice(WORDS)
        match chance.randrange(5):
            case 0:
                tree.attributes[word] = ""
            case 1:
                tree.children.append(Tree(word, {}, [], chance.choice(["", "x"])))
            case 2:
                tree.text = "x"
            case 3:
                tree.children += tree.children[:1]
            case _:
                tree.name = word
    for tree in {id(tree): tree for tree in document.walk()}.values():
        tree.attributes = {name: f"t{next(numbers)}" for name in tree.attributes}
        tree.text = f"t{next(numbers)}" if tree.text else ""
    return document


def is_accepted(value: Json, attributes: tuple[Attribute[object], ...]) -> bool:
    """Whether the loader finds nothing in a mapping that it does not know."""
    assert isinstance(value, dict)
    known = {attribute.name: attribute for attribute in attributes}
    for key, inside in value.items():
        items = inside if isinstance(inside, list) else []
        attribute = known.get(key)
        if key != "id" and attribute is None:
            return False
        if isinstance(attribute, Steps) and not steps_are_accepted(items):
            return False
        if isinstance(attribute, Items) and not all(is_accepted(item, attribute.fields) for item in items):
            return False
    return True


def steps_are_accepted(steps: list[Json]) -> bool:
    """Whether the loader knows each of these elements."""
    for one in steps:
        assert isinstance(one, dict)
        ((name, inside),) = one.items()
        if name != "base" and not (name in ELEMENTS and is_accepted(inside, ELEMENTS[name].attributes)):
            return False
    return True


def test_what_is_accepted_has_lost_nothing() -> None:
    chance = random.Random(3)
    accepted = 0
    for _ in range(4000):
        text = made(chance).written()
        try:
            value = read(text)
        except InvalidConfiguration:
            continue
        assert isinstance(value, dict)
        sections = [steps for steps in value.values() if isinstance(steps, list)]
        mode = value.get("mode", "")
        known = isinstance(mode, str) and value.keys() <= {"inbound", "on-error", "mode"}
        if known and all(map(steps_are_accepted, sections)):
            accepted += 1
            assert set(TOKEN.findall(text)) == set(TOKEN.findall(str(value))), text
    assert 1000 < accepted < 3500
