"""find-and-replace changes the text of an answer, and nothing that is no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from tests.policy.calls import answer, answered, context, document, problems

if TYPE_CHECKING:
    from mcpgov.models import Json

YAML = "outbound: [find-and-replace: { from: inner, to: outer }]"
XML = '<outbound><find-and-replace from="inner" to="outer" /></outbound>'
BOTH = pytest.mark.parametrize("text", [YAML, XML], ids=["yaml", "xml"])
RESULT: dict[str, Json] = {
    "content": [
        {"type": "text", "text": "inner, inner"},
        {"type": "image", "mimeType": "image/png", "data": "inner"},
        {"type": "resource", "resource": {"uri": "inner:", "mimeType": "a/b", "blob": "inner"}},
    ],
    "structuredContent": {"inner": ["an inner", 1, None, True], "data": "inner"},
}
SHOWN: dict[str, Json] = {
    "content": [
        {"type": "text", "text": "outer, outer"},
        {"type": "image", "mimeType": "image/png", "data": "inner"},
        {"type": "resource", "resource": {"uri": "outer:", "mimeType": "a/b", "blob": "inner"}},
    ],
    "structuredContent": {"inner": ["an outer", 1, None, True], "data": "outer"},
}


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_every_string_of_a_result_is_looked_into_and_no_key(text: str, *, stream: bool) -> None:
    given: dict[str, Json] = {"jsonrpc": "2.0", "id": 1, "result": RESULT, "inner": "inner"}
    _, messages = await answered(text, context(), answer(given, stream=stream))
    assert messages == [{**given, "result": SHOWN}]


@BOTH
async def test_errors_and_what_the_server_says_on_its_own_are_looked_into(text: str) -> None:
    error: Json = {"code": 1, "message": "no inner", "data": {"mimeType": "a/b", "data": "inner"}}
    said: Json = {"method": "notifications/message", "params": {"data": "inner"}}
    _, messages = await answered(text, context(), answer(said, {"id": 1, "error": error}, stream=True))
    assert messages == [
        {"method": "notifications/message", "params": {"data": "outer"}},
        {"id": 1, "error": {"code": 1, "message": "no outer", "data": {"mimeType": "a/b", "data": "outer"}}},
    ]


@pytest.mark.parametrize(
    "hidden",
    [
        {"structuredContent": {"mimeType": "image/png", "data": "inner"}},
        {"content": [{"type": "image", "mimeType": "image/png", "data": "inner, no base64"}]},
    ],
)
async def test_text_that_only_looks_like_a_file_is_looked_into(hidden: Json) -> None:
    _, messages = await answered(YAML, context(), answer({"id": 1, "result": hidden}))
    assert "inner" not in str(messages)


@pytest.mark.parametrize("given", [{"id": 1, "error": {"message": 5}, "a": "inner"}, {}])
async def test_what_is_neither_stays_as_it_is(given: dict[str, Json]) -> None:
    _, messages = await answered(YAML, context(), answer(given))
    assert messages == [given]


async def test_text_under_escapes_is_found() -> None:
    given = answer({"id": 1, "result": {"text": "Zürich"}})
    _, messages = await answered("outbound: [find-and-replace: { from: Zürich, to: Bern }]", context(), given)
    assert messages == [{"id": 1, "result": {"text": "Bern"}}]


async def test_an_answer_without_the_text_passes_byte_for_byte() -> None:
    given = answer({"id": 1, "result": {"text": "nothing \u2028"}})
    shown, _ = await answered(YAML, context(), given)
    assert shown.reply is None


async def test_what_is_looked_for_may_be_computed() -> None:
    text = "outbound: [find-and-replace: { from: '${{ principal.name }}', to: '' }]"
    _, messages = await answered(text, context(), answer({"result": {"text": "the first one"}}))
    assert messages == [{"result": {"text": "the  one"}}]


async def test_text_to_look_for_that_turns_out_empty_denies() -> None:
    text = "outbound: [find-and-replace: { from: '${{ mcp.tool.name }}', to: a }]"
    with pytest.raises(Refusal) as caught:
        await answered(text, context("tools/list"), answer({}))
    assert caught.value.reason is Reason.POLICY_ERROR


@pytest.mark.parametrize("section", ["inbound", "backend", "on-error"])
def test_it_stands_in_outbound_only(section: str) -> None:
    (found,) = problems(f"{section}: [find-and-replace: {{ from: a, to: b }}]")
    assert f"find-and-replace may not stand in {section}: " in found
    assert found.endswith("(move it to outbound)")


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{ to: a }", "from is missing"),
        ("{ from: a }", "to is missing"),
        ("{ from: '', to: a }", "from must not be empty"),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: str) -> None:
    (found,) = problems(f"outbound: [find-and-replace: {element}]")
    assert expected in found


def test_lint_says_what_api_management_would_do_otherwise() -> None:
    (remark,) = document(XML.replace("<find", "<base /><find")).remarks
    assert "replaces in the bytes" in remark.message
