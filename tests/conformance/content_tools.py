"""Tools that answer by themselves: each kind of content, notifications on the way, failure, slowness, schemas."""

import asyncio
from typing import Final

import mcp_types as types
from mcp.shared.subscriptions import PromptsListChanged, ToolsListChanged

from tests.conformance.fixture import (
    PNG_PIXEL,
    WAV_SILENCE,
    Call,
    FixtureTool,
    JsonObject,
    ToolResult,
    define,
    failure,
    result,
    takes,
    text,
)

PAUSE_SECONDS: Final = 0.05
RECONNECT_SECONDS: Final = 0.2

JSON_SCHEMA_2020_12: Final[JsonObject] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def resource_block(uri: str, mime_type: str, words: str) -> types.EmbeddedResource:
    """A text resource as a content block."""
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type=mime_type, text=words))


async def simple_text(_: Call) -> ToolResult:
    return text("This is a simple text response for testing.")


async def image(_: Call) -> ToolResult:
    return result(types.ImageContent(data=PNG_PIXEL, mime_type="image/png"))


async def audio(_: Call) -> ToolResult:
    return result(types.AudioContent(data=WAV_SILENCE, mime_type="audio/wav"))


async def embedded_resource(_: Call) -> ToolResult:
    return result(resource_block("test://embedded-resource", "text/plain", "This is an embedded resource content."))


async def multiple_types(_: Call) -> ToolResult:
    return result(
        types.TextContent(text="Multiple content types test:"),
        types.ImageContent(data=PNG_PIXEL, mime_type="image/png"),
        resource_block("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    )


async def with_logging(call: Call) -> ToolResult:
    await call.log("Tool execution started")
    await asyncio.sleep(PAUSE_SECONDS)
    await call.log("Tool processing data")
    await asyncio.sleep(PAUSE_SECONDS)
    await call.log("Tool execution completed")
    return text("Tool with logging executed successfully")


async def with_progress(call: Call) -> ToolResult:
    for step in (0, 50, 100):
        await call.context.session.report_progress(step, 100, f"Completed step {step} of 100")
        await asyncio.sleep(PAUSE_SECONDS)
    return text(str((call.context.meta or {}).get("progressToken", "no progress token")))


async def error_handling(_: Call) -> ToolResult:
    return failure("This tool intentionally returns an error for testing")


async def reconnection(call: Call) -> ToolResult:
    """Drop the response stream in the middle; the client takes the rest with GET and Last-Event-ID."""
    await call.log("Before disconnect")
    if call.context.close_sse_stream is not None:
        await call.context.close_sse_stream()
    await asyncio.sleep(RECONNECT_SECONDS)
    await call.log("After reconnect")
    return text("Reconnection test completed")


async def trigger_tool_change(call: Call) -> ToolResult:
    await call.changes.publish(ToolsListChanged())
    return text("Announced: the list of tools changed")


async def trigger_prompt_change(call: Call) -> ToolResult:
    await call.changes.publish(PromptsListChanged())
    return text("Announced: the list of prompts changed")


async def mirrored_header(call: Call) -> ToolResult:
    return text(f"region={call.arguments.get('region')}")


async def json_schema(call: Call) -> ToolResult:
    return text(f"Received {sorted(call.arguments)}")


async def slow(call: Call) -> ToolResult:
    """Sleep for `seconds`; cancellation shows in the ledger, where `tag` finds the call again."""
    seconds = float(call.arguments.get("seconds", 0))
    await asyncio.sleep(seconds)
    return text(f"Slept {seconds:g} s, tag {call.arguments.get('tag')}")


async def greet(call: Call) -> ToolResult:
    return text(f"Hello, {call.arguments.get('name', 'you')}!")


async def at_once(_: Call) -> ToolResult:
    """Answer without a task: this server has none, and tools that could make one need not."""
    return text("Done")


# The first tool is the one that the suite calls with no argument to probe headers.
CONTENT_TOOLS: Final[tuple[FixtureTool, ...]] = (
    define("test_simple_text", "Answers with one text", simple_text),
    define("test_image_content", "Answers with an image", image),
    define("test_audio_content", "Answers with audio", audio),
    define("test_embedded_resource", "Answers with an embedded resource", embedded_resource),
    define("test_multiple_content_types", "Answers with text, image and resource", multiple_types),
    define("test_tool_with_logging", "Logs three times on the way", with_logging),
    define("test_logging_tool", "Logs only for a client that asked for it", with_logging),
    define("test_tool_with_progress", "Reports progress 0, 50, 100", with_progress),
    define("test_error_handling", "Always answers with an error", error_handling),
    define("test_reconnection", "Drops its stream before it answers", reconnection),
    define("test_trigger_tool_change", "Announces a change of tools", trigger_tool_change),
    define("test_trigger_prompt_change", "Announces a change of prompts", trigger_prompt_change),
    define(
        "test_x_mcp_header",
        "Has an argument that is mirrored in Mcp-Param-Region",
        mirrored_header,
        takes({"region": {"type": "string", "x-mcp-header": "Region"}}),
    ),
    define("json_schema_2020_12_tool", "Has a schema with JSON Schema 2020-12 words", json_schema, JSON_SCHEMA_2020_12),
    define(
        "slow",
        "Sleeps; for tests of cancellation, deadlines and load",
        slow,
        takes({"seconds": {"type": "number"}, "tag": {"type": "string"}}),
    ),
    define("confirm_delete", "Deletes nothing, and asks nobody", at_once, takes({"filename": {"type": "string"}})),
    define("greet", "Greets somebody", greet, takes({"name": {"type": "string"}})),
    define(
        "slow_compute",
        "Computes nothing, and at once",
        at_once,
        takes({"seconds": {"type": "number"}, "label": {"type": "string"}}),
    ),
)
