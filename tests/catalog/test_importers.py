"""What a registry lists is taken one by one: a bad entry is named and hides no other, and a list has an end."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from mcpgov.catalog.importers import OFFICIAL, PAGES, SERVERS, Asked, Page, from_registry, is_api_center, read_page
from mcpgov.catalog.server_shape import OURS
from mcpgov.catalog.ways import Choice
from mcpgov.credential.references import Unfit
from mcpgov.models import Json
from tests.catalog.server_shapes import remote, server, shapes

Document = dict[str, Json]
URL = "https://registry.contoso.com"


def item(name: str, official: Document | None = None, **more: Json) -> Document:
    return {"server": {**server(name), "remotes": [remote()], **more}, "_meta": {OFFICIAL: official or {}}}


def body(*items: Json, cursor: str = "", **more: Json) -> bytes:
    metadata: Document = {"count": len(items), **({"nextCursor": cursor} if cursor else {})}
    return json.dumps({"servers": list(items), "metadata": metadata, **more}).encode()


def page(*items: Json, asked: Asked | None = None) -> Page:
    return read_page(body(*items), asked or Asked(URL))


def wrapped(shape: Document) -> Json:
    return {"server": shape, "_meta": {}}


def labels(found: Page) -> tuple[list[str], list[str]]:
    return [one.label for one in found.found], [one.label for one in found.refused]


def test_every_shape_of_a_registry_is_found() -> None:
    found = page(*(wrapped(shape) for _, shape in shapes()))
    assert len(found.found) == len(dict(shapes()))
    assert found.refused == ()


def test_a_server_says_where_it_is_listed_and_what_became_of_it() -> None:
    deprecated, active = page(item("a", {"status": "deprecated"}), item("b")).found
    made = deprecated.draft(Choice()).document
    assert (made["status"], made["registry"]) == ("deprecated", "registry.contoso.com")
    assert "status" not in active.draft(Choice()).document
    center = Asked("https://tools.data.westeurope.azure-apicenter.ms/workspaces/default")
    assert page(item("a"), asked=center).found[0].draft(Choice()).document["registry"] == "tools"
    assert page(item("a"), asked=Asked("file.json")).found[0].draft(Choice()).document["registry"] == "file"


def test_a_bad_entry_is_named_with_its_reason_and_hides_no_other() -> None:
    deep = '{"server": ' + "[" * 10_000 + "]" * 10_000 + "}"
    twice = '{"server": {"name": "a/b", "name": "c/d"}}'
    big = json.dumps({"server": {"name": "a/big", "x": "y" * 300_000}})
    bad = [deep, twice, big, "null", "{}", '{"server": 1}', json.dumps(item("v", version="^1.0")), '{"a": 1e999}']
    good = [json.dumps(item("first")), json.dumps(item('q"u{o[te', title='],{"\\')), json.dumps(item("last"))]
    text = '{"metadata": {}, "servers": [' + ",".join([good[0], *bad, *good[1:]]) + '], "servers2": "x"}'
    found = read_page(text.encode(), Asked(URL))
    assert [one.label.split()[0] for one in found.found] == ["io.github.contoso/first", "io.github.contoso/last"]
    assert len(found.refused) == len(bad) + 1
    assert all(one.why for one in found.refused)
    assert "not a range" in next(one.why for one in found.refused if one.label == "io.github.contoso/v ^1.0")


def test_only_the_latest_is_taken_unless_every_version_is_wanted() -> None:
    old, new = item("a", {"isLatest": False}), item("a", {"isLatest": True}, version="2.0.0")
    assert labels(page(old, new)) == (["io.github.contoso/a 2.0.0"], ["io.github.contoso/a 1.4.0"])
    assert len(page(old, new, asked=Asked(URL, every=True)).found) == 2
    (gone,) = page(item("a", {"status": "deleted"})).refused
    assert gone.why == "it is deleted there"


def test_what_a_registry_says_of_our_own_keys_is_not_believed() -> None:
    hostile = item("a", _meta={OURS: {"command": ["sh", "-c", "x"], "private": True, "policies": []}})
    made = page(hostile).found[0].draft(Choice()).document
    assert not made.keys() & {"command", "private", "policies"}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b"<html>",
        b'{"servers": {}}',
        b'{"servers": [',
        b"\xff",
        b'{"servers": [{}]',
        b'{"servers":[]',
    ],
)
def test_what_is_no_list_is_refused(answer: bytes) -> None:
    with pytest.raises(Unfit) as caught:
        read_page(answer, Asked(URL))
    assert caught.value.mend


class Registry:
    """Pages by their cursor."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.asked: list[dict[str, list[str]]] = []

    async def fetch(self, url: str) -> bytes:
        parts = urlsplit(url)
        assert parts.path == "/base/v0.1/servers"
        self.asked.append(parse_qs(parts.query))
        return self.pages[self.asked[-1].get("cursor", [""])[0]]


async def test_every_page_is_read_and_a_cursor_is_handed_back_as_it_is() -> None:
    registry = Registry({"": body(item("a"), cursor="a/b:1.0 &x"), "a/b:1.0 &x": body(item("b"))})
    for url in (f"{URL}/base", f"{URL}/base/", f"{URL}/base/v0.1/servers"):
        found = await from_registry(Asked(url, since="2026-11-01T00:00:00Z"), registry.fetch)
        assert len(found.found) == 2
    assert registry.asked[0] == {"limit": ["100"], "updated_since": ["2026-11-01T00:00:00Z"], "version": ["latest"]}
    assert registry.asked[1]["cursor"] == ["a/b:1.0 &x"]
    await from_registry(Asked(f"{URL}/base", every=True), registry.fetch)
    assert registry.asked[-2] == {"limit": ["100"]}


async def test_cursors_that_go_round_end_the_import() -> None:
    registry = Registry({"": body(item("a"), cursor="1"), "1": body(item("b"), cursor="2"), "2": body(cursor="1")})
    with pytest.raises(Unfit, match="never end"):
        await from_registry(Asked(f"{URL}/base"), registry.fetch)


async def test_a_list_without_an_end_is_given_up() -> None:
    asked: list[str] = []

    async def endless(url: str) -> bytes:
        asked.append(url)
        return body(cursor=str(len(asked)))

    with pytest.raises(Unfit, match="pages"):
        await from_registry(Asked(URL), endless)
    assert len(asked) == PAGES

    many: list[Json] = [{}] * (SERVERS // 10)

    async def crowded(url: str) -> bytes:
        asked.append(url)
        return body(*many, cursor=str(len(asked)))

    with pytest.raises(Unfit, match="lists more than"):
        await from_registry(Asked(URL), crowded)


def test_an_api_center_is_known_by_its_host() -> None:
    assert is_api_center("https://c.data.westeurope.azure-apicenter.ms/workspaces/default")
    assert not is_api_center("https://c.azure-apicenter.ms.evil.net")
    assert not is_api_center("https://evil.net/.azure-apicenter.ms")


@pytest.mark.parametrize("end", ["", "\\"])
def test_a_text_without_an_end_does_not_keep_us_busy(end: str) -> None:
    with pytest.raises(Unfit):
        read_page(b'{"servers": ["' + b'\\"' * 100_000 + end.encode(), Asked(URL))
