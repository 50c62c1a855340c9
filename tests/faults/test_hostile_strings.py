"""Every text that a caller chooses is hostile: it is written down, can be read by every reader, and proves the same."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import pytest
from typer.testing import CliRunner

from mcpgov.app import build_cli
from tests.faults.gateway import HEADERS, META
from tests.faults.served import Served, standing
from tests.peers.process import free_port

STRINGS = (
    "\0",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202eevil\u2066",
    "line\r\nx-injected: yes\r\n\r\n",
    "\u2028\u2029\ufeff",
    "\ud800",
    '","event":"outcome","mcpgov.status":"ok',
    "</td><script>alert(1)</script>",
    "'; DROP TABLE records; --",
    "=cmd|' /C calc'!A0",
    '"* OR tool:x NEAR(',
    "${{ 7*7 }} {{7*7}} %s %n",
    "../../etc/passwd",
    "\U0001f469\u200d\U0001f52c" + "e\u0301" * 40,
    "x" * 5000,
    "\\",
)
FIELDS = ("id", "method", "tool", "argument", "connection", "user-agent", "x-ms-agentid", "x-correlation-id",
          "traceparent", "mcp-session-id", "mcp-name")  # fmt: skip
NEVER_PRINTED = ("\0", "\x1b", "\u202e", "\u2066", "\u2028", "\x07")
VERBS = ("tail", "query", "query --csv", "query --csv --limit 1000", "usage", "usage --json", "stats", "stats --json")
LONGEST = 256  # characters of a filter
SOME = 9  # every so many calls one is looked at alone


def raw(field: str, text: str, port: int) -> bytes:
    """A request with a hostile text in one place, byte for byte: a header takes what its grammar lets through."""
    params = {"name": "work", "arguments": {"for": "x"}, "_meta": META}
    message = {"jsonrpc": "2.0", "id": "7", "method": "tools/call", "params": params}
    headers, path = {**HEADERS, "Host": f"127.0.0.1:{port}", "Connection": "close"}, "ledger"
    if field in {"id", "method"}:
        message[field] = text
    elif field == "tool":
        params["name"] = text
    elif field == "argument":
        params["arguments"] = {text: text}
    elif field == "connection":
        path = quote(text, safe="", errors="surrogatepass")
    else:
        headers[field] = "".join(letter for letter in text if letter not in "\0\r\n")
    body = json.dumps(message).encode()
    lines = [f"POST /mcp/{path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    return head.encode("utf-8", "surrogatepass") + body


def requests(port: int) -> Iterator[bytes]:
    """Each text in each place."""
    return (raw(field, text, port) for text in STRINGS for field in FIELDS)


async def status(port: int, request: bytes) -> int:
    """What a request is answered with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return int(answer.split()[1])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Served]:
    """A gateway with a console, that got it all."""
    async with standing(tmp_path) as site:
        site.settings(f"admin: {{ listen: 127.0.0.1:{free_port()} }}")
        await site.launch()
        port = int(urlsplit(site.url).port or 0)
        answers = [await status(port, request) for request in requests(port)]
        assert set(answers) <= {200, 400, 404, 431}
        assert {200, 400} <= set(answers)
        yield site
        assert await site.end() == 0
        assert [finding for finding in site.findings() if finding.kind.startswith("not-proved")] == []


def calls(site: Served) -> list[str]:
    """The calls in the ledger."""
    return list(dict.fromkeys(row.call_id for row in site.kept() if row.call_id))


async def test_the_command_line_reads_what_hostile_callers_left(site: Served) -> None:
    app, config = build_cli(), ["-c", str(site.folder / "mcpgov.yaml")]

    async def said(*words: str) -> str:
        """What a verb prints, which always works."""
        ran = await asyncio.to_thread(CliRunner(env={"COLUMNS": "200"}).invoke, app, ["audit", *words, *config])
        assert ran.exit_code == 0, (words, ran.output, ran.exception)
        return ran.output

    found = calls(site)
    assert len(found) >= len(STRINGS) * (len(FIELDS) - 2)  # what is no HTTP is answered before there is a call
    shown = [await said("show", call) for call in found[::SOME]]
    shown += [await said(*verb.split()) for verb in VERBS]
    assert [one for text in shown for one in NEVER_PRINTED if one in text] == []
    lines = (await said("query", "--json", "--limit", "1000")).splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    for text in STRINGS:
        await said("query", f"tool={text.encode('utf-8', 'replace').decode()}".replace("\0", ""))
    export = site.folder / "export.jsonl"
    export.write_text(await said("export"))
    assert "ok" in await said("verify", str(export))
    assert "ok" in await said("verify")


async def test_the_console_shows_what_hostile_callers_left(site: Served) -> None:
    origin = "http://" + urlsplit(site.console).netloc
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:

        async def page(path: str, **query: str) -> str:
            """A page, which is always there."""
            async with browser.get(f"{origin}/console{path}", params=query) as answer:
                assert answer.status == 200, path
                return await answer.text()

        async with browser.get(site.console) as answer:
            assert answer.status == 200
        pages = [await page(path) for path in ("", "/usage", "/calls.csv", "/calls.jsonl")]
        pages += [await page(f"/calls/{call}") for call in calls(site)[::SOME]]
        pages += [
            await page("", tool=text, text=text) for text in STRINGS if text.isprintable() and len(text) < LONGEST
        ]
        assert any("&lt;script&gt;alert(1)" in text for text in pages)
        assert [text for text in pages if "<script>alert(1)" in text and "<html" in text] == []
