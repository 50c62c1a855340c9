"""The digest of a definition is the same for as long as the definition is, and everything that is listed counts."""

from __future__ import annotations

import json
import random
from typing import cast

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Json
from mcpgov.pinning.definitions import (
    MAX_FAULT,
    MAX_LIST,
    MAX_NAME,
    MAX_TOOLS,
    TWICE,
    Definition,
    definition_digest,
    definition_text,
    definitions_of,
)
from tests.catalog.listed_tools import SERVERS

MUTATIONS, LISTS = 10_000, 1_000


def shuffled(value: Json, rng: random.Random) -> Json:
    """The same value, with the members of every object in another order."""
    if isinstance(value, dict):
        members = [(key, shuffled(child, rng)) for key, child in value.items()]
        rng.shuffle(members)
        return dict(members)
    return [shuffled(child, rng) for child in value] if isinstance(value, list) else value


def mutated(text: bytes, rng: random.Random) -> Json:
    """What `text` says with one byte put in, taken out or replaced, if that is JSON and says something else."""
    before = json.loads(text)
    while True:
        at, byte, kind = rng.randrange(len(text)), bytes([rng.randrange(256)]), rng.randrange(3)
        changed = (text[:at] + byte + text[at:], text[:at] + text[at + 1 :], text[:at] + byte + text[at + 1 :])[kind]
        try:
            after = json.loads(changed.decode())
        except ValueError:
            continue
        if not same(before, after):
            return after


def same(one: Json, other: Json) -> bool:
    """Whether two values are equal, True and 1 being two."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(child, other[key]) for key, child in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def test_every_one_byte_change_of_a_tool_changes_its_digest() -> None:
    rng = random.Random(20260728)
    tools = [json.dumps(tool, ensure_ascii=False).encode() for tools in SERVERS.values() for tool in tools]
    missed: list[Json] = []
    for number in range(MUTATIONS):
        text = tools[number % len(tools)]
        after = mutated(text, rng)
        if definitions_of([after])[0].digest == definition_digest(json.loads(text)):
            missed.append(after)
    assert missed == []


def test_an_unchanged_list_in_another_order_has_the_same_digests() -> None:
    rng = random.Random(20260728)
    lists = list(SERVERS.values())
    for number in range(LISTS):
        tools = lists[number % len(lists)]
        again = [shuffled(tool, rng) for tool in tools]
        rng.shuffle(again)
        text = json.dumps(again, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2]))
        assert digests(json.loads(text)) == digests(tools)


def digests(tools: list[Json]) -> dict[str, str]:
    return {found.name: found.digest for found in definitions_of(tools)}


def test_how_a_number_is_written_does_not_count() -> None:
    one, other = (json.loads(f'{{"name": "a", "inputSchema": {{"minimum": {number}}}}}') for number in ("1", "10e-1"))
    assert definition_digest(one) == definition_digest(other)


def test_the_order_of_a_list_counts() -> None:
    assert definition_digest({"enum": ["a", "b"]}) != definition_digest({"enum": ["b", "a"]})


@pytest.mark.parametrize("member", ["_meta", "execution", "icons", "outputSchema", "x-vendor"])
def test_a_member_that_nobody_knows_is_part_of_the_definition(member: str) -> None:
    assert definition_digest({"name": "a", member: {}}) != definition_digest({"name": "a"})


def test_a_definition_has_its_place_its_name_and_its_canonical_text() -> None:
    (found,) = definitions_of([{"title": "A", "name": "a"}])
    assert (found.at, found.name, found.text) == (0, "a", '{"name":"a","title":"A"}')
    assert found.digest == definition_digest({"name": "a", "title": "A"})
    assert found.fault == ""


def test_of_two_tools_with_one_name_neither_has_a_digest() -> None:
    first, second, third = definitions_of([{"name": "a"}, {"name": "b"}, {"name": "a", "title": "other"}])
    assert (first, third) == (Definition(0, "a", fault=TWICE), Definition(2, "a", fault=TWICE))
    assert second.digest


@pytest.mark.parametrize("tool", [7, None, "a", [], {}, {"name": ""}, {"name": 7}, {"name": "a" * 129}])
def test_what_has_no_name_has_no_digest(tool: Json) -> None:
    named, broken = definitions_of([{"name": "a"}, tool])
    assert named.digest
    assert (broken.name, broken.digest) == ("", "")
    assert str(MAX_NAME) in broken.fault


def nested(depth: int) -> Json:
    value: Json = {}
    for _ in range(depth):
        value = {"items": value}
    return value


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (nested(10_000), Reason.TOO_DEEP),
        (nested(65), Reason.TOO_DEEP),
        (cast("Json", {"enum": list(range(60_000))}), Reason.TOO_LARGE),
        ({"description": "a" * 300_000}, Reason.TOO_LARGE),
        (cast("Json", {"enum": ["a" * 200_000] * 6}), Reason.TOO_LARGE),
        ({"description": "\ud800"}, Reason.INVALID_ENCODING),
        ({"minimum": float("nan")}, Reason.INVALID_JSON),
        ({"minimum": 10**5000}, Reason.INVALID_JSON),
    ],
)
def test_a_definition_past_a_bound_is_refused_with_a_reason(schema: Json, reason: Reason) -> None:
    tool: Json = {"name": "a", "inputSchema": schema}
    with pytest.raises(Refusal) as caught:
        definition_text(tool)
    assert caught.value.reason is reason
    broken, other = definitions_of([tool, {"name": "b"}])
    assert (broken.digest, broken.fault) == ("", caught.value.message[:MAX_FAULT])
    assert other.digest


def test_a_name_that_cannot_be_written_is_none() -> None:
    (found,) = definitions_of([{"name": "a\ud800"}])
    assert (found.name, found.digest) == ("", "")


@pytest.mark.parametrize(
    "tools",
    [
        cast("list[Json]", [{"name": f"a{number}"} for number in range(MAX_TOOLS + 1)]),
        cast("list[Json]", [{"name": f"a{number}", "description": "a" * 200_000} for number in range(250)]),
    ],
    ids=["many", "fifty megabytes"],
)
def test_a_list_past_a_bound_is_refused_whole(tools: list[Json]) -> None:
    with pytest.raises(Refusal) as caught:
        definitions_of(tools)
    assert caught.value.reason is Reason.UPSTREAM_TOO_LARGE
    assert str(MAX_LIST) in caught.value.detail or str(MAX_TOOLS) in caught.value.detail
