"""Lists of tools in the shapes that real servers have: what each member looks like, not what anyone's words are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcpgov.models import Json

READING: Final[dict[str, Json]] = {"readOnlyHint": True, "openWorldHint": True}
OWNER: Final[dict[str, Json]] = {"type": "string", "description": "Repository owner (username or organization)"}
REPO: Final[dict[str, Json]] = {"type": "string", "description": "Repository name"}
PAGE: Final[dict[str, Json]] = {"type": "number", "minimum": 1, "description": "Page number for pagination (min 1)"}
DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"
ICON: Final = "data:image/svg+xml;base64,PHN2Zy8+"


def arguments(required: list[Json], **properties: Json) -> Json:
    """The inputSchema of a tool."""
    return {"type": "object", "properties": properties, "required": required}


GITHUB: Final[list[Json]] = [
    {
        "name": "issue_read",
        "title": "Get issue details",
        "description": "Get information about an issue in a repository.\n\nOptions are:\n1. get\n2. get_comments",
        "annotations": {"title": "Get issue details", **READING},
        "inputSchema": arguments(
            ["method", "owner", "repo", "issue_number"],
            method={"type": "string", "enum": ["get", "get_comments", "get_sub_issues", "get_labels"]},
            owner=OWNER | {"x-mcp-header": "Owner"},
            repo=REPO,
            issue_number={"type": "number", "description": "The number of the issue"},
            page=PAGE,
            perPage={"type": "number", "minimum": 1, "maximum": 100},
        ),
    },
    {
        "name": "search_code",
        "description": "Fast and precise code search across ALL repositories. Best for finding exact symbols.",
        "annotations": {"title": "Search code", "readOnlyHint": True},
        "inputSchema": arguments(
            ["query"],
            query={"type": "string", "description": "e.g. 'content:Skill org:github', \u2264 256 characters"},
            order={"type": "string", "enum": ["asc", "desc"]},
            sort={"type": "string", "description": "Sort field ('indexed' only)"},
        ),
        "icons": [{"src": ICON, "mimeType": "image/svg+xml", "sizes": ["any"], "theme": "light"}],
    },
    {
        "name": "delete_file",
        "description": "Delete a file from a GitHub repository",
        "annotations": {"title": "Delete file", "readOnlyHint": False, "destructiveHint": True},
        "inputSchema": arguments(
            ["owner", "repo", "path", "message", "branch"],
            owner=OWNER,
            repo=REPO,
            path={"type": "string", "description": "Path to the file to delete"},
            message={"type": "string", "description": "Commit message"},
            branch={"type": "string", "description": "Branch to delete the file from"},
        ),
    },
]

LEARN: Final[list[Json]] = [
    {
        "name": "microsoft_docs_search",
        "title": "Microsoft Docs Search",
        "description": "Search official Microsoft documentation. Up to 10 content chunks \u2014 each with title "
        "and URL. \U0001f50e\ufe0f\n\n## When to use\n- grounding of answers\n- where a fetch is too long",
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"query": {"description": "a query or topic", "type": ["string", "null"], "default": None}},
        },
        "annotations": {**READING, "destructiveHint": False, "idempotentHint": True},
        "outputSchema": {
            "type": "object",
            "properties": {
                "results": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"title": {"type": "string"}, "score": {"type": "number", "maximum": 0.9999999}},
                    },
                }
            },
        },
    },
    {
        "name": "microsoft_docs_fetch",
        "description": "Fetch and convert a Microsoft Learn webpage to markdown.",
        "inputSchema": arguments(["url"], url={"type": "string", "format": "uri", "pattern": "^https://[a-z.]+/"}),
        "_meta": {"_fastmcp": {"tags": ["docs", "web"]}},
        "execution": {"taskSupport": "optional"},
    },
]


def file_tool(name: str, description: str, hints: Json, **more: Json) -> Json:
    """A tool that takes a path, from a schema generator of draft 7."""
    return {
        "name": name,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": {"path": {"type": "string"}, **more},
            "required": ["path"],
            "additionalProperties": False,
            "$schema": DRAFT_7,
        },
        "execution": {"taskSupport": "forbidden"},
        "annotations": hints,
    }


FILES: Final[list[Json]] = [
    file_tool("read_text_file", "Read the complete contents of a file as text, in allowed directories.", dict(READING)),
    file_tool("list_directory", "Get a detailed listing. Results tell [FILE] from [DIR].", dict(READING)),
    file_tool("write_file", "Create a new file or overwrite an existing one.", {}, content={"type": "string"}),
    file_tool("edit_file", "Make line-based edits. Returns a git-style diff.", {}, dryRun={"type": "boolean"}),
]

TREES: Final[list[Json]] = [
    {
        "name": "notion-create-pages",
        "description": "Cr\u00e9e une ou plusieurs pages. \u30da\u30fc\u30b8\u3092\u4f5c\u6210\u3059\u308b\u3002 "
        "\u0421\u043e\u0437\u0434\u0430\u0451\u0442 \u0441\u0442\u0440\u0430\u043d\u0438\u0446\u044b \u0432 Notion.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "pages": {"type": "array", "minItems": 1, "maxItems": 100, "items": {"$ref": "#/$defs/page"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/parent"}, {"type": "null"}]},
            },
            "$defs": {
                "page": {
                    "type": "object",
                    "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/page"}}},
                    "additionalProperties": {"type": ["string", "number", "null"]},
                },
                "parent": {"type": "object", "properties": {"page_id": {"type": "string", "format": "uuid"}}},
            },
        },
    },
    {"name": "ping", "inputSchema": {"type": "object"}},
    {
        "name": "forecast",
        "description": "Temperatures in \u00b0C at \u03bcs precision for 2\u00d72 km\u00b2; \u0394T and \u03b1-values.",
        "inputSchema": arguments(
            ["latitude"],
            latitude={"type": "number", "minimum": -90.0, "maximum": 90.0, "multipleOf": 1e-7},
            hours={"type": "integer", "exclusiveMaximum": 9007199254740993, "default": 48},
        ),
    },
]

SERVERS: Final[dict[str, list[Json]]] = {"github": GITHUB, "learn": LEARN, "files": FILES, "trees": TREES}
