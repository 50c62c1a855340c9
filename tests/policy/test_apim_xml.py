"""parse_xml reads policy files as they are pasted, and names the line and column of everything it refuses."""

from __future__ import annotations

import html
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.errors import InvalidConfiguration
from mcpgov.policy.apim_xml import MAX_BYTES, MAX_PROBLEMS, Attribute, Node, parse_xml

DOCUMENTATION = Path(__file__).parents[3] / "shared" / "reference" / "foundry.md"
# What stands in expressions of real files: the closing bracket must be found behind all of it.
EXPRESSIONS = (
    "@(context.Request.IpAddress)",
    '@(a.Method == "GET" && b < 3 || c > d)',
    '@("a)" + b["c}"] + (d[0]))',
    r'@("\"" + "\\" + "\")" + x)',
    '@(@"C:\\" + @"say ""no)""" + x)',
    '@($"tokens-{a["key"]}-x")',
    '@($"{{literal)}}{a.B($"{c}")}")',
    '@($"{{{a}}}")',
    '@($@"\\{a["}"]}""(" + @$"{{(""{b}")',
    "@(a.Split(';')[0] + b.Split('\"')[1] + c.Split('(')[0])",
    r"@(a == '\'' || b == '\\')",
    "@(h.GetValueOrDefault('X-Region','us') == 'eu')",
    "@(a // the end? )\n + b)",
    '@(a /* ) " */ + b)',
    "@(\"https://x\" + 'http://y')",
    "@{ return x; }",
    "@{\n  // it isn't closed here: }\n  if (a && b << 2 > 1) { return \"</value>\"; }\n  return new[] { '}' };\n}",
    "@{ return @\"<html lang='en'>\n<style>a { b: c; }</style>\n</html>\"; }",
    "@(a.Where(x => (string)x[&quot;id&quot;] == &quot;)&quot;).Any())",
    r"@(&quot;\&quot;)&quot; + @&quot;&quot;&quot;)&quot; + $&quot;{a}(&quot; + &apos;)&apos;)",
    r'@(a.Replace("\"", "&quot;").Replace("&", "&amp;"))',
)


def refused(text: str) -> tuple[str, ...]:
    """What is said of `text`."""
    with pytest.raises(InvalidConfiguration) as raised:
        parse_xml(text, "f.xml")
    return tuple(str(problem) for problem in raised.value.problems)


def value(text: str) -> str:
    """The value of the one attribute of the one element in `text`."""
    (attribute,) = parse_xml(text, "f.xml").attributes
    return attribute.value


# -- what is read ------------------------------------------------------------------------------------------------------


def test_tree_has_the_place_of_everything_in_it() -> None:
    assert parse_xml("<a>\n  <b c=\"1\"\n   d = '2'/>\n  x<!-- no --> y\n</a>", "f.xml") == Node(
        "a",
        (),
        (Node("b", (Attribute("c", "1", 2, 6, 2, 9), Attribute("d", "2", 3, 4, 3, 9)), (), "", 2, 3, 2, 3),),
        "\n  \n  x y\n",
        1,
        1,
        4,
        3,
    )


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression_is_kept_as_it_is_written(expression: str) -> None:
    assert value(f'<a b="{expression}"/>') == expression
    assert value(f'<a b=" {expression}\n"/>') == f" {expression}\n"
    assert value(f"<a b='{expression}'/>") == expression
    text = parse_xml(f"<a>\n <!-- @( -->\n  {expression}\n<!-- ) --></a>", "f.xml")
    assert (text.text.strip(), text.text_line, text.text_column) == (expression, 3, 3)


def test_expression_begins_only_where_the_text_begins() -> None:
    assert parse_xml('<a>mail me @(home "now</a>', "f.xml").text == 'mail me @(home "now'
    assert parse_xml("<a>@(b)/@(c</a>", "f.xml").text == "@(b)/@(c"
    assert value('<a b="x @(c"/>') == "x @(c"


def test_entities_and_character_references_are_decoded_outside_of_expressions() -> None:
    decoded = "<>&\"' A\u20ac\U0001f600\t&lt;"
    written = "&lt;&gt;&amp;&quot;&apos; &#65;&#x20aC;&#x1F600;&#9;&amp;lt;"
    assert parse_xml(f"<a>{written}</a>", "f.xml").text == decoded
    assert value(f'<a b="{written}"/>') == decoded


