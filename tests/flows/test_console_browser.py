"""The console in a real Chromium: every page, light and dark, wide and narrow, without a script; axe finds nothing.

With MCPGOV_SCREENSHOTS=FOLDER the pages are also kept there as pictures, as docs/images has them.
"""

import asyncio
import os
import secrets
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page, async_playwright

from mcpgov.admin.access import AdminKey, Role, mint_admin_key
from mcpgov.admin.asgi import AdminListener
from mcpgov.admin.parts import AdminParts
from mcpgov.admin.sessions import Gate
from mcpgov.audit.exported import ExportState
from mcpgov.audit.record import ControlRecord, microseconds
from mcpgov.cli.answers import FileAnswers
from mcpgov.cli.serve import listener
from mcpgov.console.asgi import Console
from mcpgov.endpoint.limits import Sites
from mcpgov.endpoint.server import GatewayServer
from mcpgov.health import ConnectionHealth, State
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from mcpgov.models import CallerScope
from mcpgov.reload import load_generation
from mcpgov.settings_file import stand_ins
from mcpgov.store.audit_index import AuditIndexer, sqlite_place
from mcpgov.store.audit_query import open_sqlite_review
from mcpgov.store.database import connect
from mcpgov.store.recorded_pins import RecordedPins
from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys
from mcpgov.store.sqlite_keys import SqliteKeyStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from mcpgov.store.sqlite_pins import SqlitePins
from tests.flows.console_world import DENIED, END, ENDED, EVENTS, LISTS, SICK, Day, seen, write_files
from tests.peers.node import RegistryUnreachable, install

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENS: Final = {"light": (1280, 860, False), "dark": (1280, 860, True), "narrow": (375, 780, False)}
PATIENCE = 120  # seconds
HOUR = timedelta(hours=1)
PAGES: Final = {
    "review": "/console",
    "filtered": "/console?since=7d&decision=deny&principal=ci-agent&text=hidden",
    "nothing": "/console?tool=none",
    "refused": "/console?since=yesterday",
    "usage": "/console/usage",
    "events": "/console/events",
    "catalog": "/console/catalog",
    "found": "/console/catalog?search=contoso+retail&show=unavailable",
    "server": "/console/catalog/com.contoso%2Forders",
    "approval": "/console/catalog/com.contoso%2Fgithub",
    "policies": "/console/policies",
    "policy": "/console/policies/company",
    "explain": "/console/policies/explain?connection=github&tool=delete_repository",
    "live": "/console?live=on&decision=deny",
    "keys": "/console/keys",
}
EXPECTED: Final = ("400 (Bad Request)", "503 (Service Unavailable)")  # one page is refused, one is not there
AXE: Final = """() => axe.run(document, {resultTypes: ['violations']})
.then(found => found.violations.map(one => [one.id, one.nodes.map(node => node.html)]))"""


class Site:
    """A console that is served: its URL, an admin's key, and where calls have their pages."""

    def __init__(self, url: str, key: str, calls: dict[str, str]) -> None:
        self.url = url
        self.key = key
        self.pages = {**PAGES, **calls}


async def forget(_: str, __: Mapping[str, str]) -> None:
    """Nobody reads what is noted here."""


async def unread(_: ControlRecord) -> None:
    """Nor what is decided."""


def health(connection: str) -> ConnectionHealth:
    """What is known of the server of a connection."""
    if connection == SICK:
        why = "The server cannot be reached: the connection was refused."
        return ConnectionHealth(State.UNAVAILABLE, "upstream-unreachable", why, END - HOUR)
    return ConnectionHealth(State.AVAILABLE, since=END - HOUR)


@asynccontextmanager
async def site(folder: Path) -> AsyncGenerator[Site]:
    """Serve the console over a day of calls."""
    config, path = write_files(folder), folder / "mcpgov.db"
    snapshot = load_generation(config, {}, stand_ins)
    store = SqliteLedgerStore(path)
    store.open()
    store.append([*Day(snapshot, END).rows(), *(event.row() for event in EVENTS)])
    store.close(finished=True)
    while AuditIndexer(sqlite_place(path)).index():
        pass
    signed = connect(path)
    signed.execute(
        "INSERT INTO checkpoints VALUES (?, 1, ?, 'note')", (store.writer, microseconds(END - timedelta(seconds=4)))
    )
    signed.close()
    keys, gateway = SqliteAdminKeys(path), SqliteKeyStore(path)
    key_id, key = mint_admin_key(secrets.choice)
    await keys.create(AdminKey(key_id, digest(key.reveal()), "Dana", Role.ADMIN, END))
    for name, scope in (("ci-agent", CallerScope(("github*",), ("get_*", "list_*"))), ("support-bot", CallerScope())):
        made, secret = mint_key(secrets.choice)
        await gateway.create(KeyRecord(made, digest(secret.reveal()), name, "payments", END, scope=scope))
    pins = SqlitePins(path)
    for tools, trusted in LISTS:
        await pins.keep(seen(tools, trusted=trusted))
    recorded = RecordedPins(pins, lambda: nullcontext(unread))
    with open_sqlite_review(path) as review, listener("127.0.0.1", 0) as sock:
        answers = FileAnswers(lambda: snapshot, config, health)
        failing = ExportState("siem", "https://siem", "jsonl", 7, 1200, END - HOUR, END - HOUR, "503, said siem")
        states = (lambda: (failing,), lambda: {"/mnt/other-disk/mcpgov.db": END - HOUR})
        parts = AdminParts(
            review, answers, gateway, keys, forget, lambda: END, secrets.choice, "0.0.0", recorded, *states
        )
        gate = Gate(keys, forget, secrets.token_bytes(32), lambda: END)
        server = GatewayServer(AdminListener(parts, gate, Sites.of("127.0.0.1", ""), Console(parts, gate)))
        serving = asyncio.create_task(server.serve_on(sock))
        calls = {
            name: str(review.page(wanted).calls[0].get("call_id"))
            for name, wanted in (("call", ENDED), ("denied", DENIED))
        }
        yield Site(
            f"http://127.0.0.1:{sock.getsockname()[1]}",
            key.reveal(),
            {name: f"/console/calls/{call}" for name, call in calls.items()},
        )
        server.should_exit = True
        await serving
    gateway.close()


