"""Merged lists: what is in them, in which order, and page by page."""

import base64
import json

import pytest

from mcpgov.aggregate.merging import (
    DEEPEST,
    LONGEST,
    PROMPTS,
    RESOURCES,
    TOOLS,
    Templates,
    found_in,
    list_result,
    merged,
    page_of,
    require_cursor,
    speaks,
    text_at,
)
from mcpgov.aggregate.naming import Found, Item, Naming
from mcpgov.errors import INVALID_PARAMS, Refusal
from mcpgov.models import Era, Json

NAMING = Naming(("b", "a"))


def tools(*pairs: tuple[str, str]) -> list[Item]:
    """The merged tools of these members."""
    found: list[Found] = [(member, own, {"name": own, "x-own": own}) for member, own in pairs]
    return merged(TOOLS, NAMING, found)


def test_what_has_no_name_is_left_out() -> None:
    listed: Json = [{"name": "x", "extra": 1}, {"name": 1}, {"name": ""}, {}, "x", None]
    assert list(found_in(TOOLS, "a", {"tools": listed})) == [("a", "x", {"name": "x", "extra": 1})]
    assert list(found_in(TOOLS, "a", {"tools": "x"})) == []


def test_a_definition_keeps_everything_but_its_name() -> None:
    page, cursor = page_of(TOOLS, NAMING.members, tools(("a", "x")), None)
    assert (page, cursor) == ([{"name": "a_x", "x-own": "x"}], "")


def test_the_first_of_two_of_one_name_counts() -> None:
    found: list[Found] = [("a", "x", {"name": "x", "n": 1}), ("a", "x", {"name": "x", "n": 2})]
    assert [item.definition["n"] for item in merged(TOOLS, NAMING, found)] == [1]


def test_a_uri_that_two_members_list_is_the_first_members() -> None:
    found: list[Found] = [("a", "file:///x", {"uri": "file:///x"}), ("b", "file:///x", {"uri": "file:///x"})]
    assert [(item.name, item.member) for item in merged(RESOURCES, NAMING, found)] == [("file:///x", "b")]


def test_the_pages_together_are_the_list_whatever_comes_and_goes_between_them() -> None:
    items = tools(*((member, f"t{number:02}") for member in "ab" for number in range(10)))
    seen: list[Json] = []
    cursor: str | None = None
    while cursor != "":
        page, cursor = page_of(TOOLS, NAMING.members, items, cursor, size=3)
        assert len(page) <= 3
        seen += page
    assert [one["name"] for one in seen if isinstance(one, dict)] == [item.name for item in items]
    _, cursor = page_of(TOOLS, NAMING.members, items, None, size=3)
    page, _ = page_of(TOOLS, NAMING.members, tools(("b", "t01"), ("b", "t05")), cursor, size=3)
    assert [one["name"] for one in page if isinstance(one, dict)] == ["b_t05"]


def written(value: object) -> str:
    """A cursor that says this."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor", [1, "", "x", "{}", "\udc80", written(["prompts", "a", "x"]), written(["tools", 1, "x"]), written("[" * 9)]
)
def test_a_cursor_of_somebody_else_is_refused(cursor: Json) -> None:
    with pytest.raises(Refusal) as refused:
        require_cursor(TOOLS, cursor)
    assert refused.value.code == INVALID_PARAMS
    require_cursor(PROMPTS, None)
    require_cursor(TOOLS, written(["tools", "a", "x"]))


def test_a_member_that_is_gone_ends_no_paging() -> None:
    page, _ = page_of(TOOLS, NAMING.members, tools(("a", "x")), written(["tools", "gone", "x"]))
    assert len(page) == 1


def test_a_result_says_what_its_era_asks_for() -> None:
    assert list_result(TOOLS, [], "", (), Era.HANDSHAKE) == {"tools": []}
    assert list_result(TOOLS, [], "c", ("a",), Era.STATELESS) == {
        "tools": [],
        "nextCursor": "c",
        "_meta": {"dev.mcpgov/aggregate": {"unavailable": ["a"]}},
        "ttlMs": 0,
        "cacheScope": "private",
    }


def test_a_uri_is_the_first_template_s_that_fits() -> None:
    owners = {"db://{table}/rows/{id}": ("a", ""), "file:///{path}.txt": ("b", ""), "db://{+any}": ("b", "")}
    templates = Templates(owners)
    assert templates.owner("db://t/rows/7") == ("a", "db://t/rows/7")
    assert templates.owner("db://t") == ("b", "db://t")
    assert templates.owner("file:///x.md") is None


@pytest.mark.parametrize(
    ("template", "uri", "fits"),
    [
        ("a://b", "a://b", True),
        ("a://b", "a://bc", False),
        ("a://{x}/{y}", "a://1/2/3", True),
        ("a://{x}//{y}//", "a://1//", False),  # what is between must not be taken twice
        ("a{x}a", "a", False),
        ("a{x}b{y}c", "axbyc", True),
        ("a{x}b{y}c", "axyc", False),
        ("a?*{x}", "axyz", False),  # no wildcards
        ("a?*{x}", "a?*z", True),
        ("{x}", "", True),
        ("{x}", "x" * LONGEST, True),
        ("{x}", "x" * (LONGEST + 1), False),
    ],
)
def test_what_stands_between_expressions_is_in_the_uri_in_that_order(template: str, uri: str, *, fits: bool) -> None:
    assert (Templates({template: ("a", "")}).owner(uri) is not None) == fits


def test_what_is_nested_too_deeply_hides_no_other() -> None:
    deep: Json = "x"
    for _ in range(DEEPEST):
        deep = [{"items": deep}]
    listed: Json = [{"name": "deep", "inputSchema": deep}, {"name": "x", "inputSchema": {"type": ["object"]}}]
    assert [own for _, own, _ in found_in(TOOLS, "a", {"tools": listed})] == ["x"]


def test_texts_and_versions_are_read_wherever_there_are_none() -> None:
    assert text_at({"a": {"b": "c"}}, "a", "b") == "c"
    assert text_at({"a": "b"}, "a", "b") == text_at({}, "a") == text_at({"a": 1}, "a") == ""
    assert speaks({"supportedVersions": ["x"]}, ["x"])
    assert not speaks({"supportedVersions": "x"}, ["x"])
    assert not speaks({}, ["x"])
