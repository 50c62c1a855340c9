"""The strict reader of JSON: what it takes in, all other readers read the same; what it refuses has its reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic_core import from_json

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.json_spans import span_of, with_first_member, with_value
from mcpgov.strict_json import JsonLimits, dumps, parse
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from mcpgov.models import Json

LIMITS = JsonLimits(body=4096, depth=8, keys=24, values=64, string=256)
REASONS = {
    *(Reason.INVALID_JSON, Reason.INVALID_ENCODING, Reason.DUPLICATE_KEY, Reason.TOO_DEEP, Reason.TOO_LARGE),
}
WORDS = (
    *('{"', '":', "[", "]", "}", ",", "null", "true", "false", "NaN", "-Infinity", "1e999", "\\u0061", "\\ud800"),
    *("\\udc00", "\ufeff", "\0", "\u2028", "9007199254740993", "-0.0", "1E+400", "\\u0000", '"a":1,"a":1'),
)


def judge(data: bytes) -> None:
    """One body."""
    try:
        tree = parse(data, LIMITS)
    except Refusal as refusal:
        assert refusal.reason in REASONS
        assert refusal.reason is not Reason.INVALID_JSON or not others_read(data), "refused without a reason"
        return
    assert spelled(json.loads(data)) == spelled(from_json(data)) == spelled(tree), "another reader reads another value"
    written = dumps(tree)
    assert written.isascii()
    assert b"\n" not in written
    assert spelled(parse(written, JsonLimits())) == spelled(tree), "what was written is not what was read"
    if isinstance(tree, dict):
        judge_spans(data, tree)


def judge_spans(data: bytes, tree: dict[str, Json]) -> None:
    """Each member stands where it is said to stand, and can be replaced without touching another."""
    for key, value in tree.items():
        span = span_of(data, [key])
        assert span is not None
        assert spelled(json.loads(data[span])) == spelled(value), "a span of another value"
        changed = with_value(data, [key], "[7]")
        assert changed is not None
        assert spelled(json.loads(changed)) == spelled({**tree, key: [7]}), "more than one value was replaced"
    added = with_first_member(data, [], "\0new", "7")
    assert added is not None
    assert spelled(json.loads(added)) == spelled({"\0new": 7, **tree}), "more than one member was added"


def spelled(value: object) -> str:
    """A value so that 1, 1.0 and true differ, and so do 0.0 and -0.0."""
    return repr(value)


def others_read(data: bytes) -> bool:
    """Whether the usual reader takes this for JSON with numbers that JSON has, also where a key stands twice."""
    try:
        text = json.dumps(json.loads(data.decode("utf-8"), object_pairs_hook=list), allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return bool(text)


TARGET = Target(judge, WORDS)
