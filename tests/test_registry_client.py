"""Registries are asked over a real socket; mcpgov's token goes to API Centers alone, and no failure shows it."""

import ssl
from dataclasses import dataclass, field

import pytest
from starlette.responses import Response

from mcpgov.catalog.importers import Asked as Wanted
from mcpgov.catalog.importers import from_registry
from mcpgov.credential.references import Unfit
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Headers, Secret
from mcpgov.registry_client import RegistryClient
from mcpgov.web import Fields, GuardedWeb, WebAnswer
from tests.catalog.server_shapes import remote, server
from tests.peers.web_peer import Asked, WebPeer, json_answer, redirect

CENTER = "https://c.data.westeurope.azure-apicenter.ms/workspaces/default/v0.1/servers"


@dataclass
class Registry(WebPeer):
    """Two pages of one server each."""

    async def answer(self, asked: Asked) -> Response:
        number = "2" if asked.query.get("cursor") else "1"
        metadata = {"count": 1} if number == "2" else {"count": 1, "nextCursor": "next page/ü"}
        item = {"server": {**server(number), "remotes": [remote()]}, "_meta": {}}
        return json_answer(200, {"servers": [item], "metadata": metadata})


async def token() -> Secret:
    return Secret("t0ken")


async def no_token() -> Secret:
    raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "No token.", detail="AADSTS700016")


@dataclass
class Recorded:
    """A Web that remembers what it was shown."""

    status: int = 200
    shown: list[Fields] = field(default_factory=list[Fields])

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        assert url.startswith("https://")
        assert not private
        self.shown.append(headers)
        return WebAnswer(self.status, Headers(), b"{}")

    async def post(self, url: str, form: object, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        raise AssertionError((url, form, headers, private))


async def test_a_registry_is_read_to_its_end_without_a_token() -> None:
    async with Registry() as registry:
        client = RegistryClient(GuardedWeb(ssl.create_default_context()), token, private=True)
        page = await from_registry(Wanted(registry.url), client.fetch)
        assert [one.label for one in page.found] == ["io.github.contoso/1 1.4.0", "io.github.contoso/2 1.4.0"]
        assert [asked.query.get("cursor") for asked in registry.ledger] == [None, "next page/ü"]
        assert all("authorization" not in asked.headers for asked in registry.ledger)


async def test_an_api_center_is_shown_our_token_and_nobody_else() -> None:
    web = Recorded()
    await RegistryClient(web, token).fetch(CENTER)
    await RegistryClient(web, token).fetch("https://registry.contoso.com/v0.1/servers")
    await RegistryClient(web).fetch(CENTER)
    assert [("authorization", "Bearer t0ken") in shown for shown in web.shown] == [True, False, False]


@pytest.mark.parametrize("status", [302, 401, 403, 404, 500])
async def test_any_other_answer_is_a_failure_with_a_mend(status: int) -> None:
    with pytest.raises(Unfit) as caught:
        await RegistryClient(Recorded(status), token).fetch(CENTER)
    assert caught.value.mend
    assert "t0ken" not in str(caught.value)


async def test_where_no_token_is_had_nobody_is_asked() -> None:
    web = Recorded()
    with pytest.raises(Unfit, match="AADSTS700016"):
        await RegistryClient(web, no_token).fetch(CENTER)
    assert web.shown == []


async def test_a_private_address_a_redirect_and_a_list_of_50_megabytes_are_refused() -> None:
    async with Registry() as registry:
        web = GuardedWeb(ssl.create_default_context())
        with pytest.raises(Unfit, match="https"):
            await RegistryClient(web).fetch(f"{registry.url}/v0.1/servers")
        registry.fail("/servers", redirect("http://127.0.0.1:1/"))
        with pytest.raises(Unfit, match="answered 302"):
            await RegistryClient(web, private=True).fetch(f"{registry.url}/v0.1/servers")
        registry.fail("/servers", Response(b"x" * 50_000_000))
        with pytest.raises(Unfit, match="too large"):
            await RegistryClient(web, private=True).fetch(f"{registry.url}/v0.1/servers")
