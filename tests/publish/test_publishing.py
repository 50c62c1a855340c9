"""Publishing stands in the ledger before and after, and what is served no more does not go on looking as if it were."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from mcpgov.audit.record import ControlRecord
from mcpgov.errors import StoreUnavailable
from mcpgov.models import Secret
from mcpgov.publish.api_center import Center, Listing
from mcpgov.publish.arm import Call
from mcpgov.publish.arm_caller import ArmCaller
from mcpgov.publish.publishing import Publication, Publishing, Stopped
from mcpgov.publish.retiring import Past
from mcpgov.web import GuardedWeb
from tests.audit.calls import NOW
from tests.catalog.offers import URL, offer
from tests.peers.entra_tokens import MANAGED_IDENTITY
from tests.peers.resource_manager import CENTER, MANAGEMENT, ResourceManager

HERE = Center("s-1", "tools", "contoso-tools")
GROUP = "11111111-2222-3333-4444-555555555555"
GITHUB = Listing(offer(), "com.contoso/github", "1.4.0", "GitHub")
FIRST = Publication(HERE, (GITHUB,), (Past("github", (), "1.4.0"),), (GROUP,))
SECOND = Publication(HERE, (replace(GITHUB, version="1.5.0"),), (Past("github", (), "1.5.0"),))
GONE = Publication(HERE, (), (Past("github", ("1.5.0",)),))
APIS = f"{CENTER}/workspaces/default/apis"


@dataclass
class Desk:
    """Someone who publishes, with a ledger; `full` is how many records fit into it."""

    peer: ResourceManager
    caller: ArmCaller
    full: int = 1_000
    records: list[ControlRecord] = field(default_factory=list[ControlRecord])
    told: list[str] = field(default_factory=list[str])

    async def write(self, record: ControlRecord) -> None:
        if len(self.records) == self.full:
            raise StoreUnavailable("disk full")
        assert self.records or not self.peer.ledger
        self.records.append(record)

    async def publish(self, publication: Publication) -> None:
        def tell(outcome: str, call: Call) -> None:
            self.told.append(f"{outcome} {call.path.removeprefix(APIS)}")

        self.told.clear()
        await Publishing(self.caller, self.write, lambda: NOW).publish(publication, tell)

    def stage(self, version: str) -> str:
        return self.peer.resources[f"{APIS}/github/versions/{version}"]["lifecycleStage"]

    @property
    def deployment(self) -> object:
        return self.peer.resources[f"{APIS}/github/deployments/gateway"]


class Token:
    """A token that a test made."""

    def __init__(self, value: str) -> None:
        self.value = value

    async def token(self) -> Secret:
        return Secret(self.value)


@pytest.fixture
async def desk() -> AsyncGenerator[Desk]:
    async with opened() as made:
        yield made


@asynccontextmanager
async def opened() -> AsyncGenerator[Desk]:
    async with ResourceManager() as peer:
        token = peer.entra.tokens.managed_identity(MANAGED_IDENTITY, 1, client_id="c", aud=MANAGEMENT)
        yield Desk(peer, ArmCaller(GuardedWeb(), Token(token), peer.url, private=True))


async def test_who_what_and_where_is_recorded_before_and_what_came_of_it_after(desk: Desk) -> None:
    await desk.publish(FIRST)
    before, after = desk.records
    about = {
        "api_center": "contoso-tools",
        "resource": f"{CENTER}/workspaces/default",
        "count": 1,
        "servers": ["com.contoso/github 1.4.0 at github"],
        "withdrawn": [],
        "readers": [GROUP],
    }
    assert (before.event, before.details) == ("catalog-publishing", about)
    came = {"made": 6, "changed": 0, "there": 0, "retired": 0, "result": "done"}
    assert (after.event, after.details) == ("catalog-published", about | came)


async def test_where_nothing_can_be_recorded_nothing_is_published(desk: Desk) -> None:
    desk.full = 0
    with pytest.raises(StoreUnavailable):
        await desk.publish(FIRST)
    assert desk.peer.ledger == []


async def test_a_refusal_is_recorded_with_what_was_refused(desk: Desk) -> None:
    desk.peer.writers = frozenset()
    with pytest.raises(Stopped, match="403: AuthorizationFailed") as stopped:
        await desk.publish(FIRST)
    refused = desk.records[-1].details
    assert (refused["result"], refused["refused"], refused["made"]) == ("refused", stopped.value.path, 0)
    with pytest.raises(Stopped, match="403"):
        await desk.publish(GONE)
    assert desk.records[-1].details["withdrawn"] == ["github"]


async def test_what_is_broken_off_has_an_outcome_all_the_same(desk: Desk) -> None:
    def broken_off(outcome: str, call: Call) -> None:
        raise KeyboardInterrupt(outcome, call)

    with pytest.raises(KeyboardInterrupt):
        await Publishing(desk.caller, desk.write, lambda: NOW).publish(FIRST, broken_off)
    assert (desk.records[-1].details["result"], desk.records[-1].details["made"]) == ("broken-off", 1)


async def test_a_version_that_another_one_follows_is_retired(desk: Desk) -> None:
    await desk.publish(FIRST)
    await desk.publish(SECOND)
    assert (desk.stage("1-4-0"), desk.stage("1-5-0")) == ("retired", "production")
    assert desk.told[-1] == "retired /github/versions/1-4-0"
    assert URL in str(desk.deployment)
    assert "1-5-0" in str(desk.deployment)


async def test_what_is_deleted_is_retired_and_names_no_url(desk: Desk) -> None:
    await desk.publish(FIRST)
    await desk.publish(SECOND)
    await desk.publish(GONE)
    assert desk.told == ["retired /github/deployments/gateway", "retired /github/versions/1-5-0"]
    assert (desk.stage("1-4-0"), desk.stage("1-5-0")) == ("retired", "retired")
    assert URL not in str(desk.deployment)
    assert desk.records[-1].details["retired"] == 2


async def test_publishing_again_changes_nothing(desk: Desk) -> None:
    for publication in (FIRST, SECOND, SECOND):
        await desk.publish(publication)
    assert not any("retired" in told for told in desk.told)
    await desk.publish(GONE)
    before = dict(desk.peer.resources)
    await desk.publish(GONE)
    assert (desk.told, desk.peer.resources) == ([], before)


async def test_what_comes_back_is_current_again(desk: Desk) -> None:
    for publication in (FIRST, GONE, FIRST):
        await desk.publish(publication)
    assert desk.stage("1-4-0") == "production"
    assert URL in str(desk.deployment)


async def test_of_what_was_never_published_nothing_is_made(desk: Desk) -> None:
    await desk.publish(GONE)
    assert (desk.told, desk.peer.resources) == ([], {})


async def test_what_is_printed_is_what_is_made_where_it_was_published(desk: Desk) -> None:
    await desk.publish(SECOND)
    printed = [call.path for call in GONE.supposed() if call.method == "PUT"]
    await desk.publish(GONE)
    assert [f"{APIS}{told.partition(' ')[2]}" for told in desk.told] == printed
