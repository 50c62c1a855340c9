"""The resources, prompts and completions of the conformance fixture server."""

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError

from tests.conformance.content_tools import resource_block
from tests.conformance.fixture import PNG_PIXEL, takes
from tests.conformance.input_required_tools import ask, ask_user, form

Context: TypeAlias = ServerRequestContext[Any, Any]
PromptResult: TypeAlias = types.GetPromptResult | types.InputRequiredResult
PromptFunction: TypeAlias = Callable[[types.GetPromptRequestParams], PromptResult]

TEMPLATE_START: Final = "test://template/"
TEMPLATE_END: Final = "/data"

RESOURCES: Final = (
    types.Resource(uri="test://static-text", name="static-text", description="A text", mime_type="text/plain"),
    types.Resource(uri="test://static-binary", name="static-binary", description="An image", mime_type="image/png"),
    types.Resource(uri="test://watched-resource", name="watched-resource", description="A text to subscribe to"),
)
TEMPLATES: Final = (
    types.ResourceTemplate(
        uri_template=f"{TEMPLATE_START}{{id}}{TEMPLATE_END}",
        name="template",
        description="A text with a parameter",
        mime_type="application/json",
    ),
)


async def list_resources(_: Context, __: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
    return types.ListResourcesResult(resources=list(RESOURCES))


async def list_templates(_: Context, __: types.PaginatedRequestParams | None) -> types.ListResourceTemplatesResult:
    return types.ListResourceTemplatesResult(resource_templates=list(TEMPLATES))


def contents_of(uri: str) -> types.TextResourceContents | types.BlobResourceContents | None:
    """What the resource holds, None when there is no such resource."""
    if uri.startswith(TEMPLATE_START) and uri.endswith(TEMPLATE_END):
        name = uri.removeprefix(TEMPLATE_START).removesuffix(TEMPLATE_END)
        body = json.dumps({"id": name, "templateTest": True, "data": f"Data for ID: {name}"})
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=body)
    match uri:
        case "test://static-text":
            words = "This is the content of the static text resource."
            return types.TextResourceContents(uri=uri, mime_type="text/plain", text=words)
        case "test://static-binary":
            return types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG_PIXEL)
        case "test://watched-resource":
            return types.TextResourceContents(uri=uri, mime_type="text/plain", text="Watched resource content")
        case _:
            return None


async def read_resource(_: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    contents = contents_of(params.uri)
    if contents is None:
        raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": params.uri})
    return types.ReadResourceResult(contents=[contents])


async def subscribe(_: Context, __: types.SubscribeRequestParams) -> types.EmptyResult:
    return types.EmptyResult()


async def unsubscribe(_: Context, __: types.UnsubscribeRequestParams) -> types.EmptyResult:
    return types.EmptyResult()


def says(*content: types.ContentBlock) -> types.GetPromptResult:
    """A prompt of one user message for each content block."""
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=block) for block in content])


def simple(_: types.GetPromptRequestParams) -> PromptResult:
    return says(types.TextContent(text="This is a simple prompt for testing."))


def with_arguments(params: types.GetPromptRequestParams) -> PromptResult:
    given = params.arguments or {}
    words = f"Prompt with arguments: arg1='{given.get('arg1', '')}', arg2='{given.get('arg2', '')}'"
    return says(types.TextContent(text=words))


def with_resource(params: types.GetPromptRequestParams) -> PromptResult:
    uri = (params.arguments or {}).get("resourceUri", "test://example-resource")
    embedded = resource_block(uri, "text/plain", "Embedded resource content for testing.")
    return says(embedded, types.TextContent(text="Please process the embedded resource above."))


def with_image(_: types.GetPromptRequestParams) -> PromptResult:
    picture = types.ImageContent(data=PNG_PIXEL, mime_type="image/png")
    return says(picture, types.TextContent(text="Please analyze the image above."))


def with_input(params: types.GetPromptRequestParams) -> PromptResult:
    context = form((params.input_responses or {}).get("user_context"), "context")
    if context is None:
        schema = takes({"context": {"type": "string"}}, ["context"])
        return ask({"user_context": ask_user("What context should the prompt use?", schema)})
    return says(types.TextContent(text=f"Use this context: {context}"))


def prompt(name: str, *arguments: str) -> types.Prompt:
    """The listing of a prompt whose arguments are all required."""
    wanted = [types.PromptArgument(name=argument, description=argument, required=True) for argument in arguments]
    return types.Prompt(name=name, description=f"The prompt {name}", arguments=wanted)


PROMPTS: Final[tuple[tuple[types.Prompt, PromptFunction], ...]] = (
    (prompt("test_simple_prompt"), simple),
    (prompt("test_prompt_with_arguments", "arg1", "arg2"), with_arguments),
    (prompt("test_prompt_with_embedded_resource", "resourceUri"), with_resource),
    (prompt("test_prompt_with_image"), with_image),
    (prompt("test_input_required_result_prompt"), with_input),
)


async def list_prompts(_: Context, __: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
    return types.ListPromptsResult(prompts=[listing for listing, _ in PROMPTS])


async def get_prompt(_: Context, params: types.GetPromptRequestParams) -> PromptResult:
    for listing, build in PROMPTS:
        if listing.name == params.name:
            return build(params)
    raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")


async def complete(_: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    """Complete an argument from three words."""
    values = [word for word in ("paris", "park", "party") if word.startswith(params.argument.value)]
    return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))
