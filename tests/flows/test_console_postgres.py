"""The console on a PostgreSQL: an admin key lets in, calls are found, and a server that is away is said."""

import asyncio
import json
import secrets
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from mcpgov import app
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord
from mcpgov.decision import Reason
from mcpgov.operating import Operated, operating
from mcpgov.store.postgres_ledger import PostgresLedgerStore
from tests.audit.calls import facts
from tests.flows.upstream import listening
from tests.store.postgres import LEFT_OUT, has_postgres, postgres_server

HOST = {"Host": "127.0.0.1:8081"}
PATIENCE = 30  # seconds


def configured(folder: Path, store: str) -> Path:
    """A gateway of no servers over this store."""
    for name in ("catalog", "policies"):
        (folder / name).mkdir()
    key = b64encode(secrets.token_bytes(32)).decode()
    text = f'listen: 127.0.0.1:0\naudit: {{ store: "{store}" }}\nsecrets: {{ key: "{key}" }}\nadmin: {{}}\n'
    (folder / "mcpgov.yaml").write_text(text)
    return folder / "mcpgov.yaml"


async def until_found(http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> Any:
    """The calls, once there are some."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with http.get(f"{url}/admin/v1/audit/calls?text=delete", headers=headers) as answer:
                if answer.status == 200 and (calls := (await answer.json())["calls"]):
                    return calls
            await asyncio.sleep(0)


async def test_operators_look_after_a_gateway_whose_store_is_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not has_postgres():
        with capsys.disabled():
            sys.stdout.write(f"\n{LEFT_OUT}\n")
        return
    with postgres_server() as server:
        url = server.database()
        config = configured(tmp_path, url.reveal())
        made = await asyncio.to_thread(
            CliRunner().invoke,
            app.build_cli(),
            ["keys", "admin", "dana", "--role", "admin", "--json", "--config", str(config)],
        )
        key = json.loads(made.stdout)["key"]
        bearer = {**HOST, "Authorization": f"Bearer {key}"}
        async with app.running(config) as running:
            admin = running.storage.settings.admin
            assert admin is not None
            before = (running.generations.current, running.ledger, running.parts.keys, running.parts.rows)
            operated = Operated(admin, running.storage, config, *before, app.utc_now)
            async with (
                operating(operated) as made_listener,
                listening(made_listener.listener) as at,
                aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
            ):
                assert made_listener.link == ""
                await asyncio.to_thread(write_one_call, url)
                [found] = await until_found(http, at, bearer)
                assert (found["gen_ai.tool.name"], found["mcpgov.reason"]) == ("delete", "tool-denied")
                form = {**HOST, "Origin": f"http://{HOST['Host']}", "Sec-Fetch-Site": "same-origin"}
                async with http.post(f"{at}/console/sign-in", data={"key": key}, headers=form) as page:
                    assert "delete" in await page.text()
                server.stop()
                async with http.get(f"{at}/console", headers={**HOST, "Accept": "text/html"}) as page:
                    assert (page.status, "The store is down" in await page.text()) == (503, True)
                async with http.get(f"{at}/admin/v1/audit/state", headers=bearer) as answer:
                    assert (answer.status, (await answer.json())["error"]["reason"]) == (503, "store-unavailable")
                server.start()
                await until_found(http, at, bearer)
                async with http.get(f"{at}/console", headers={**HOST, "Accept": "text/html"}) as page:
                    assert (page.status, "delete" in await page.text()) == (200, True)


def write_one_call(url: Any) -> None:
    """What another gateway on the same database writes."""
    store = PostgresLedgerStore(url)
    store.open()
    now = app.utc_now()
    store.append([ControlRecord(ControlEvent.START, now).row()])
    store.append([DeniedRecord(facts("1", now, tool="delete"), Reason.TOOL_DENIED).row()])
    store.close(finished=True)
