"""limit-concurrency lets so many calls run at the same time, and refuses the rest at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Hold, Reason
from mcpgov.models import Kind
from tests.policy.calls import admitted, answer, answered, assert_refused, context, decision, document

if TYPE_CHECKING:
    from mcpgov.decision import Decision, Effect
    from mcpgov.models import Json
    from mcpgov.policy.context import Context

YAML = "inbound: [limit-concurrency: { max-count: 3, do: [{ tool-rules: { deny: [delete_*] } }] }]"
XML = """\
<inbound>
  <base />
  <limit-concurrency max-count="3">
    <tool-rules><deny tool="delete_*" /></tool-rules>
  </limit-concurrency>
</inbound>
"""
CALLER = Hold("limit-concurrency/3/tools/call/key:k1", 3)


def held(text: str, asked: Context, *, free: bool = True) -> tuple[Decision, list[Hold]]:
    """The verdict on a request, and the places it asked for."""
    found: list[Hold] = []

    def perform(effect: Effect) -> object:
        if not isinstance(effect, Hold):
            return admitted(effect)
        found.extend([] if effect in found else [effect])  # a hidden tool is looked at twice
        return free

    return decision(text, asked, perform), found


@pytest.mark.parametrize("text", [YAML, XML])
def test_call_takes_a_place_and_the_elements_inside_are_run(text: str) -> None:
    verdict, places = held(text, context())
    assert (verdict.reason, places) == (Reason.ALLOWED, [CALLER])
    verdict, places = held(text, context(tool="delete_issue"))
    assert (verdict.reason, verdict.rule, places) == (Reason.TOOL_HIDDEN, "test#1.1 tool-rules", [CALLER])


@pytest.mark.parametrize("text", [YAML, XML])
def test_call_without_a_place_is_refused_at_once(text: str) -> None:
    verdict, _ = held(text, context(tool="delete_issue"), free=False)
    assert (verdict.reason, verdict.rule) == (Reason.CONCURRENCY_LIMITED, "test#1 limit-concurrency")
    assert verdict.message == "Only 3 calls may run at the same time. Try again when one has ended."


def test_only_calls_of_tools_take_a_place_unless_requests_do() -> None:
    stream = context("", kind=Kind.STREAM)
    assert held(YAML, stream, free=False)[0].allowed
    every = "inbound: [limit-concurrency: { max-count: 3, counts: requests }]"
    assert held(every, stream)[1] == [Hold("limit-concurrency/3/requests/key:k1", 3)]


def test_key_may_be_another() -> None:
    text = "inbound: [limit-concurrency: { key: connection.name, max-count: 2 }]"
    assert held(text, context())[1] == [Hold("limit-concurrency/2/tools/call/github", 2)]
    text = '<backend><base /><limit-concurrency key="all" max-count="2" /></backend>'
    assert held(text, context())[1] == [Hold("limit-concurrency/2/tools/call/all", 2)]


def test_key_without_a_value_denies_and_takes_no_place() -> None:
    text = "inbound: [limit-concurrency: { key: 'request.headers[\"x-user\"]', max-count: 2 }]"
    verdict, places = held(text, context())
    assert (verdict.reason, places) == (Reason.POLICY_ERROR, [])


async def test_what_hides_a_tool_inside_hides_it_from_lists() -> None:
    tools: Json = {"id": 1, "result": {"tools": [{"name": "delete_issue"}, {"name": "get_issue"}]}}
    _, (message,) = await answered(YAML, context("tools/list"), answer(tools))
    assert isinstance(message, dict)
    assert message["result"] == {"tools": [{"name": "get_issue"}]}


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- max-count is missing"]),
        ("{ max-count: 0, do: nothing }", ["0, do <- max-count must be a whole", "nothing } <- do must be a list"]),
        ("{ max-count: 1, do: [{ nothing: {} }] }", ["nothing: <- there is no policy element nothing"]),
        ("{ max-count: 1, key: '' }", ["'' } <- key must be text that is not empty"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("limit-concurrency", element, expected)


def test_remarks_say_what_api_management_would_do_otherwise() -> None:
    assert [remark.message for remark in document(XML).remarks][:3] == [
        "only calls of tools count; API Management counts every request",
        "without key it is the caller; API Management refuses that",
        "a call keeps its place until it has ended; in API Management, until the elements inside have run",
    ]
    assert document(YAML).remarks == ()
