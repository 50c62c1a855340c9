"""What may not come back does not: hidden text, secrets, too much; in JSON and in streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Kind
from mcpgov.policy.elements.result_rules import LONGEST
from mcpgov.policy.json_paths import MAX_PLACES
from tests.policy.calls import answer, answered, context, document, problems

if TYPE_CHECKING:
    from mcpgov.models import Json
    from mcpgov.policy.context import Context

REDACT = "outbound: [result-rules: { redact: [{ pattern: 'sk-[a-z]+' }, { pattern: '[0-9]{4}', replace: PIN }] }]"
BOTH = [
    """outbound: [result-rules: { tools: [get_*], strip-hidden: true, redact: [{ pattern: 'sk-[a-z]+' }],
    redact-paths: [$.structuredContent.mail], max-size: 300, on-exceed: truncate }]""",
    """<outbound><result-rules strip-hidden="true" max-size="300" on-exceed="truncate"><tool>get_*</tool>
    <redact pattern="sk-[a-z]+" /><redact-path>$.structuredContent.mail</redact-path></result-rules></outbound>""",
]


def result(text: str, **more: Json) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}], **more}}


async def shown(rules: str, *messages: Json, asked: Context | None = None, stream: bool = False) -> list[Json]:
    return (await answered(rules, asked or context(), answer(*messages, stream=stream)))[1]


async def refusal(rules: str, message: Json, asked: Context | None = None) -> Refusal:
    with pytest.raises(Refusal) as raised:
        await shown(rules, message, asked=asked)
    return raised.value


@pytest.mark.parametrize("rules", BOTH)
@pytest.mark.parametrize("stream", [False, True])
async def test_everything_is_done_in_order_in_both_syntaxes(rules: str, *, stream: bool) -> None:
    given = result("key s\u200bk-abc" + "x" * 400, structuredContent={"mail": "a@b", "n": 1})
    (message,) = await shown(rules, given, stream=stream)
    assert isinstance(message, dict)
    assert message["id"] == 1
    assert message["result"] == {
        "content": [{"type": "text", "text": "key ***"}],
        "structuredContent": {"mail": "***", "n": 1},
    }


async def test_secrets_are_blacked_out_in_results_errors_and_what_the_server_says_on_its_own() -> None:
    messages = await shown(
        REDACT,
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "sk-abc", "sk-abc": 1}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "no sk-abc", "data": {"pin": "1234"}}},
        {"jsonrpc": "2.0", "id": 1, "result": {"contents": [{"uri": "x", "text": "sk-abc"}]}},
        stream=True,
    )
    assert messages == [
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "***", "sk-abc": 1}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "no ***", "data": {"pin": "PIN"}}},
        {"jsonrpc": "2.0", "id": 1, "result": {"contents": [{"uri": "x", "text": "***"}]}},
    ]


@pytest.mark.parametrize("method", ["resources/read", "prompts/get", "tools/list"])
async def test_answers_to_every_method_are_looked_into(method: str) -> None:
    assert "sk-abc" not in str(await shown(REDACT, result("sk-abc"), asked=context(method)))


async def test_clean_answer_passes_byte_for_byte() -> None:
    given = answer(result("fine"))
    passed, _ = await answered(REDACT, context(), given)
    raw = [event.raw async for events in answer(result("fine")).events for event in events]
    assert raw == [b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"fine"}]}}']
    assert passed.headers is given.headers


async def test_other_tools_are_left_alone_but_a_stream_is_looked_into() -> None:
    rules = "outbound: [result-rules: { tools: [get_*], strip-hidden: true }]"
    given = result("a\u200b")
    assert await shown(rules, given, asked=context(tool="list_issues")) == [given]
    assert await shown(rules, given, asked=context("prompts/get")) == [given]
    assert await shown(rules, given, asked=context("", kind=Kind.STREAM), stream=True) == [result("a")]


async def test_result_that_is_too_large_is_denied() -> None:
    rules = "outbound: [result-rules: { max-size: 100 }]"
    denied = await refusal(rules, result("secret" * 100))
    assert (denied.reason, denied.as_tool_result) == (Reason.RESULT_DENIED, True)
    assert denied.detail == "test#outbound.1 result-rules: 639 bytes in result"
    assert await shown(rules, result("x" * 50)) == [result("x" * 50)]
    assert (await refusal(rules, {"error": {"message": "x" * 100}})).detail.endswith("in error")


async def test_size_is_measured_when_everything_else_is_done() -> None:
    rules = "outbound: [result-rules: { max-size: 100, redact: [{ pattern: 'q+', replace: y }] }]"
    assert await shown(rules, result("q" * 500)) == [result("y")]


async def test_only_results_are_cut() -> None:
    rules = "outbound: [result-rules: { max-size: 100, on-exceed: truncate }]"
    assert "[truncated]" in str(await shown(rules, result("x" * 500)))
    assert (await refusal(rules, {"method": "n", "params": {"text": "x" * 500}})).reason is Reason.RESULT_DENIED
    assert (await refusal(rules, result("x", tools=["x" * 500]))).reason is Reason.RESULT_DENIED


async def test_text_that_is_too_long_to_look_through_is_denied() -> None:
    denied = await refusal(REDACT, result("x" * (LONGEST + 1)))
    assert denied.detail == "test#outbound.1 result-rules: a text has more than 1048576 characters"


async def test_text_made_to_be_searched_too_often_is_denied_and_never_passed() -> None:
    rules = "outbound: [result-rules: { redact: [{ pattern: '(?s)a(.*b)?' }] }]"
    denied = await refusal(rules, result("a" * 20_000))
    assert denied.reason is Reason.RESULT_DENIED
    assert denied.detail.endswith("result-rules: there are too many matches in too long a text")
    assert (await refusal(rules, result("a" * 13_000, more="a" * 13_000))).reason is Reason.RESULT_DENIED


async def test_number_is_blacked_out_as_it_is_written_but_not_the_code_of_an_error() -> None:
    (message,) = await shown(REDACT, result("x", structuredContent={"pin": 1234, "n": [1, True, 1234.5]}))
    assert isinstance(message, dict)
    assert "1234" not in str(message)
    assert str(message).count("PIN") == 2
    error: dict[str, Json] = {"code": -32602, "message": "no", "data": 32602}
    assert await shown(REDACT, {"id": 1, "error": error}) == [{"id": 1, "error": {**error, "data": "PIN2"}}]
    assert await shown(REDACT, {"id": 1, "error": {"code": "sk-a"}}) == [{"id": 1, "error": {"code": "***"}}]
    assert await shown(REDACT, {"id": 1, "error": "sk-a"}) == [{"id": 1, "error": "***"}]


async def test_path_that_finds_too_many_places_denies() -> None:
    rules = "outbound: [result-rules: { redact-paths: ['$.a[*]'] }]"
    denied = await refusal(rules, result("x", a=[*range(MAX_PLACES + 1)]))
    assert denied.detail == "test#outbound.1 result-rules: a path finds too many places"


async def test_answer_that_cannot_be_read_never_passes() -> None:
    assert (await refusal(REDACT, "\ud800")).reason is Reason.UPSTREAM_INVALID


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["1:26: result-rules says nothing (add max-size, strip-hidden: true, redact or redact-paths)"]),
        ("{ tools: [x], strip-hidden: false }", ["1:26: result-rules says nothing"]),
        ("[]", ["1:26: must be a mapping"]),
        ("{ max-size: 0 }", ["1:38: max-size must be a whole number from 1 to 67108864"]),
        ("{ strip-hidden: true, on-exceed: deny }", ["1:59: on-exceed without max-size does nothing"]),
        ("{ max-size: 1, on-exceed: cut }", ["1:52: on-exceed must be deny or truncate"]),
        ("{ redact: [{}] }", ["1:37: pattern is missing"]),
        ("{ redact: [{ pattern: '(' }] }", ["1:48: pattern: not a regular expression"]),
        ("{ redact: [{ pattern: 'a*' }] }", ["1:48: the pattern matches where nothing is written"]),
        ("{ redact-paths: ['x', $.a] }", ["1:43: redact-paths: no JSONPath"]),
        ("{ max-size: 1, tools: [] }", ["1:48: tools names nothing (remove it, if all of them are meant)"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    found = problems(f"outbound: [result-rules: {element}]")
    assert len(found) == len(expected), found
    assert all(one.startswith(begins) for one, begins in zip(found, expected, strict=True)), found


def test_api_management_would_refuse_it() -> None:
    assert [str(remark) for remark in document(BOTH[1]).remarks][:1] == [
        "policies/test.xml:1:11: API Management has no element result-rules, and refuses the document"
    ]
