"""docs/policies/expressions.md names exactly what the code knows, and everything it names compiles."""

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import pytest

from mcpgov.errors import InvalidExpression
from mcpgov.policy.csharp.kinds import ENUMERATIONS, NUMBERS, TYPES
from mcpgov.policy.csharp.members import MEMBERS
from mcpgov.policy.csharp.operators import PRECEDENCE
from mcpgov.policy.csharp.program import compile_csharp
from mcpgov.policy.csharp.refused import CLASSES, LINQ
from mcpgov.policy.csharp.refused import MEMBERS as REFUSED
from mcpgov.policy.csharp.signatures import Method, Table
from mcpgov.policy.csharp.statics import STATICS
from mcpgov.policy.csharp.tokens import MAX_TEXT
from mcpgov.policy.csharp.typed_code import MAX_DEPTH, MAX_STEPS, MAX_STRING
from mcpgov.policy.document import parse_document
from mcpgov.policy.draft import CREDENTIAL_HEADERS
from mcpgov.policy.expression import NO_REFERENCES

PAGE = (Path(__file__).parents[2] / "docs" / "policies" / "expressions.md").read_text("utf-8")
ALIASES = {"String": "string", "Int32": "int", "Int64": "long", "Boolean": "bool", "Double": "double"}
CODE = re.compile(r"`([^`]+)`")
MEMBER = re.compile(r"(?P<name>\w+)?(?P<generic><T>)?(?P<given>\(.*\)|\[.+\])?")
OPTIONAL = re.compile(r"\[(, )?([^\]]+)\]$")
SAMPLES: Mapping[str, str] = {
    "string": '"a"',
    "int": "1",
    "long": "1",
    "double": "1.5",
    "bool": "true",
    "object": '"a"',
    "T": '"a"',
    "string[]": 'new[] { "a" }',
    "byte[]": 'Encoding.UTF8.GetBytes("a")',
    "JToken": 'JToken.Parse("1")',
    "JObject": 'JObject.Parse("{}")',
    "JArray": 'JArray.Parse("[]")',
    "Guid": "Guid.Empty",
    "DateTime": "DateTime.UtcNow",
    "DateTimeOffset": "DateTimeOffset.UtcNow",
    "Jwt": '(Jwt)context.Variables["a"]',
    "Authorization": '(Authorization)context.Variables["a"]',
    "Claims": '((Jwt)context.Variables["a"]).Claims',
    "Encoding": "Encoding.UTF8",
    "StringComparison": "StringComparison.Ordinal",
    "StringSplitOptions": "StringSplitOptions.None",
    "Formatting": "Formatting.Indented",
    "DayOfWeek": "DayOfWeek.Monday",
}
FORMATS = {"DateTime": '"yyyy"', "DateTimeOffset": '"yyyy"', "Guid": '"N"'}
Named = tuple[str, str, tuple[str, ...] | None]  # a type or class, a member, and what it is given; None: a property


