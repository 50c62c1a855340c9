"""Whatever comes in, a record holds canonical JSON within bounds, and no value in it that no rule shows."""

import json
import re
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.audit.field_modes import FieldModes, Mode
from mcpgov.audit.redact import Digester
from mcpgov.audit.values import BYTES, DEPTH, DROPS, VALUES, masked, plain, redacted, scalars
from mcpgov.models import Json

DIGESTER = Digester(b"k" * 32)
DIGEST = re.compile(rf"hmac-sha256:{DIGESTER.key_id}:[0-9a-f]{{64}}|…\[\+[1-9][0-9]*\]")
HOSTILE = '\ud800\0\u202e\x1b[2J\u2028"\\'
CLEAR = FieldModes.of({"**": Mode.CLEAR})

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just(HOSTILE)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.just(HOSTILE), inner)
)
MODES = st.dictionaries(st.sampled_from(["**", "a", "a.*", "**.b", "*", "password"]), st.sampled_from(Mode))


def shown(value: object, **modes: Mode) -> object:
    """A value as it is recorded."""
    return json.loads(redacted(cast("Json", value), FieldModes.of(modes), DIGESTER).text)


def texts(value: Json) -> list[Json]:
    """Every scalar in a tree."""
    if isinstance(value, dict):
        return [one for inner in value.values() for one in texts(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in texts(inner)]
    return [value]


@given(TREES)
def test_without_a_rule_every_value_is_a_digest(value: Json) -> None:
    for found in texts(json.loads(redacted(value, FieldModes(), DIGESTER).text)):
        assert isinstance(found, str)
        assert DIGEST.fullmatch(found)


@given(TREES, MODES)
def test_the_text_is_canonical_and_bounded_whatever_comes_in(value: Json, modes: dict[str, Mode]) -> None:
    found = redacted(value, FieldModes.of(modes), DIGESTER)
    read = json.loads(found.text)
    again = json.dumps(read, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    assert again == found.text  # one way to write it, and the members in an order that reading keeps
    for one in texts(read):
        assert not isinstance(one, float)
    assert len(found.text.encode()) <= BYTES
    assert found.dropped + found.left_out <= scalars(value)


def test_keys_stay_readable_and_their_members_are_sorted() -> None:
    assert list(cast("dict[str, Json]", shown({"b": 1, "größe": 2, "a": [], "@id": {}}))) == ["@id", "a", "b", "größe"]
    order = json.loads(redacted({"\U0001f600": 1, "\ufb33": 2}, CLEAR, DIGESTER).text)
    assert list(order) == ["\U0001f600", "\ufb33"]  # by UTF-16, as RFC 8785 has it


@pytest.mark.parametrize("key", ["alice@contoso.com", "x" * 41, "order 4711 0815", "7", "", "…", "a\u202eb"])
def test_a_key_that_may_be_a_value_is_a_digest(key: str) -> None:
    assert shown({key: {}}) == {DIGESTER.scalar(key): {}}


def test_where_values_are_clear_keys_are_too_but_cut() -> None:
    assert shown({"alice@contoso.com": 1, "x" * 300: 2}, **{"**": Mode.CLEAR}) == {
        "alice@contoso.com": 1,
        "x" * 256 + "…[+44]": 2,
    }


def test_keys_that_are_one_when_cut_are_counted() -> None:
    found = redacted({"x" * 256 + "a": 1, "x" * 256 + "b": [2, 3], "…": 4}, CLEAR, DIGESTER)
    assert json.loads(found.text) == {"x" * 256 + "…[+1]": 1, "…": "…[+3]"}
    assert found.left_out == 3


def test_a_clear_value_is_as_it_came_and_cut() -> None:
    value = {"a": [True, None, 7, -7, "x" * 1030], "b": [1 << 53, 2.5, 2.0, 10**40, -0.0, float("inf")]}
    assert shown(value, **{"**": Mode.CLEAR}) == {
        "a": [True, None, 7, -7, "x" * 1024 + "…[+6]"],
        "b": [str(1 << 53), "2.5", 2, "1" + "0" * 40, 0, "inf"],
    }
    assert plain(HOSTILE) == "?" + HOSTILE[1:]


def test_a_dropped_value_is_gone_and_counted() -> None:
    value: Json = {"a": {"x": [1, 2], "y": {}}, "b": 1}
    found = redacted(value, FieldModes.of({"a": Mode.DROP}), DIGESTER)
    assert (json.loads(found.text), found.dropped) == ({"b": DIGESTER.scalar(1)}, 3)
    whole = redacted(value, FieldModes.of({"**": Mode.DROP}), DIGESTER)
    assert (whole.text, whole.dropped, whole.left_out) == ("null", 4, 0)


@pytest.mark.parametrize(
    ("value", "mask"),
    [
        ("", "mask:text:0:"),
        ("hunter2hunter2!", "mask:text:15:"),
        ("4111111111111234", "mask:text:16:1234"),
        ("x" * 1_000_000 + "\ud800", "mask:text:1000001:xxx?"),
        (1234, "mask:number:4"),
        (2.5, "mask:number:3"),
        (True, "mask:boolean"),
        (None, "mask:null"),
    ],
)
def test_a_mask_keeps_the_kind_and_the_length(value: str | float | None, mask: str) -> None:
    assert masked(value) == mask
    assert shown({"card": value}, card=Mode.MASK) == {"card": mask}


def test_a_credential_is_not_shown_by_accident() -> None:
    assert shown({"user": {"password": "hunter2", "name": "alice"}}, **{"**": Mode.CLEAR}) == {
        "user": {"password": DIGESTER.scalar("hunter2"), "name": "alice"}
    }
    assert shown({"password": "hunter2"}, password=Mode.CLEAR) == {"password": "hunter2"}


def test_what_is_to_be_dropped_beyond_the_bound_is_left_out_unread_and_the_rest_is_shown() -> None:
    modes = FieldModes.of({"items.*": Mode.DROP, "**": Mode.CLEAR})
    items: list[Json] = [[1]] * (DROPS + 5)
    found = redacted({"items": items, "name": "a", "rest": 1}, modes, DIGESTER)
    assert json.loads(found.text) == {"items": ["…[+5]"], "name": "a", "rest": 1}
    assert (found.dropped, found.left_out) == (DROPS, 5)


def test_what_lies_too_deep_is_left_out_and_counted() -> None:
    value: Json = [1, 2]
    for _ in range(DEPTH + 5):
        value = [value]
    found = redacted(value, FieldModes(), DIGESTER)
    assert found.text == "[" * DEPTH + '"…[+2]"' + "]" * DEPTH
    assert found.left_out == 2


def test_what_is_too_many_is_left_out_and_counted() -> None:
    found = redacted(cast("Json", {"rows": [[number] for number in range(VALUES + 44)]}), FieldModes(), DIGESTER)
    assert found.text.count("hmac-sha256") + found.left_out == VALUES + 44
    flat = redacted(cast("Json", list(range(VALUES + 44))), FieldModes(), DIGESTER)
    assert (len(json.loads(flat.text)), json.loads(flat.text)[-1], flat.left_out) == (VALUES + 1, "…[+44]", 44)
    rest = redacted({"a": cast("Json", [0] * VALUES), "b": [1, {"c": 2}]}, CLEAR, DIGESTER)
    assert json.loads(rest.text)["…"] == "…[+2]"


EMPTY: list[Json] = []
LARGE: tuple[object, ...] = (
    ["\0" * 2000] * 300,
    {"\0" * 300 + str(number): "\0" * 2000 for number in range(300)},
    [[[[0]] * 10] * 10] * 100,
    [EMPTY] * 10_000,
    [{"x": "é" * 1024}] * 300,
    [[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]] * 10_000,
    "\ud800" * 1_000_000,
)


@pytest.mark.parametrize("value", LARGE)
def test_no_value_makes_a_record_large(value: object) -> None:
    given = cast("Json", value)
    assert len(redacted(given, CLEAR, DIGESTER).text.encode()) <= BYTES
    assert len(redacted(given, FieldModes(), DIGESTER).text.encode()) <= BYTES
