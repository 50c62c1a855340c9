"""The pages of consent in a real Chromium: sign in, agree, done, on a narrow and a wide screen, without a script."""

import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.flows.consenting import Town, eliciting_call, link_in, town

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NARROW, WIDE = (375, 720), (1280, 800)
PATIENCE = 60  # seconds
Way = Callable[[Town, Page], Awaitable[None]]


@asynccontextmanager
async def screen(width: int, height: int, *, dark: bool = False) -> AsyncGenerator[tuple[Page, list[str]]]:
    """A page of a fresh browser, and what its console complains of."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=False,
        )
        page.on("console", lambda message: complaints.append(message.text))
        try:
            yield page, complaints
        finally:
            await browser.close()


async def sign_in(page: Page, user: str) -> None:
    """Fill in the form of whoever asks."""
    await page.fill("input[name=user]", user)
    await page.click("button[value=allow]")


async def fits(page: Page) -> bool:
    """Whether nothing lies beyond the right edge."""
    boxes = [await element.bounding_box() for element in await page.query_selector_all("main, main *")]
    width = (page.viewport_size or {"width": 0})["width"]
    return all(box["x"] >= 0 and box["x"] + box["width"] <= width + 1 for box in boxes if box)


async def agrees(place: Town, page: Page) -> None:
    """Alice opens her link, signs in, agrees."""
    client = await place.caller("alice")
    await page.goto(link_in(await eliciting_call(client)))
    assert "on your behalf" in await page.inner_text("h1")
    assert (await page.inner_text("dd >> nth=0")).startswith("Alice")
    assert await fits(page)
    await page.click("button")
    await page.wait_for_selector("input[name=user]")  # the page between has followed itself
    assert page.url.startswith(place.issuer.url)
    await sign_in(page, "alice")
    await page.wait_for_selector("input[name=user]")
    await page.wait_for_url(f"{place.server.url}/**")
    await sign_in(page, "alice-at-city")
    await page.wait_for_url("**/oauth/callback**")
    assert await page.inner_text("h1") == "Done"
    assert await fits(page)
    assert "content" in (await eliciting_call(client)).message["result"]
    assert place.upstream.users == ["alice-at-city"]


async def bob_is_refused(place: Town, page: Page) -> None:
    """Bob opens Alice's link and signs in as himself."""
    await page.goto(link_in(await eliciting_call(await place.caller("alice"))))
    await page.click("button")
    await page.wait_for_selector("input[name=user]")
    await sign_in(page, "bob")
    await page.wait_for_url("**/oauth/callback**")
    assert await page.inner_text("h1") == "This link is somebody else's"
    assert await fits(page)


async def a_key_is_shown(place: Town, page: Page) -> None:
    """The holder of a key types it in; it is shown as dots and goes nowhere else."""
    key = await place.house.key("build")
    await page.goto(link_in(await eliciting_call(await place.caller(key=key))))
    assert await page.get_attribute("#key", "type") == "password"
    assert await fits(page)
    await page.fill("#key", key)
    await page.click("button")
    await page.wait_for_url(f"{place.server.url}/**")
    assert not any(key in str(asked) for asked in place.server.ledger)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("way", [agrees, bob_is_refused, a_key_is_shown])
async def test_people_find_their_way_in_a_real_browser(
    tmp_path: Path, way: Way, size: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    if CHROMIUM is None:
        with capsys.disabled():
            sys.stdout.write("\nleft out: the pages of consent in a browser; there is no chromium here\n")
        return
    async with (
        asyncio.timeout(PATIENCE),
        town(tmp_path) as place,
        screen(*size, dark=size is NARROW) as (page, complaints),
    ):
        await way(place, page)
        assert [text for text in complaints if "Security" in text] == []
