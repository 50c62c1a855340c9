"""Where the ids of tasks stand: opened in what a client asks, sealed in what a server says."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.handles.tasks import METHOD_NOT_FOUND, opened, sealed
from mcpgov.models import Era, Kind, MCPRequest
from tests.upstream.calls import call

RELATED = "io.modelcontextprotocol/related-task"
ABOUT = {RELATED: {"taskId": "<1>", "x": 1}, "other": 2}


def own(given: str) -> str | None:
    """Opens what `seal` sealed."""
    return given[1:-1] if given[:1] + given[-1:] == "<>" else None


def seal(given: str) -> str:
    return f"<{given}>"


def opened_params(params: dict[str, Any], method: str = "tasks/get") -> dict[str, Any]:
    """The params of the request that is sent; its body says the same."""
    request = opened(call(method, params), own)
    body = json.loads(request.body)
    assert body["params"] == request.params
    return body["params"]


def test_a_request_names_the_upstreams_task() -> None:
    assert opened_params({"taskId": "<1>", "x": "<2>"}) == {"taskId": "1", "x": "<2>"}
    assert opened_params({"_meta": ABOUT}, "tools/call")["_meta"] == {RELATED: {"taskId": "1", "x": 1}, "other": 2}
    both = opened_params({"taskId": "<1>", "_meta": ABOUT}, "tasks/result")
    assert (both["taskId"], both["_meta"][RELATED]["taskId"]) == ("1", "1")


def test_what_mcp_name_mirrors_is_the_upstreams_id_too() -> None:
    request = replace(call("tasks/get", {"taskId": "<1>"}), name="<1>")
    assert opened(request, own).name == "1"
    tool = replace(call("tools/call", {"name": "<1>", "arguments": {"taskId": "<1>"}}), name="<1>")
    assert opened(tool, own) is tool


def test_of_the_tasks_to_be_told_of_those_are_left_out_that_are_none_of_the_callers() -> None:
    params = {"notifications": {"taskIds": ["<1>", "2", 3, "<4>"], "toolsListChanged": True}}
    assert opened_params(params, "subscriptions/listen")["notifications"] == {
        "taskIds": ["1", "4"],
        "toolsListChanged": True,
    }


@pytest.mark.parametrize(
    "params",
    [
        {"taskId": "1"},
        {"taskId": ""},
        {"taskId": 1},
        {"taskId": ["<1>"]},
        {"_meta": {RELATED: {"taskId": "1"}}},
        {"taskId": "<1>", "_meta": {RELATED: {"taskId": False}}},
    ],
)
@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel", "tasks/update", "x/y", "tools/call"])
def test_a_task_of_nobody_is_refused_whatever_is_asked_of_it(params: dict[str, Any], method: str) -> None:
    with pytest.raises(Refusal) as no:
        opened(call(method, params), own)
    assert (no.value.reason, no.value.code) == (Reason.UNKNOWN_TASK, None)


def test_a_key_that_is_spelled_with_an_escape_is_read_as_what_it_is() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"task\\u0049d":"<1>"}}'
    request = replace(call("tasks/get", {"taskId": "<1>"}), body=body)
    assert json.loads(opened(request, own).body)["params"] == {"taskId": "1"}


def test_no_server_is_asked_for_everybodys_tasks() -> None:
    with pytest.raises(Refusal) as no:
        opened(call("tasks/list", {}), own)
    assert (no.value.reason, no.value.code) == (Reason.UNKNOWN_TASK, METHOD_NOT_FOUND)


def said(message: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """What is sent on of a client's message that is no request."""
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    made = MCPRequest(call().head, call().era, kind, "", body, params=message.get("params", {}))
    request = opened(made, own)
    return {key: value for key, value in json.loads(request.body).items() if key != "jsonrpc"}


