"""The configuration of a client for one connection, generated: VS Code, Claude Code, Cursor, Inspector, Python. Pure.

Rules: the URL is the gateway's and nothing else stands there of the connection; a key is never written, but where the
client asks for it or takes it from its environment; a client that signs in by itself gets no header at all, because
one that is there would keep it from signing in.
Sources: VS Code's mcp.json (`servers`, `inputs`); Claude Code's .mcp.json (`${NAME}`); Cursor's mcp.json
(`${env:NAME}`); the allow-list of Copilot's managed-settings.json.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.publish.offer import WITH_AUDIENCE, NotOffered

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.models import Json
    from mcpgov.publish.offer import Offer

KEY_VARIABLE: Final = "MCPGOV_GATEWAY_KEY"
IN_VARIABLE: Final = "MCPGOV_CALLER_TOKEN"  # a token, where the client cannot sign in by itself
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


class Client(StrEnum):
    """Whom a configuration is for."""

    VSCODE = "vscode"
    CLAUDE = "claude"
    CURSOR = "cursor"
    INSPECTOR = "inspector"
    PYTHON = "python"
    COPILOT_MANAGED = "copilot-managed"


@frozen
class Piece:
    """A text, and the file it belongs into; empty for what is typed."""

    file: str
    text: str


@frozen
class Configuration:
    """What a client needs, and what its owner has to know beside it."""

    pieces: tuple[Piece, ...]
    notes: tuple[str, ...] = ()


def configuration(offer: Offer, client: Client) -> Configuration:
    """The configuration of `client`. Raises NotOffered."""
    made: dict[Client, Callable[[Offer], tuple[Piece, ...]]] = {
        Client.VSCODE: _vscode,
        Client.CLAUDE: _claude,
        Client.CURSOR: _cursor,
        Client.INSPECTOR: _inspector,
        Client.PYTHON: _python,
        Client.COPILOT_MANAGED: _copilot,
    }
    return Configuration(made[client](offer), tuple(_notes(offer, client)))


def managed_settings(urls: list[str]) -> dict[str, Json]:
    """Copilot's managed-settings.json, which lets these servers alone through; a URL may end in `/*`.

    Raises NotOffered for anything that Copilot could read otherwise: a malformed list blocks every server.
    """
    for url in urls:
        parts = urlsplit(url.removesuffix("*"))
        exact = url.isascii() and url.isprintable() and not set(url.removesuffix("/*")) & set("*\\@?# ")
        if not exact or parts.scheme not in {"https", "http"} or not _HOST.fullmatch(parts.netloc):
            raise NotOffered(f"{url!r} is not the URL of a gateway", "write https://HOST/mcp/NAME or https://HOST/*")
    if not urls:
        raise NotOffered("an empty list blocks every server", "name a connection, or none for the whole gateway")
    return {"allowedMcpServers": [{"serverUrl": url} for url in urls]}


def managed_piece(urls: list[str]) -> Piece:
    """The same as a file. Raises NotOffered."""
    return Piece("managed-settings.json", _json(managed_settings(urls)))


def _copilot(offer: Offer) -> tuple[Piece, ...]:
    return (managed_piece([offer.url]),)


def _vscode(offer: Offer) -> tuple[Piece, ...]:
    server: dict[str, Json] = {"type": "http", "url": offer.url}
    written: dict[str, Json] = {"servers": {offer.name: server}}
    if offer.auth is AuthType.CUSTOM_KEYS:
        asked = f"{offer.name}-key"
        server["headers"] = {offer.key_header.name: offer.key_header.value(f"${{input:{asked}}}")}
        described = f"Gateway key for {offer.name} (mcpgov_…)"
        written["inputs"] = [{"type": "promptString", "id": asked, "description": described, "password": True}]
    return (Piece(".vscode/mcp.json", _json(written)),)


def _claude(offer: Offer) -> tuple[Piece, ...]:
    typed = f"claude mcp add --transport http {offer.name} {offer.url}"
    server: dict[str, Json] = {"type": "http", "url": offer.url}
    if offer.auth is AuthType.CUSTOM_KEYS:
        header, value = offer.key_header.name, offer.key_header.value(f"${{{KEY_VARIABLE}}}")
        typed += f" --header '{header}: {value}'"  # in single quotes: Claude resolves it, no shell and no file keeps it
        server["headers"] = {header: value}
    return Piece("", typed), Piece(".mcp.json", _json({"mcpServers": {offer.name: server}}))


def _cursor(offer: Offer) -> tuple[Piece, ...]:
    server: dict[str, Json] = {"url": offer.url}
    if offer.auth is AuthType.CUSTOM_KEYS:
        server["headers"] = {offer.key_header.name: offer.key_header.value(f"${{env:{KEY_VARIABLE}}}")}
    return (Piece(".cursor/mcp.json", _json({"mcpServers": {offer.name: server}})),)


def _inspector(offer: Offer) -> tuple[Piece, ...]:
    typed = f"npx @modelcontextprotocol/inspector --cli {offer.url} --transport http --method tools/list"
    if offer.auth is AuthType.CUSTOM_KEYS:
        typed += f' --header "{offer.key_header.name}: {offer.key_header.value(f"${KEY_VARIABLE}")}"'
    elif offer.auth is not AuthType.NONE:
        typed += f' --header "Authorization: Bearer ${IN_VARIABLE}"'
    return (Piece("", typed),)


def _python(offer: Offer) -> tuple[Piece, ...]:
    name, headers, line = "", '{"Authorization": f"Bearer {TOKEN}"}', ""
    if offer.auth is AuthType.CUSTOM_KEYS:
        name, header = "import os\n", offer.key_header
        headers, line = f'{{"{header.name}": f"{header.prefix}{{KEY}}"}}', f'KEY = os.environ["{KEY_VARIABLE}"]\n'
    elif offer.auth in WITH_AUDIENCE:
        scope = json.dumps(f"{offer.audience}/.default")
        line = f"TOKEN = DefaultAzureCredential().get_token({scope}).token  # lasts about an hour\n"
    elif offer.auth is AuthType.OAUTH2:
        name, line = "import os\n", f'TOKEN = os.environ["{IN_VARIABLE}"]\n'
    else:
        headers = "{}"
    azure = "from azure.identity import DefaultAzureCredential\n" if offer.auth in WITH_AUDIENCE else ""
    return (Piece(f"{offer.name}.py", _script(offer, name, azure, line, headers)),)


def _script(offer: Offer, name: str, azure: str, line: str, headers: str) -> str:
    """A whole program, in the order that a linter wants its imports in."""
    return f'''"""Lists the tools of {offer.name}, through the gateway. Needs: pip install "mcp>=2,<3"."""

import asyncio
{name}
import httpx2
{azure}from mcp import Client
from mcp.client.streamable_http import streamable_http_client

URL = {json.dumps(offer.url)}
{line}

async def main() -> None:
    """Sign in, and list."""
    async with httpx2.AsyncClient(headers={headers}, timeout=120) as http:
        async with Client(streamable_http_client(URL, http_client=http)) as client:
            for tool in (await client.list_tools()).tools:
                print(f"{{tool.name}}: {{tool.description or ''}}")


asyncio.run(main())
'''


def _notes(offer: Offer, client: Client) -> list[str]:
    """What the owner of the client has to do, or to know."""
    if client is Client.COPILOT_MANAGED:
        return ["Copilot lets these servers alone through, in every editor that reads the file."]
    notes: list[str] = []
    if offer.auth is AuthType.CUSTOM_KEYS:
        reached = " ".join(f"--connection {_typed(name)}" for name in offer.members or (offer.name,))
        notes.append(f"Make a key with: mcpgov keys create NAME {reached}")
        where = "VS Code asks for it once." if client is Client.VSCODE else f"Then: export {KEY_VARIABLE}=…"
        notes.append(where)
    elif client is Client.PYTHON and offer.auth in WITH_AUDIENCE:
        notes.append("pip install azure-identity; it is this machine's identity, or the user of `az login`.")
    elif client in {Client.PYTHON, Client.INSPECTOR} and offer.auth is not AuthType.NONE:
        whom = f"for {offer.audience}" if offer.audience else "of the issuer that the gateway names"
        notes.append(f"export {IN_VARIABLE}=… first: a token {whom}.")
    elif offer.auth is not AuthType.NONE:
        notes.append("The client opens a browser to sign in: see docs/sign-in.md for what has to be registered.")
    if offer.auth in WITH_AUDIENCE - {AuthType.USER_ENTRA} and client is not Client.PYTHON:
        notes.append(f"The connection is meant for {offer.auth}; people come in as who they are, if policies let them.")
    return notes


def _typed(name: str) -> str:
    """The name of a connection, or a pattern, as a shell takes it."""
    return f"'{name}'" if {"*", "?"} & set(name) else name


def _json(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