def section(title: str) -> str:
    """What stands under a heading."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> Iterator[tuple[list[str], list[str]]]:
    """The code in the first two columns of each row of the table under a heading."""
    for line in section(title).splitlines():
        if line.startswith("| `"):
            first, second, *_ = re.split(r" \| ", line.removeprefix("| ") + " ")
            yield CODE.findall(first), CODE.findall(second)


def members(owner: str, text: str) -> Iterator[Named]:
    """What one piece of code on the page names: one member for each way to call it."""
    found = MEMBER.fullmatch(text)
    assert found, text
    name, given = (found["name"] or "[]") + (found["generic"] or ""), found["given"]
    if given is None:
        yield owner, name, None
        return
    ways = [given[1:-1]]
    if found["name"] and OPTIONAL.search(ways[0]):
        ways = [OPTIONAL.sub("", ways[0]), OPTIONAL.sub(r"\1\2", ways[0])]
    for way in ways:
        for number in NUMBERS if "number" in way else ("",):
            yield owner, name, tuple(filter(None, way.replace("number", number).split(", ")))


def of_context(text: str) -> Iterator[Named]:
    """The same for an expression that begins with `context`: everything on the way to its last member too."""
    owner, *path = re.findall(r"\w+(?:<T>)?(?:\(.*\))?|\[.+\]", text)
    for name in path[:-1]:
        yield owner, name, None
        owner = MEMBERS[owner][name][0].result.name
    yield from members(owner, path[-1])


def known(owner: str, table: Table) -> Iterator[Named]:
    """What the code knows of a type or a class."""
    for name, methods in table.items():
        for one in methods:
            yield owner, name + ("<T>" if one.generic else ""), taken(one)


def taken(one: Method) -> tuple[str, ...] | None:
    """The types that a method is given, as the page writes them."""
    if one.parameters is None:
        return None
    names = [kind.name for kind in one.parameters]
    return tuple([*names[:-1], names[-1] + "…"] if one.many else names)


ON_CONTEXT = {named for texts, _ in rows("The request and its answer") for text in texts for named in of_context(text)}
ON_VALUES = {
    named
    for owners, texts in rows("What values offer")
    for owner in owners
    for text in texts
    for named in members(owner, text)
}
ON_CLASSES = {
    named for owners, texts in rows("Classes") for owner in owners for text in texts for named in members(owner, text)
}
VALUES = TYPES | ENUMERATIONS | {"Encoding", "Claims"}


def test_every_member_of_context_is_on_the_page_and_no_other() -> None:
    assert {one for owner in MEMBERS.keys() - VALUES for one in known(owner, MEMBERS[owner])} == ON_CONTEXT


def test_every_member_of_a_value_is_on_the_page_and_no_other() -> None:
    assert {one for owner in VALUES & MEMBERS.keys() for one in known(owner, MEMBERS[owner])} == ON_VALUES


def test_every_static_member_is_on_the_page_and_no_other() -> None:
    assert {one for owner in STATICS.keys() - ALIASES.keys() for one in known(owner, STATICS[owner])} == ON_CLASSES
    assert all(STATICS[alias] is STATICS[name] for alias, name in ALIASES.items())
    assert all(f"`{name}`" in section("Classes") for name in (*ALIASES, *ALIASES.values()))


def written(receiver: str, named: Named) -> str:
    """An expression that names a member."""
    owner, name, given = named
    name = name.replace("<T>", "<string>")
    if given is None:
        return f"{receiver}.{name}"
    values = [SAMPLES[kind.removesuffix("…")] for kind in given]
    if name == "ToString" and given == ("string",):
        values = [FORMATS[owner]]
    return f"{receiver}[{values[0]}]" if name == "[]" else f"{receiver}.{name}({', '.join(values)})"


def receivers() -> Mapping[str, str]:
    """How each type that `context` offers is reached."""
    found, waiting = {"context": "context"}, ["context"]
    while waiting:
        owner = waiting.pop()
        for name, (one, *_) in MEMBERS[owner].items():
            if one.result.name in MEMBERS.keys() - VALUES - found.keys():
                found[one.result.name] = f"{found[owner]}.{name}"
                waiting.append(one.result.name)
    return found


@pytest.mark.parametrize("named", sorted(ON_CONTEXT, key=str), ids=str)
def test_every_member_of_context_compiles(named: Named) -> None:
    text = written(receivers()[named[0]], named)
    results = {one.result.name for one in MEMBERS[named[0]][named[1].removesuffix("<T>")]}
    if results & MEMBERS.keys() - VALUES:
        with pytest.raises(InvalidExpression, match="which is no value"):
            compiled(text)
    else:
        assert compiled(text)


@pytest.mark.parametrize("named", sorted(ON_VALUES, key=str), ids=str)
def test_every_member_of_a_value_compiles(named: Named) -> None:
    receiver = 'context.Variables["a"]' if named[0] == "object" else f"({SAMPLES[named[0]]})"
    if named[1] == "Claims":
        with pytest.raises(InvalidExpression, match="which is no value"):
            compiled(written(receiver, named))
    else:
        assert compiled(written(receiver, named))


@pytest.mark.parametrize("named", sorted(ON_CLASSES, key=str), ids=str)
def test_every_static_member_compiles(named: Named) -> None:
    text = written(named[0], named)
    assert compiled(text if named[0] != "Encoding" else f'{text}.GetBytes("a")')


def compiled(text: str) -> object:
    """The expression, compiled. Raises InvalidExpression."""
    return compile_csharp(f"@({text})", NO_REFERENCES.named)


def test_the_types_that_may_be_named_are_on_the_page() -> None:
    listed, more = section("What values offer").partition("\n\n|")[0].partition("and for variables also")[::2]
    read = set(CODE.findall(listed.partition("`T` is one of")[2]))
    assert read == set(MEMBERS["JToken"]["Value"][0].generic)
    assert read | set(CODE.findall(more)) == set(MEMBERS["Variables"]["GetValueOrDefault"][1].generic)
    (body,) = (line for line in PAGE.splitlines() if "context.Request.Body.As<T>" in line)
    assert all(f"`{name}`" in body for name in MEMBERS["Body"]["As"][0].generic)


MISSING = [text for texts, _ in rows("What is not there") for text in texts]


@pytest.mark.parametrize("text", MISSING)
def test_what_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression):
        compiled(f'new[] {{ "a" }}{text}("a")' if text.startswith(".") else text)


def test_everything_that_is_refused_by_name_is_on_the_page() -> None:
    words = {word for text in MISSING for word in re.findall(r"\w+", text)}
    assert words >= {*LINQ, *CLASSES, *(owner if name == "[]" else name for owner, name in REFUSED)}


def test_operators_stand_in_their_order() -> None:
    rising = groupby(sorted(PRECEDENCE, key=PRECEDENCE.__getitem__), PRECEDENCE.__getitem__)
    groups = ", ".join(" ".join(f"`{name}`" for name in names) for _, names in rising)
    assert f"`? :`, `??`, {groups}, then `!`, `-`" in section("Operators and statements").replace("\n", " ")


def test_the_bounds_are_those_of_the_code() -> None:
    assert (
        section("Bounds")
        .strip()
        .startswith(
            f"{MAX_TEXT // 1024} KiB of text, {MAX_DEPTH} levels of nesting, {MAX_STEPS:,} steps in one evaluation, "
            f"texts of {MAX_STRING // 1024} KiB."
        )
    )


def test_the_headers_that_expressions_do_not_see_are_on_the_page() -> None:
    told = {name.lower() for name in CODE.findall(section("What differs from API Management"))}
    assert told >= CREDENTIAL_HEADERS


def test_the_example_loads() -> None:
    (example,) = re.findall(r"^```xml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert parse_document(example, "policies/example.xml").sections["inbound"]