def test_a_client_answers_about_a_task_of_the_server_and_about_one_of_its_own() -> None:
    answer = {"id": 1, "result": {"_meta": ABOUT}}
    assert said(answer, Kind.RESPONSE)["result"]["_meta"][RELATED] == {"taskId": "1", "x": 1}
    its_own = {"id": 1, "result": {"task": {"taskId": "mine"}, "_meta": {RELATED: {"taskId": "mine"}}}}
    assert said(its_own, Kind.RESPONSE) == its_own
    note = {"method": "notifications/progress", "params": {"_meta": ABOUT}}
    assert said(note, Kind.NOTIFICATION)["params"]["_meta"][RELATED] == {"taskId": "1", "x": 1}
    status = {"method": "notifications/tasks/status", "params": {"taskId": "mine"}}
    assert said(status, Kind.NOTIFICATION) == status


TASK = {"taskId": "1", "status": "working"}
SEALED = {"taskId": "<1>", "status": "working"}
TOLD = {RELATED: {"taskId": "1"}}
TOLD_SEALED = {RELATED: {"taskId": "<1>"}}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"id": 1, "result": {"task": TASK, "_meta": TOLD}}, {"result": {"task": SEALED, "_meta": TOLD_SEALED}}),
        ({"id": 1, "result": {"resultType": "task", **TASK}}, {"result": {"resultType": "task", **SEALED}}),
        (
            {"id": 1, "result": {**TASK, "result": {"content": [], "_meta": TOLD}}},
            {"result": {**SEALED, "result": {"content": [], "_meta": TOLD_SEALED}}},
        ),
        ({"method": "notifications/tasks/status", "params": TASK}, {"params": SEALED}),
        ({"method": "notifications/tasks", "params": TASK}, {"params": SEALED}),
        ({"id": 9, "method": "elicitation/create", "params": {"_meta": TOLD}}, {"params": {"_meta": TOLD_SEALED}}),
        (
            {"method": "notifications/subscriptions/acknowledged", "params": {"notifications": {"taskIds": ["1", 2]}}},
            {"params": {"notifications": {"taskIds": ["<1>"]}}},
        ),
        ({"id": 9, "method": "tasks/get", "params": {"taskId": "the client's"}}, {}),
        ({"id": 1, "result": {"content": [{"taskId": "1"}], "taskId": "1", "structuredContent": TASK}}, {}),
        ({"id": 1, "result": {"task": "taskId"}}, {}),
        ({"id": 1, "error": {"code": 1, "message": "taskId"}}, {}),
    ],
)
def test_a_task_is_sealed_wherever_a_server_tells_of_it(message: dict[str, Any], shown: dict[str, Any]) -> None:
    data = json.dumps({"jsonrpc": "2.0", **message}).encode()
    assert json.loads(sealed(data, seal)) == {"jsonrpc": "2.0", **message, **shown}


def test_every_other_byte_stays() -> None:
    data = b'{ "jsonrpc":"2.0","id" : 1, "result":{"task":{"n":1.50,"taskId" :"\xc3\xa9","status":"working"}, "z":1e2}}'
    assert sealed(data, lambda _id: "<>") == data.replace(b'"\xc3\xa9"', b'"<>"')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b'"taskId"',
        b'{"taskId"',
        b'{"result":{"taskId":"1","taskId":"2","status":"x"}}',
        b'{"result":{"content":["no task"]}}',
    ],
)
def test_what_is_no_message_about_a_task_passes_as_it_is(data: bytes) -> None:
    assert sealed(data, seal) is data


@given(st.binary(max_size=60))
def test_no_bytes_of_a_server_can_make_it_fail(data: bytes) -> None:
    for text in (data, b'{"jsonrpc":"2.0","id":1,"result":{"taskId":' + data + b"}}"):
        sealed(text, seal)


def test_what_its_revision_has_removed_is_not_found() -> None:
    with pytest.raises(Refusal) as no:
        opened(call("tasks/result", {"taskId": "<1>"}, era=Era.STATELESS), own)
    assert (no.value.reason, no.value.code) == (Reason.UNKNOWN_TASK, METHOD_NOT_FOUND)
