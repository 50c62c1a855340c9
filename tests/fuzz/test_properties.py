"""What the judges ask of arbitrary bytes, asked of what is well made: messages, streams, chains, edited exports."""

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.endpoint.inbound import META_KEYS, PARAMS_KEYS
from mcpgov.errors import Refusal
from mcpgov.handles.seal import Holder, Seal, Sort
from mcpgov.messages import ENVELOPE_KEYS
from tests.endpoint.messages import call, lookalikes, mirrors, post, stateless
from tests.examples import many
from tests.fuzz.targets import answers, audit_export, client_ip, gate, sse, strict_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, TREES, max_size=4)
LINES = ("data: ", "data:", "data", "id: 1", "event: message", ": ping", "retry: 9", "\ufeff", "x")
ENDS = ("\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "\r\r")
HOPS = (
    "10.0.0.1",
    "192.0.2.7",
    "fd00::1",
    "203.0.113.9",
    "[fd00::2]:443",
    "10.1.1.1:80",
    "::ffff:10.0.0.3",
    "junk",
    "",
)


@st.composite
def spellings(draw: st.DrawFn, value: Any) -> str:
    """One of the many ways to write a value in JSON: white space and escapes of any kind."""
    blank = draw(st.sampled_from(["", " ", "\n\t"]))
    if isinstance(value, dict):
        value = cast("dict[str, Any]", value)
        members = [f"{draw(spellings(key))}{blank}:{draw(spellings(one))}" for key, one in value.items()]
        return "{" + blank + f",{blank}".join(members) + "}"
    if isinstance(value, list):
        value = cast("list[Any]", value)
        return "[" + f"{blank},".join(draw(spellings(one)) for one in value) + blank + "]"
    if isinstance(value, str) and value:
        at = draw(st.integers(0, len(value) - 1))
        escaped = json.dumps(value[at]).strip('"') if ord(value[at]) > 0xFFFF else f"\\u{ord(value[at]):04x}"
        before, after = (
            json.dumps(part, ensure_ascii=draw(st.booleans()))[1:-1] for part in (value[:at], value[at + 1 :])
        )
        return f'"{before}{escaped}{after}"'
    return json.dumps(value)


@many
@given(OBJECTS, st.sampled_from(["", "2025-11-25", "2026-07-28"]), st.data())
def test_a_message_in_any_spelling_passes_and_says_one_thing(
    arguments: dict[str, Any], version: str, data: st.DataObject
) -> None:
    message = stateless("tools/call", name="echo") if version == "2026-07-28" else call()
    params: Any = message["params"]
    params["arguments"] = arguments
    body = data.draw(spellings(message)).encode()
    fields = mirrors("tools/call", "echo") if version == "2026-07-28" else {"mcp-protocol-version": version}
    request = post(body, {name: value for name, value in fields.items() if value})
    assert request.body == body
    assert repr(request.params["arguments"]) == repr(arguments)
    top = "".join(
        f"{name}: {value}\n" for name, value in {"content-type": "application/json", **fields}.items() if value
    )
    gate.judge(f"POST\n{top}\n".encode() + body)
    strict_json.judge(body)


@many
@given(st.sampled_from([ENVELOPE_KEYS, PARAMS_KEYS, META_KEYS]), st.data())
def test_no_second_spelling_of_a_key_passes_the_gate(keys: frozenset[str], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(keys)))
    other = data.draw(st.just(key) | lookalikes(key).filter(lambda text: text not in keys))
    where = {ENVELOPE_KEYS: 0, PARAMS_KEYS: 1, META_KEYS: 2}[keys]
    levels = ['"jsonrpc":"2.0","id":7,"method":"tools/call"', '"name":"echo"', '"vendor/key":1']
    pair = f"{data.draw(spellings(other))}:1,{data.draw(spellings(key))}:2"
    levels[where] = f"{levels[where]},{pair}" if other != key or key not in levels[where] else f"{pair},{levels[where]}"
    params = "" if keys is ENVELOPE_KEYS and key == "params" else f',"params":{{{levels[1]},"_meta":{{{levels[2]}}}}}'
    body = f"{{{levels[0]}{params}}}".encode()
    with pytest.raises(Refusal) as caught:
        post(body)
    assert caught.value.reason in {Reason.AMBIGUOUS_KEY, Reason.DUPLICATE_KEY}


@many
@given(
    st.integers(0, 255),
    st.lists(st.tuples(st.sampled_from(LINES), TEXTS | st.just('{"a":"\u2028"}'), st.sampled_from(ENDS)), max_size=12),
)
def test_a_stream_in_any_chunks_is_the_same_events(size: int, lines: list[tuple[str, str, str]]) -> None:
    sse.judge(bytes([size]) + "".join("".join(line) for line in lines).encode())


@many
@given(st.binary(min_size=2, max_size=2), st.sampled_from([1, "1", 1.0, True, None, 2]), OBJECTS, OBJECTS)
def test_only_an_answer_to_the_request_is_told(
    kind: bytes, answered: object, result: dict[str, Any], more: dict[str, Any]
) -> None:
    for part in (
        {"result": result},
        {"error": {"code": 1, "message": "no"}},
        {"method": "x"},
        {"result": 1, "error": 2},
    ):
        answers.judge(kind + json.dumps({**more, "jsonrpc": "2.0", "id": answered, **part}).encode())


@many
@given(st.sampled_from(HOPS), st.lists(st.lists(st.sampled_from(HOPS), max_size=4).map(", ".join), max_size=3))
def test_no_chain_of_proxies_is_believed_further_than_is_trusted(peer: str, fields: list[str]) -> None:
    client_ip.judge("\n".join([peer, *fields]).encode())


WHO = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20)
HOLDERS = st.builds(Holder, WHO, WHO, WHO, WHO)


@many
@given(st.binary(min_size=1, max_size=64), st.sampled_from(Sort), HOLDERS, st.sampled_from(Sort), HOLDERS, st.data())
def test_what_is_sealed_opens_for_its_own_holder_alone(
    own: bytes, sort: Sort, holder: Holder, other_sort: Sort, other: Holder, data: st.DataObject
) -> None:
    seal = Seal(bytes(32))
    sealed = seal.seal(own, sort, holder)
    assert sealed is not None
    assert seal.unseal(sealed, sort, holder) == own
    at = data.draw(st.integers(0, len(sealed) - 1))
    letter = data.draw(st.sampled_from("aZ0-_=+").filter(lambda one: one != sealed[at]))
    assert seal.unseal(sealed[:at] + letter + sealed[at + 1 :], sort, holder) is None
    assert (other_sort, other) == (sort, holder) or seal.unseal(sealed, other_sort, other) is None


EXPORT = audit_export.CLEAN.splitlines(keepends=True)
PLACES = st.integers(0, len(EXPORT) - 2)


@many
@given(st.sampled_from(["drop", "double", "swap", "change", "cut", "insert"]), PLACES, PLACES, st.data())
def test_no_edit_of_an_export_is_overlooked(kind: str, one: int, other: int, data: st.DataObject) -> None:
    lines = list(EXPORT)
    if kind == "drop":
        del lines[one]
    elif kind == "double":
        lines.insert(other, lines[one])
    elif kind == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    else:
        at = data.draw(st.integers(0, len(lines[one]) - 1))
        byte = data.draw(st.binary(min_size=1, max_size=3))
        rest = {"change": at + len(byte), "cut": len(lines[one]), "insert": at}[kind]
        lines[one] = lines[one][:at] + (b"" if kind == "cut" else byte) + lines[one][rest:]
    audit_export.judge(b"".join(lines))
