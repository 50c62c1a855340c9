"""Tools that need more than one round (2026-07-28): the result asks, the client calls again with the answers.

`requestState` is plain text here; the server's state boundary seals it on the way out and refuses a changed one, so a
tool sees only a state that it gave out itself.
"""

from typing import Final

import mcp_types as types
from mcp.shared.exceptions import MCPError

from tests.conformance.fixture import Call, FixtureTool, ToolResult, define, takes, text

NAME_SCHEMA: Final = takes({"name": {"type": "string"}}, ["name"])
COLOR_SCHEMA: Final = takes({"color": {"type": "string"}}, ["color"])
OK_SCHEMA: Final = takes({"ok": {"type": "boolean"}}, ["ok"])


def ask_user(message: str, schema: types.ElicitRequestedSchema) -> types.ElicitRequest:
    """An input request for a form."""
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def ask_model(prompt: str, max_tokens: int) -> types.CreateMessageRequest:
    """An input request for a message of the client's model."""
    question = types.SamplingMessage(role="user", content=types.TextContent(text=prompt))
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(messages=[question], max_tokens=max_tokens)
    )


def ask(requests: types.InputRequests, state: str | None = None) -> types.InputRequiredResult:
    """The result that asks for these inputs, with the state to be sent back."""
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def form(answer: types.InputResponse | None, field: str) -> object | None:
    """One field of an accepted form, None when there is no such answer."""
    if isinstance(answer, types.ElicitResult) and answer.action == "accept" and answer.content:
        return answer.content.get(field)
    return None


async def elicitation(call: Call) -> ToolResult:
    name = form(call.answer("user_name"), "name")
    if name is None:
        return ask({"user_name": ask_user("What is your name?", NAME_SCHEMA)})
    return text(f"Hello, {name}!")


async def sampling(call: Call) -> ToolResult:
    answer = call.answer("capital_question")
    if not isinstance(answer, types.CreateMessageResult):
        return ask({"capital_question": ask_model("What is the capital of France?", 100)})
    return text(f"The model said: {answer.content}")


async def list_roots(call: Call) -> ToolResult:
    answer = call.answer("client_roots")
    if not isinstance(answer, types.ListRootsResult):
        return ask({"client_roots": types.ListRootsRequest()})
    return text(f"Roots: {[str(root.uri) for root in answer.roots]}")


async def request_state(call: Call) -> ToolResult:
    if call.params.request_state != "confirming" or form(call.answer("confirm"), "ok") is None:
        return ask({"confirm": ask_user("Please confirm", OK_SCHEMA)}, "confirming")
    return text("state-ok")


async def multiple_inputs(call: Call) -> ToolResult:
    requests: types.InputRequests = {
        "user_name": ask_user("What is your name?", NAME_SCHEMA),
        "greeting": ask_model("Generate a greeting", 50),
        "client_roots": types.ListRootsRequest(),
    }
    if any(call.answer(key) is None for key in requests):
        return ask(requests, "waiting for three")
    return text("All three inputs received")


async def multi_round(call: Call) -> ToolResult:
    state = call.params.request_state or ""
    if state.startswith("named "):
        color = form(call.answer("step2"), "color")
        if color is not None:
            return text(f"{state.removeprefix('named ')} likes {color}")
    name = form(call.answer("step1"), "name")
    if name is not None:
        return ask({"step2": ask_user("Step 2: What is your favorite color?", COLOR_SCHEMA)}, f"named {name}")
    return ask({"step1": ask_user("Step 1: What is your name?", NAME_SCHEMA)}, "unnamed")


async def capabilities(call: Call) -> ToolResult:
    """Ask only in the ways that the client declared."""
    declared = call.context.session.client_capabilities or types.ClientCapabilities()
    requests: types.InputRequests = {}
    if declared.sampling is not None:
        requests["greeting"] = ask_model("Generate a greeting", 50)
    if declared.elicitation is not None:
        requests["user_name"] = ask_user("What is your name?", NAME_SCHEMA)
    if not requests or any(call.answer(key) is not None for key in requests):
        return text("No further input needed")
    return ask(requests)


async def missing_capability(call: Call) -> ToolResult:
    """Refuse a client that did not declare sampling, as this tool cannot do without (-32021)."""
    declared = call.context.session.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool needs the client capability 'sampling'",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return text("The client declared sampling")


INPUT_REQUIRED_TOOLS: Final[tuple[FixtureTool, ...]] = (
    define("test_input_required_result_elicitation", "Needs a name", elicitation),
    define("test_streaming_elicitation", "Needs a name, asked for without a request on the stream", elicitation),
    define("test_input_required_result_sampling", "Needs a message of the model", sampling),
    define("test_input_required_result_list_roots", "Needs the client's roots", list_roots),
    define("test_input_required_result_request_state", "Needs its state back", request_state),
    define("test_input_required_result_tampered_state", "Refuses a changed state", request_state),
    define("test_input_required_result_multiple_inputs", "Needs three inputs at once", multiple_inputs),
    define("test_input_required_result_multi_round", "Needs two rounds of input", multi_round),
    define("test_input_required_result_capabilities", "Asks only what the client can answer", capabilities),
    define("test_missing_capability", "Needs the client capability 'sampling'", missing_capability),
)
