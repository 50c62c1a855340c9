"""Azure is called with a token of our own, gets exactly what was printed, and its refusals are told in its words."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Headers, Secret
from mcpgov.publish.api_center import Center, Listing, publishing_calls
from mcpgov.publish.arm_caller import ArmCaller, CallRefused, said
from mcpgov.publish.retiring import kept_versions, properties_of
from mcpgov.web import Fields, GuardedWeb, WebAnswer
from tests.catalog.offers import URL, offer
from tests.peers.entra_tokens import MANAGED_IDENTITY
from tests.peers.resource_manager import CENTER, MANAGEMENT, ResourceManager

GROUP = "11111111-2222-3333-4444-555555555555"
LISTINGS = (Listing(offer(), "com.contoso/github", "1.4.0", "GitHub", "Repositories"),)
CALLS = tuple(publishing_calls(Center("s-1", "tools", "contoso-tools"), LISTINGS, (GROUP,)))


@dataclass
class Given:
    """A token that a test made; empty where there is none."""

    value: str

    async def token(self) -> Secret:
        if not self.value:
            raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "There is no token.", detail="managed identity: none here")
        return Secret(self.value)


@asynccontextmanager
async def azure(audience: str = MANAGEMENT) -> AsyncGenerator[tuple[ResourceManager, ArmCaller]]:
    async with ResourceManager() as peer:
        token = peer.entra.tokens.managed_identity(MANAGED_IDENTITY, 1, client_id="c", aud=audience)
        yield peer, ArmCaller(GuardedWeb(), Given(token), peer.url, private=True)


async def test_everything_is_made_in_its_order_and_runs_at_the_gateway() -> None:
    async with azure() as (peer, caller):
        assert [await caller.make(call) for call in CALLS] == ["made"] * 6
    assert peer.resources[f"{CENTER}/workspaces/default/apis/github/deployments/gateway"]["server"] == {
        "runtimeUri": [URL]
    }
    assert peer.resources.keys() == {call.path for call in CALLS}


async def test_publishing_again_changes_nothing() -> None:
    async with azure() as (peer, caller):
        for call in CALLS:
            await caller.make(call)
        before = dict(peer.resources)
        assert [await caller.make(call) for call in CALLS] == ["changed"] * 6
        assert peer.resources == before


async def test_a_role_that_was_assigned_under_another_name_is_there() -> None:
    async with azure() as (peer, caller):
        *_, assignment = CALLS
        elsewhere = assignment.path.rpartition("/")[0] + "/22222222-2222-3333-4444-555555555555"
        peer.resources[elsewhere] = assignment.body["properties"]
        assert await caller.make(assignment) == "there"


async def test_what_azure_says_against_a_call_is_told() -> None:
    async with azure() as (peer, caller):
        with pytest.raises(CallRefused, match=r"404: ParentResourceNotFound There is no environments/mcpgov|apis"):
            await caller.make(CALLS[2])
        peer.writers = frozenset()
        with pytest.raises(CallRefused, match="403: AuthorizationFailed"):
            await caller.make(CALLS[0])


async def test_a_token_for_something_else_is_refused_and_not_repeated() -> None:
    async with azure(audience="https://vault.azure.net") as (_, caller):
        with pytest.raises(CallRefused, match="401: AuthenticationFailed") as refused:
            await caller.make(CALLS[0])
    assert "eyJ" not in str(refused.value)


async def test_without_a_token_or_an_answer_it_is_said_why() -> None:
    with pytest.raises(CallRefused, match="managed identity: none here"):
        await ArmCaller(GuardedWeb(), Given("")).make(CALLS[0])
    with pytest.raises(CallRefused, match=r"127\.0\.0\.1"):
        await ArmCaller(GuardedWeb(), Given("t"), "http://127.0.0.1:9", private=True).make(CALLS[0])


async def test_what_there_is_can_be_asked_page_by_page() -> None:
    center = Center("s-1", "tools", "contoso-tools")
    async with azure() as (peer, caller):
        for call in CALLS:
            await caller.make(call)
        for number in range(4):
            versions = ("apis", "github", "versions", f"0-0-{number}")
            await caller.make(center.call(*versions, title=f"0.0.{number}", lifecycleStage="production"))
        peer.page = 2
        answer = await caller.ask(center.question("apis", "github", "versions"))
        assert isinstance(answer, dict)
        assert len(list(kept_versions(answer))) == 5
        deployment = properties_of(await caller.ask(center.question("apis", "github", "deployments", "gateway")))
        assert deployment["server"] == {"runtimeUri": [URL]}
        assert await caller.ask(center.question("apis", "other", "versions")) is None
        peer.writers = frozenset()
        with pytest.raises(CallRefused, match="403: AuthorizationFailed"):
            await caller.ask(center.question("apis", "github", "versions"))


@dataclass
class Said:
    """What carries calls, and always gets the same answer."""

    body: bytes

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        assert url.startswith(f"{MANAGEMENT}/subscriptions/")
        assert dict(headers).keys() == {"authorization"}
        return WebAnswer(200, Headers(()), self.body)

    async def put(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        raise AssertionError(f"a question changes nothing: {url}")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "what cannot be read"),
        (b"[]", "what cannot be read"),
        (b"[" * 100_000, "what cannot be read"),
        (b'{"value": [], "nextLink": "https://management.azure.com.evil.example/"}', "goes on elsewhere"),
        (b'{"value": [], "nextLink": ["/"]}', "goes on elsewhere"),
        (b'{"value": [1], "nextLink": "https://management.azure.com/subscriptions/s"}', "more than 50 pages"),
    ],
)
async def test_a_list_that_leads_away_or_never_ends_is_refused(body: bytes, why: str) -> None:
    caller = ArmCaller(Said(body), Given("t"))
    with pytest.raises(CallRefused, match=why):
        await caller.ask(CALLS[1])


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "no"}', b'{"error": {}}', b"[" * 100_000])
def test_an_answer_that_says_nothing_says_nothing(body: bytes) -> None:
    assert said(body) == ("", "")
