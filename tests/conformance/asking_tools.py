"""Tools that ask their client in the middle of a call by a server-to-client request (2025-03-26 to 2025-11-25).

On 2026-07-28 there is no such request: there they answer with an error, and `input_required_tools` take their place.
"""

import json
from typing import Final

import mcp_types as types
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.message import ServerMessageMetadata

from tests.conformance.fixture import Call, FixtureTool, JsonObject, ToolResult, define, failure, takes, text

PERSON_SCHEMA: Final = takes(
    {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    required=["username", "email"],
)

DEFAULTS_SCHEMA: Final = takes(
    {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
)

OPTIONS: Final = ("option1", "option2", "option3")
TITLED_OPTIONS: Final[tuple[JsonObject, ...]] = (
    {"const": "value1", "title": "First Option"},
    {"const": "value2", "title": "Second Option"},
    {"const": "value3", "title": "Third Option"},
)

ENUMS_SCHEMA: Final = takes(
    {
        "untitledSingle": {"type": "string", "enum": list(OPTIONS)},
        "titledSingle": {"type": "string", "oneOf": list(TITLED_OPTIONS)},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": list(OPTIONS)}},
        "titledMulti": {"type": "array", "items": {"anyOf": list(TITLED_OPTIONS)}},
    }
)


async def sample(call: Call) -> ToolResult:
    """Ask the client's model for a message and answer with it."""
    question = types.SamplingMessage(role="user", content=types.TextContent(text=str(call.arguments["prompt"])))
    request = types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[question], max_tokens=100))
    try:
        answer = await call.context.session.send_request(
            request,
            types.CreateMessageResult,
            metadata=ServerMessageMetadata(related_request_id=call.context.request_id),
        )
    except NoBackChannelError:
        return failure("This protocol version has no requests from server to client")
    said = answer.content.text if isinstance(answer.content, types.TextContent) else answer.content.type
    return text(f"LLM response: {said}")


async def elicit(call: Call, message: str, schema: JsonObject) -> ToolResult:
    """Ask the client's user to fill in a form and answer with what came back."""
    try:
        answer = await call.context.session.elicit_form(message, schema, call.context.request_id)
    except NoBackChannelError:
        return failure("This protocol version has no requests from server to client")
    return text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}")


async def elicit_person(call: Call) -> ToolResult:
    return await elicit(call, str(call.arguments["message"]), PERSON_SCHEMA)


async def elicit_defaults(call: Call) -> ToolResult:
    return await elicit(call, "Please review the defaults", DEFAULTS_SCHEMA)


async def elicit_enums(call: Call) -> ToolResult:
    return await elicit(call, "Please choose from each list", ENUMS_SCHEMA)


ASKING_TOOLS: Final[tuple[FixtureTool, ...]] = (
    define("test_sampling", "Asks the client's model", sample, takes({"prompt": {"type": "string"}}, ["prompt"])),
    define(
        "test_elicitation", "Asks the client's user", elicit_person, takes({"message": {"type": "string"}}, ["message"])
    ),
    define("test_elicitation_sep1034_defaults", "Asks with a default for each primitive type", elicit_defaults),
    define("test_elicitation_sep1330_enums", "Asks with each form of an enumeration", elicit_enums),
)