def test_cdata_is_text_as_it_stands() -> None:
    read = parse_xml("<a> <![CDATA[ {&lt; <b> ]] ]]></a>", "f.xml")
    assert (read.text, read.text_line, read.text_column) == ("  {&lt; <b> ]] ", 1, 15)
    assert parse_xml("<a><![CDATA[@( ]]></a>", "f.xml").text == "@( "


def test_raw_body_keeps_its_quotes() -> None:
    body = '{ "error": "it\'s closed", "id": {{body.id}}, {% if a %} "b" {% endif %} }'
    assert parse_xml(f"<set-body>{body}</set-body>", "f.xml").text == body


def test_prefix_is_part_of_a_name() -> None:
    read = parse_xml('<s:Envelope xmlns:s="http://x"><s:Body/></s:Envelope>', "f.xml")
    assert (read.name, read.attributes[0].name, read.children[0].name) == ("s:Envelope", "xmlns:s", "s:Body")


def test_declaration_bom_and_comments_are_passed_over() -> None:
    text = '\ufeff<?xml version="1.0" encoding="utf-8"?>\n<!-- a -- <b> -->\n<a/><!---->\n'
    assert parse_xml(text, "f.xml") == Node("a", (), (), "", 3, 1, 3, 1)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_counts_as_one(end: str) -> None:
    read = parse_xml(end.join(("<a>", "", "@{", "x", "}", "</a>")), "f.xml")
    assert (read.text, read.text_line, read.text_column) == ("\n\n@{\nx\n}\n", 3, 1)


def test_sections_that_follow_one_another_are_put_together() -> None:
    read = parse_xml("<!-- -->\n<inbound/>\n<on-error/>", "f.xml")
    assert (read.name, read.line, [child.name for child in read.children]) == ("policies", 2, ["inbound", "on-error"])
    assert parse_xml("<outbound/>", "f.xml").name == "outbound"


def test_samples_of_the_platforms_documentation_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    if not DOCUMENTATION.exists():
        with capsys.disabled():
            sys.stdout.write("\nleft out: the platform's documentation, which is not beside the project\n")
        return
    samples = re.findall(r"```xml\n(.*?)```", DOCUMENTATION.read_text("utf-8"), re.DOTALL)[:5]
    inside = [[child.name for child in parse_xml(sample, "f.xml").children[1:]] for sample in samples]
    assert inside == [["rate-limit-by-key"], ["ip-filter"], ["set-header"], ["set-header"] * 2, ["choose"]]


def written(node: Node) -> str:
    """A node as well-formed XML."""
    attributes = "".join(f' {one.name}="{html.escape(one.value)}"' for one in node.attributes)
    inside = html.escape(node.text) + "".join(map(written, node.children))
    return f"<{node.name}{attributes}>{inside}</{node.name}>"


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12)
ATTRIBUTES = st.dictionaries(NAMES, TEXTS, max_size=3).map(
    lambda found: tuple(Attribute(name, text, 0, 0, 0, 0) for name, text in found.items())
)
NODES = st.recursive(
    st.builds(Node, NAMES, ATTRIBUTES, st.just(()), TEXTS, *[st.just(0)] * 4),
    lambda inner: st.builds(Node, NAMES, ATTRIBUTES, st.lists(inner, max_size=3).map(tuple), TEXTS, *[st.just(0)] * 4),
    max_leaves=8,
)


def plain(node: Node) -> object:
    """A node without its places."""
    attributes = [(one.name, one.value) for one in node.attributes]
    return node.name, attributes, node.text, [plain(child) for child in node.children]


def begins_expression(node: Node) -> bool:
    """Whether something in `node` looks like an expression."""
    texts = (node.text, *(one.value for one in node.attributes))
    return any(text.lstrip()[:1] == "@" for text in texts) or any(map(begins_expression, node.children))


@given(NODES.filter(lambda node: not begins_expression(node)))
def test_well_formed_xml_is_read_back_the_same(node: Node) -> None:
    assert plain(parse_xml(written(node), "f.xml")) == plain(node)