@asynccontextmanager
async def store_down(folder: Path) -> AsyncGenerator[None]:
    """Take the ledger away for as long as the block lasts."""
    with closing(connect(folder / "mcpgov.db")) as database:
        database.execute("ALTER TABLE checkpoints RENAME TO away")
        try:
            yield
        finally:
            database.execute("ALTER TABLE away RENAME TO checkpoints")


@asynccontextmanager
async def screen(name: str, *, scripts: bool) -> AsyncGenerator[tuple[Page, list[str]]]:
    """A page of a fresh browser, and what its console complains of."""
    width, height, dark = SCREENS[name]
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        page.on("console", lambda message: complaints.append(message.text))
        try:
            yield page, complaints
        finally:
            await browser.close()


async def sign_in(page: Page, place: Site) -> None:
    """Come in with the admin's key."""
    await page.goto(f"{place.url}/console")
    await page.fill("#key", place.key)
    await page.click("button")
    assert await page.inner_text("h1") == "Review"


async def fits(page: Page) -> bool:
    """Whether nothing of what is not scrolled in a box of its own lies beyond the right edge."""
    width = (page.viewport_size or {"width": 0})["width"]
    boxes = [
        await part.bounding_box() for part in await page.query_selector_all("body > *, main > *, .card > *:not(pre)")
    ]
    return all(box["x"] + box["width"] <= width + 1 for box in boxes if box)


def left_out(capsys: pytest.CaptureFixture[str], why: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\nleft out: the console in a browser; {why}\n")


@pytest.mark.parametrize("name", ["light", "narrow"])
async def test_every_page_works_without_a_script(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if CHROMIUM is None:
        left_out(capsys, "there is no chromium here")
        return
    pictures = os.environ.get("MCPGOV_SCREENSHOTS")
    async with asyncio.timeout(PATIENCE), site(tmp_path) as place, screen(name, scripts=False) as (page, complaints):
        await sign_in(page, place)
        for what, path in place.pages.items():
            await page.goto(place.url + path)
            if what == "explain":
                await page.click("main button")
                assert "Decision: tool-hidden" in await page.inner_text("main")
            assert await fits(page), what
            if pictures:
                await page.screenshot(path=Path(pictures, f"{what}-{name}.png"))
        assert "This is the recorded decision" in await text_at(page, place, "denied")
        assert "This is the recorded decision" in await text_at(page, place, "call")
        await page.goto(place.url + place.pages["approval"])
        await page.click("button:has-text('Approve') >> nth=1")
        assert "1 tool waiting" in await page.inner_text("main")
        await page.goto(f"{place.url}/console/keys")
        await page.click("text=Make a gateway key")
        await page.fill("#n-name", "erin")
        await page.click("text=Make the key")
        assert "This is the only time it is shown" in await page.inner_text("main")
        async with store_down(tmp_path):
            await page.goto(f"{place.url}/console")
            assert await page.inner_text("h1") == "The store is down"
            assert await fits(page)
            if pictures:
                await page.screenshot(path=Path(pictures, f"down-{name}.png"))
        await page.goto(f"{place.url}/console/keys")
        await page.click("text=Sign out")
        assert await page.inner_text("h1") == "Sign in"
        assert [text for text in complaints if not any(status in text for status in EXPECTED)] == []


async def text_at(page: Page, place: Site, what: str) -> str:
    """What a page says."""
    await page.goto(place.url + place.pages[what])
    return await page.inner_text("main")


@pytest.mark.parametrize("name", SCREENS)
async def test_axe_finds_nothing(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if CHROMIUM is None:
        left_out(capsys, "there is no chromium here")
        return
    try:
        programs = await asyncio.to_thread(install, Path(__file__).parents[1] / "console")
    except RegistryUnreachable as error:
        left_out(capsys, f"axe-core cannot be installed: {error}")
        return
    axe = (programs.parent / "axe-core" / "axe.min.js").read_text("utf-8")
    async with asyncio.timeout(PATIENCE), site(tmp_path) as place, screen(name, scripts=True) as (page, _):
        found: dict[str, Any] = {}
        await page.goto(f"{place.url}/console")
        found["sign-in"] = await checked(page, axe)
        await sign_in(page, place)
        for what, path in place.pages.items():
            await page.goto(place.url + path)
            found[what] = await checked(page, axe)
        async with store_down(tmp_path):
            await page.goto(f"{place.url}/console")
            found["down"] = await checked(page, axe)
        assert [f"{what}: {one}" for what, wrong in found.items() for one in wrong] == []


async def checked(page: Page, axe: str) -> Any:
    """What axe finds wrong with a page, everything on it folded open."""
    await page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
    await page.evaluate(axe)
    return await page.evaluate(AXE)
