"""The mcp.json of MCP clients (VS Code, Claude, Cursor) as entries of ours. Pure.

Rules: what a client asks its user for (`${input:…}`), or takes from its environment, becomes a reference to a variable
of mcpgov's environment that is called after the connection, never the one that the file names; a literal that may be a
secret becomes one too, and both are said. A command is only taken over where
somebody said that programs may be started here, and never one with a secret among its arguments, which everybody on the
machine can read. A bad server never hides the others.
Sources: VS Code's MCP configuration reference; the `mcpServers` of Claude and Cursor.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from mcpgov.catalog.foreign_values import taken_over
from mcpgov.catalog.foreign_wishes import started
from mcpgov.catalog.importers import Found, Page, Refused
from mcpgov.catalog.urls import check_url
from mcpgov.catalog.ways import Choice, Draft, free_name, slug
from mcpgov.catalog.withheld import names_a_secret
from mcpgov.credential.references import Unfit
from mcpgov.errors import Refusal
from mcpgov.strict_json import JsonLimits, parse, with_lines

if TYPE_CHECKING:
    from mcpgov.models import Json

    Document = dict[str, Json]

LIMITS: Final = JsonLimits(body=1024 * 1024, depth=20, string=64 * 1024)
NAMESPACE: Final = "local"
# A text, or what JSON has not and editors allow: a comment, a comma at the end. What does not end goes to the end of
# the file, and nothing is tried twice: a stranger's file must not keep us busy.
_EXTRA: Final = re.compile(
    r""""(?:[^"\\]|\\.)*+(?:"|\\?\Z)|//[^\n]*+|/\*(?:.*?\*/|.*+)"""
    r"|,(?=(?:\s++|//[^\n]*+|/\*.*?\*/)*+[}\]])",
    re.DOTALL,
)
_PLACEHOLDER: Final = re.compile(r"\$\{(?:(?:input|env):)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)(?::-[^}$]*+)?\}")
_REMOTE: Final = frozenset({"http", "streamable-http", "streamableHttp"})


def is_client_file(tree: Json) -> bool:
    """Whether a JSON file is one of a client's."""
    return _servers(tree) is not None


def read_client_file(text: str, file: str, namespace: str = NAMESPACE) -> Page:
    """The servers of a client's file, named `namespace/…`. Raises Unfit where it is none."""
    servers = _servers(read_relaxed(text))
    if servers is None:
        raise Unfit("is no mcp.json", "it needs servers: or mcpServers:")
    found: list[Found] = []
    refused: list[Refused] = []
    for name, one in servers.items():
        if isinstance(one, dict):
            found.append(Found(name, partial(_drafted, name, one, f"{namespace}/{slug(name)}")))
        else:
            refused.append(Refused(name, f"{file} says nothing of it"))
    return Page(tuple(found), tuple(refused))


def read_relaxed(text: str) -> Json:
    """JSON with comments and commas at the end, as editors write it. Raises Unfit."""
    plain = _EXTRA.sub(_plain, text.removeprefix("\ufeff"))
    try:
        return parse(plain.encode("utf-8", "surrogatepass"), LIMITS)
    except Refusal as refusal:
        raise Unfit(f"cannot be read: {with_lines(refusal.message, plain)}", "write it as JSON") from None


def _plain(match: re.Match[str]) -> str:
    """What JSON has not as blanks, so that everything else stays where it is."""
    found = match[0]
    unended = found.startswith("/*") and (len(found) < len("/**/") or not found.endswith("*/"))
    return found if found.startswith('"') or unended else re.sub(r"[^\n]", " ", found)


def _servers(tree: Json) -> Document | None:
    if not isinstance(tree, dict):
        return None
    for holder in (tree, tree.get("mcp")):  # VS Code's settings.json has it one level down
        for key in ("mcpServers", "servers"):
            if isinstance(holder, dict) and isinstance(servers := holder.get(key), dict):
                return servers
    return None


def _drafted(name: str, server: Document, called: str, choice: Choice) -> Draft:
    """The entry of one server. Raises Unfit."""
    document: Document = {"name": called, "title": name[:100], "version": "0.0.0"}
    connection = choice.connection or free_name(document, choice.taken)
    told: list[str] = []
    if url := server.get("url") or server.get("serverUrl") or server.get("httpUrl"):
        document |= _remote(server, str(url), connection, choice, told)
    elif server.get("command"):
        document |= _local(server, connection, choice, told)
    else:
        raise Unfit("has neither url nor command", "write one of them")
    return Draft(document, tuple(told))


def _remote(server: Document, url: str, connection: str, choice: Choice, told: list[str]) -> Document:
    if server.get("type", "http") not in _REMOTE:
        raise Unfit(f"has the type {server['type']}, which mcpgov does not speak", "name its streamable HTTP URL")
    check_url(_given(url, choice, "its URL"), private=choice.private)
    made: Document = {"upstream": _given(url, choice, "its URL")}
    made |= {"private": True} if choice.private else {}
    written = _mapping(server.get("headers"))
    keys: Document = {name: taken_over(connection, name, str(value), told) for name, value in written.items()}
    said: Document = {"authType": "CustomKeys", "keys": keys} if keys else {"authType": "None"}
    return {**made, "connections": {connection: said}}


def _local(server: Document, connection: str, choice: Choice, told: list[str]) -> Document:
    if not choice.local:
        raise Unfit("would be started on this machine", "look at its command, then say --local")
    written = server.get("args")
    arguments = [_given(str(one), choice, "an argument") for one in written] if isinstance(written, list) else []
    command = [_given(str(server["command"]), choice, "its command"), *arguments]
    for before, one in zip(("", *command), command, strict=False):
        option, equals, _ = one.partition("=")
        if (before.startswith("-") and names_a_secret(before)) or (equals and names_a_secret(option)):
            mend = "move it into env, which only the program can read"
            raise Unfit(f"may hold a secret among its arguments, after {before if not equals else option}", mend)
    words: list[Json] = [*command]
    made: Document = {"command": words}
    variables, notes = _mapping(server.get("env")), list[str]()
    env: Document = {name: taken_over(connection, name, str(value), notes) for name, value in variables.items()}
    made |= {"env": env} if env else {}
    made |= {"cwd": str(server["cwd"])} if server.get("cwd") else {}
    told += started(made)
    if server.get("envFile"):
        told.append("its envFile is not read: write what it needs into env")
    told += notes
    return {**made, "connections": {connection: {}}}


def _given(text: str, choice: Choice, what: str) -> str:
    """A text that everybody may read, the values of its placeholders said with --var. Raises Unfit."""

    def value_of(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in choice.variables:
            raise Unfit(f"needs a value for {name} in {what}", f"say --var {name}=VALUE")
        return choice.variables[name]

    return _PLACEHOLDER.sub(value_of, text)


def _mapping(value: Json) -> Document:
    return value if isinstance(value, dict) else {}