# -- what is refused ---------------------------------------------------------------------------------------------------

AMPERSAND = "this & begins nothing that can be read"
UNFIT = "this is neither an attribute nor the end of the tag (remove it, or add > before it)"
REFUSED = [
    ("", "1:1: the file holds no element (write <policies> and its sections, or remove the file)"),
    ("\ufeff \n<!-- x -->", "1:1: the file holds no element (write <policies> and its sections, or remove the file)"),
    ("<a>\n <b>\n</a>", "3:1: no <a> is open that ends here (add </b> before it)"),
    ("<a>\n <b>", "2:2: <b> is not closed (add </b>)"),
    ("</a>", "1:1: no <a> is open that ends here (remove it)"),
    ("<a/><b/>", "1:5: a second element stands beside the first (put them all in <fragment> or in a section)"),
    ("<inbound/><b/>", "1:11: a second element stands beside the first (put them all in <fragment> or in a section)"),
    ("<b/><inbound/>", "1:5: a second element stands beside the first (put them all in <fragment> or in a section)"),
    ("x<a/>", "1:1: text stands outside of the elements (remove it, or put it in a comment <!-- … -->)"),
    ("<a/>\n x", "2:2: text stands outside of the elements (remove it, or put it in a comment <!-- … -->)"),
    ("<a/><![CDATA[x]]>", "1:14: text stands outside of the elements (remove it, or put it in a comment <!-- … -->)"),
    ("<a/>@(x)", "1:5: text stands outside of the elements (remove it, or put it in a comment <!-- … -->)"),
    ("<!DOCTYPE a><a/>", "1:1: a document type or an entity is not allowed (remove it: entities are not processed)"),
    ('<!ENTITY a "b">', "1:1: a document type or an entity is not allowed (remove it: entities are not processed)"),
    ("<a><?php x ?></a>", "1:4: a processing instruction is not allowed (remove it)"),
    ("<a/><?xml version='1.0'?>", "1:5: a processing instruction is not allowed (remove it)"),
    ("<?xml version='1.0'", "1:1: the declaration is not closed (add ?>)"),
    ("<a><!-- x --</a>", "1:4: the comment is not closed (add -->)"),
    ("<a><![CDATA[ x ]]</a>", "1:4: the CDATA is not closed (add ]]>)"),
    ("<a>1 < 2</a>", "1:6: no element begins or ends here (write &lt; for the character <)"),
    ("<a></ a></a>", "1:4: no element begins or ends here (write &lt; for the character <)"),
    ("<1/>", "1:1: no element begins or ends here (write &lt; for the character <)"),
    ("<ä/>", "1:1: no element begins or ends here (write &lt; for the character <)"),
    ("<a:b:c/>", f"1:5: {UNFIT}"),
    ("<a\n", "1:1: the tag <a> is not closed (add >)"),
    ('<a b="c"', "1:1: the tag <a> is not closed (add >)"),
    ("<a b/>", '1:4: the attribute b has no value in quotes (write b="…")'),
    ("<a b=c/>", '1:4: the attribute b has no value in quotes (write b="…")'),
    ("<a <b/>", f"1:4: {UNFIT}"),
    ("<a ö='1'/>", f"1:4: {UNFIT}"),
    ("<a b='1'c='2'/>", "1:9: a blank is missing here (attributes are separated by blanks)"),
    ("<a b='1' b='2'/>", "1:10: the attribute b is written twice (it stands at 1:4 already)"),
    ('<a b="c><d e="f"/></a>', '1:7: this value is not closed (add "; write &lt; for the character <)'),
    ("<a b='c", "1:7: this value is not closed (add '; write &lt; for the character <)"),
    ('<a b="@(c) d"/>', '1:11: something follows the expression (end the value here, with ")'),
    ("<a b='@(c)\"/>", "1:11: something follows the expression (end the value here, with ')"),
    ('<a b="@(c"/>', "1:10: this string is not closed (add the quote that ends it)"),
    ('<a b="@(\'c)"/>', "1:9: this string is not closed (add the quote that ends it)"),
    ("<a>@($&quot;{b} )</a>", "1:6: this string is not closed (add the quote that ends it)"),
    ('<a>@($"{b")</a>', "1:10: this string is not closed (add the quote that ends it)"),
    ('<a>@($"{b)</a>', "1:10: ) stands where } is expected (close the brackets in order)"),
    ("<a>\n@(b</a>", "2:2: ( is not closed in this expression (add ))"),
    ("<a>@{ b[1 }</a>", "1:11: } stands where ] is expected (close the brackets in order)"),
    ("<a>@( b // )</a>", "1:5: ( is not closed in this expression (add ))"),
    ("<a>@( b /* )</a>", "1:9: this comment is not closed (add */)"),
    ("<a>\0</a>", "1:4: a control character stands here (save the file as UTF-8 text)"),
    ("<a>\n\ud800</a>", "2:1: a control character stands here (save the file as UTF-8 text)"),
    ("<a>@(" + "(" * 256, "1:261: nested deeper than 256 levels in this expression (simplify it)"),
    ("<a>" * 65, "1:193: nested deeper than 64 levels (flatten it)"),
    ("<a>" + "<b/>" * 50_000, "1:200000: there are more than 50000 elements (split the file)"),
    ("<a>" + "ä" * (MAX_BYTES // 2), "1:1: the file is larger than 1048576 bytes (split it)"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=[ascii(text[:24]) for text, _ in REFUSED])
def test_what_is_refused_is_named_with_its_place_and_a_mend(text: str, said: str) -> None:
    assert refused(text) == (f"f.xml:{said}",)


UNKNOWN = ("&", "& ", "&&", "&nbsp;", "&lt", "&LT;", "&lt ;", "&#0;", "&#xD800;", "&#xFFFFFF;", "&#1114112;", "&#-1;")


@pytest.mark.parametrize("reference", UNKNOWN)
def test_entity_that_is_not_known_is_refused_wherever_it_stands(reference: str) -> None:
    count = reference.count("&")
    for text in (f"<a>x{reference}</a>", f'<a b="{reference}"/>'):
        said = refused(text)
        assert len(said) == count
        assert all(AMPERSAND in one for one in said)


def test_what_can_be_passed_over_is_told_together() -> None:
    assert [one.partition(" (")[0] for one in refused('<a b="&c;" b="">\n&d;</a><e/>')] == [
        f"f.xml:1:7: {AMPERSAND}",
        "f.xml:1:12: the attribute b is written twice",
        f"f.xml:2:1: {AMPERSAND}",
        "f.xml:2:8: a second element stands beside the first",
    ]
    assert len(refused("<a>" + "&" * 1000)) == MAX_PROBLEMS


def test_value_is_never_quoted_in_what_is_said() -> None:
    for text in (
        '<a b="hunter2',
        "<a b='@(hunter2'/>",
        "<a>@(hunter2</a>",
        "<a>hunter2",
        '<a b="&hunter2;"/>',
        "hunter2",
    ):
        assert "hunter2" not in "".join(refused(text))


# -- bounds ------------------------------------------------------------------------------------------------------------

REPEATED = {
    "<": ("", "<", ""),
    "text": ("<a>", "x", "</a>"),
    "blanks in a tag": ("<a", " ", "/>"),
    "brackets in an attribute": ('<a b="@(', "[()]", ')"/>'),
    "brackets in a text": ("<a>@(", "{()}", ")</a>"),
    "open brackets": ("<a>", "@(", "</a>"),
    "quotes in an attribute": ('<a b="', '"', '"/>'),
    "quotes in an expression": ('<a b="@(', '"', '"/>'),
    "escapes": ('<a b="@("', "\\", '"/>'),
    "prefixes": ('<a b="@(', "$@", '"/>'),
    "holes": ("<a>@($", '"{$', "</a>"),
    "references": ("<a>", "&lt;", "</a>"),
    "unfit references": ("<a>", "&", "</a>"),
    "comments": ("<a>", " <!---->", "</a>"),
    "elements": ("<a>", "<b/>", "</a>"),
    "attributes": ("<a", ' b=""', "/>"),
    "a long name": ("<", "a", "/>"),
    "a long attribute": ("<a ", "b", "/>"),
    "code comments": ("<a>@(", "/*/*/", "</a>"),
    "line ends": ("<a>", "\r\n", "</a>"),
    "sections": ("", "<inbound/>", ""),
}


def steps(text: str) -> int:
    """How many calls it takes to read `text`, or to refuse it."""
    count = 0

    def step(*_: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        parse_xml(text, "f.xml")
    except InvalidConfiguration:
        pass
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(("before", "part", "after"), REPEATED.values(), ids=REPEATED)
def test_reading_takes_steps_in_proportion_to_the_text(before: str, part: str, after: str) -> None:
    few, many = (before + part * (size // len(part)) + after for size in (1 << 14, 1 << 16))
    assert steps(many) <= 4.2 * steps(few) + 1000
    whole = before + part * ((MAX_BYTES - len(before + after)) // len(part)) + after
    outcome(whole)  # were one step itself not linear, this would not come to an end


def outcome(text: str) -> Node | InvalidConfiguration:
    """What comes of `text`."""
    try:
        return parse_xml(text, "f.xml")
    except InvalidConfiguration as refusal:
        return refusal


SEEDS = (
    '<inbound>\n <base />\n <set-header name="x"><value>@(a["b"] + \'c\')</value></set-header></inbound>',
    '<policies><inbound><choose><when condition="@(a && b < "c")"/></choose></inbound><outbound/></policies>',
    '<?xml version="1.0"?><!-- x --><fragment>\r\n<a b=\'1\' c="&lt;&#65;"/>&amp;<![CDATA[ <d> ]]></fragment>',
    '<a b="@{ // c\n if (d) { return $"{e["f"]}{{g}}"; } /* ) */ return @"h""i"; }" />',
    '<a>@(x[&quot;y&quot;] == &apos;)&apos; ? @&quot;z&quot; : $@"{w}")</a>',
    '<inbound/>\n<backend>\n</backend><on-error><set-body template="liquid">{ "a": "{{b}}" }</set-body></on-error>',
)
PIECES = (
    *("<", ">", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<?xml ", "?>", "<!DOCTYPE", "<a>", "</a>", '="', "='"),
    *('"', "'", "&", "&quot;", "&#0;", "@(", "@{", ")", "}", "{", "(", "[", "]", "$", "@", '$"', '@"', "\\", "//"),
    *("/*", "*/", "\n", "\r", " ", "\0", "\ud800", "\u00e9", "\U0001f600", "\ufeff", "base", "inbound", "fragment"),
)
TOKENS = re.compile(r"\w+|\s+|[^\w\s]")


def mutated(text: str, chance: random.Random) -> str:
    """`text` with a few of its tokens or characters deleted, doubled, swapped, or with something put between them."""
    parts = TOKENS.findall(text) if chance.random() < 0.7 else list(text)
    for _ in range(chance.randint(1, 4)):
        at, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        match chance.randrange(5):
            case 0:
                parts[at] = ""
            case 1:
                parts[at] *= 2
            case 2:
                parts[at], parts[other] = parts[other], parts[at]
            case 3:
                parts[at] += chance.choice(PIECES)
            case _:
                del parts[min(at, other) : min(at, other) + chance.randint(0, 9)]
                parts.append("")
    return "".join(parts)


def places(found: Node | InvalidConfiguration) -> Iterator[tuple[int, int]]:
    """Every place that is named."""
    if isinstance(found, InvalidConfiguration):
        yield from ((problem.line, problem.column) for problem in found.problems)
        return
    yield found.line, found.column
    yield found.text_line, found.text_column
    for attribute in found.attributes:
        yield attribute.line, attribute.column
        yield attribute.value_line, attribute.value_column
    for child in found.children:
        yield from places(child)


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_whatever_the_text_it_is_read_or_refused_with_a_place_inside_it(seed: int) -> None:
    chance = random.Random(seed)
    assert isinstance(outcome(SEEDS[seed]), Node)
    read = 0
    for _ in range(20_000):
        text = mutated(SEEDS[seed], chance)
        found = outcome(text)
        read += isinstance(found, Node)
        lengths = [len(line) for line in re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))]
        for line, column in places(found):
            assert 1 <= line <= len(lengths), text
            assert 1 <= column <= lengths[line - 1] + 1, text
    assert 500 < read < 19_500  # both ways are walked
