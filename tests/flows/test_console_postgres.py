"""The console on a PostgreSQL: an admin key lets in, calls are found, and a server that is away is said."""

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from typer.testing import CliRunner

from mcpgov import app
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord
from mcpgov.decision import Reason
from mcpgov.models import Secret
from mcpgov.operating import Operated, operating
from mcpgov.store.postgres_ledger import PostgresLedgerStore
from tests.audit.calls import facts
from tests.faults.stalling import Mode, stalling_elsewhere
from tests.faults.tools import left_out
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


@dataclass(frozen=True, slots=True)
class Console:
    """The listener for operators. `at` is its URL, `http` has the session of whoever signed in, `bearer` a key."""

    at: str
    http: aiohttp.ClientSession
    bearer: Mapping[str, str]

    async def page(self) -> tuple[int, str]:
        """The first page, and its status."""
        async with self.http.get(f"{self.at}/console", headers={**HOST, "Accept": "text/html"}) as page:
            return page.status, await page.text()

    async def state(self) -> tuple[int, Any]:
        """What the admin API says of the ledger, and its status."""
        async with self.http.get(f"{self.at}/admin/v1/audit/state", headers=self.bearer) as answer:
            return answer.status, await answer.json()


async def until_found(console: Console) -> Any:
    """The calls, once there are some."""
    async with asyncio.timeout(PATIENCE):
        while True:
            url = f"{console.at}/admin/v1/audit/calls?text=delete"
            async with console.http.get(url, headers=console.bearer) as answer:
                if answer.status == 200 and (calls := (await answer.json())["calls"]):
                    return calls
            await asyncio.sleep(0)


@asynccontextmanager
async def console_of(folder: Path, store: str) -> AsyncGenerator[Console]:
    """The console of a gateway over this store, in which one call is found. Somebody has signed in."""
    config = configured(folder, store)
    asked = ["keys", "admin", "dana", "--role", "admin", "--json", "--config", str(config)]
    made = await asyncio.to_thread(CliRunner().invoke, app.build_cli(), asked)
    key = json.loads(made.stdout)["key"]
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
            await asyncio.to_thread(write_one_call, Secret(store))
            console = Console(at, http, {**HOST, "Authorization": f"Bearer {key}"})
            [found] = await until_found(console)
            assert (found["gen_ai.tool.name"], found["mcpgov.reason"]) == ("delete", "tool-denied")
            form = {**HOST, "Origin": f"http://{HOST['Host']}", "Sec-Fetch-Site": "same-origin"}
            async with http.post(f"{at}/console/sign-in", data={"key": key}, headers=form) as page:
                assert "delete" in await page.text()
            yield console


async def test_operators_look_after_a_gateway_whose_store_is_a_server(tmp_path: Path) -> None:
    if not has_postgres():
        left_out(LEFT_OUT)
        return
    with postgres_server() as server:
        async with console_of(tmp_path, server.database().reveal()) as console:
            server.stop()
            status, page = await console.page()
            assert (status, "The store is down" in page) == (503, True)
            status, state = await console.state()
            assert (status, state["error"]["reason"]) == (503, "store-unavailable")
            server.start()
            await until_found(console)
            status, page = await console.page()
            assert (status, "delete" in page) == (200, True)


async def test_operators_wait_for_a_server_that_is_slow(tmp_path: Path) -> None:
    if not has_postgres():
        left_out(LEFT_OUT)
        return
    with postgres_server() as server:
        url = server.database().reveal()
        with stalling_elsewhere(server.port) as (port, become):
            async with console_of(tmp_path, url.replace(f":{server.port}/", f":{port}/")) as console:
                become(Mode.SLOW)
                status, page = await console.page()
                assert (status, "delete" in page) == (200, True)
                assert (await console.state())[0] == 200
                become(Mode.PASS)


def write_one_call(url: Secret) -> None:
    """What another gateway on the same database writes."""
    store = PostgresLedgerStore(url)
    store.open()
    now = app.utc_now()
    store.append([ControlRecord(ControlEvent.START, now).row()])
    store.append([DeniedRecord(facts("1", now, tool="delete"), Reason.TOOL_DENIED).row()])
    store.close(finished=True)
