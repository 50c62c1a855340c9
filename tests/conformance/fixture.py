"""What every tool of the conformance fixture server is made of: a definition and a function from one call to a result.

The values here are the ones the public conformance suite asks a server under test to return. Which tools exist is said
by the `*_tools` files; how they are served, by `everything_server`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.server.subscriptions import SubscriptionBus

PNG_PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
WAV_SILENCE: Final = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="

JsonObject: TypeAlias = dict[str, Any]
ToolResult: TypeAlias = types.CallToolResult | types.InputRequiredResult


@dataclass(frozen=True, slots=True)
class Call:
    """One tools/call as a fixture tool sees it: the request, the way back to its client, the bus of list changes."""

    context: ServerRequestContext[Any, Any]
    params: types.CallToolRequestParams
    changes: SubscriptionBus

    @property
    def arguments(self) -> JsonObject:
        """The arguments, {} when the request carries none."""
        return self.params.arguments or {}

    def answer(self, key: str) -> types.InputResponse | None:
        """The client's answer to the input request `key` of an earlier round, None when it sent none."""
        return (self.params.input_responses or {}).get(key)

    async def log(self, message: str) -> None:
        """Send one info log notification on this call's stream; on 2026-07-28 only to a request that asked for it."""
        asked = types.LOG_LEVEL_META_KEY in (self.context.meta or {})
        if self.context.protocol_version >= "2026-07-28" and not asked:
            return
        params = types.LoggingMessageNotificationParams(level="info", data=message)
        note = types.LoggingMessageNotification(params=params)
        await self.context.session.send_notification(note, self.context.request_id)


ToolFunction: TypeAlias = Callable[[Call], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class FixtureTool:
    """A tool: what tools/list says of it, and what tools/call does."""

    definition: types.Tool
    run: ToolFunction


def define(name: str, description: str, run: ToolFunction, schema: JsonObject | None = None) -> FixtureTool:
    """A tool of that name; without a schema it takes no argument."""
    return FixtureTool(types.Tool(name=name, description=description, input_schema=schema or takes({})), run)


def takes(properties: Mapping[str, JsonObject], required: Sequence[str] = ()) -> JsonObject:
    """The JSON Schema of an object with these properties."""
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def result(*content: types.ContentBlock) -> types.CallToolResult:
    """A complete tool result with this content."""
    return types.CallToolResult(content=list(content))


def text(words: str) -> types.CallToolResult:
    """A complete tool result of one text."""
    return result(types.TextContent(text=words))


def failure(words: str) -> types.CallToolResult:
    """A tool result that tells the model what went wrong."""
    return types.CallToolResult(content=[types.TextContent(text=words)], is_error=True)
