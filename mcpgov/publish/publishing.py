"""Publishes connections to an API Center, and says so in the ledger.

Rules: what is meant to be done is recorded before Azure is called at all, and what came of it afterwards, also when it
was broken off; where nothing can be recorded, nothing is published. Calls are made one after the other until one is
refused: first what is served, so that a version is there before the one before it is retired.
Refuses to know: what stands in a call, and who runs this.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.frozen import frozen
from mcpgov.publish.api_center import publishing_calls
from mcpgov.publish.arm_caller import CallRefused
from mcpgov.publish.retiring import (
    deployment_question,
    kept_versions,
    properties_of,
    retiring_calls,
    supposed_calls,
    versions_question,
    withdrawing_calls,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from datetime import datetime

    from mcpgov.audit.record import Detail
    from mcpgov.models import Json
    from mcpgov.publish.api_center import Center, Listing
    from mcpgov.publish.arm import Call
    from mcpgov.publish.retiring import Past

    Write = Callable[[ControlRecord], Awaitable[None]]
    Tell = Callable[[str, Call], None]

NAMED: Final = 100  # of a list in a record


class Caller(Protocol):
    """Makes calls of Azure Resource Manager."""

    async def make(self, call: Call) -> str:
        """What came of it: made, changed, there. Raises CallRefused."""
        ...

    async def ask(self, call: Call) -> Json:
        """What there is; None where there is nothing. Raises CallRefused."""
        ...


class Stopped(Exception):
    """A call that was refused, after which no more were made. The text is for people."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(why)
        self.path = path


@frozen
class Publication:
    """What is to be published, where, what is served no more or was served before, and who may read."""

    center: Center
    listings: tuple[Listing, ...]
    past: tuple[Past, ...]
    readers: tuple[str, ...] = ()

    def calls(self) -> Iterator[Call]:
        """The calls that publish what is served. Raises NotOffered."""
        if self.listings or self.readers:
            yield from publishing_calls(self.center, self.listings, self.readers)

    def supposed(self) -> Iterator[Call]:
        """All calls, as far as they are known without asking. Raises NotOffered."""
        yield from self.calls()
        for past in self.past:
            yield from supposed_calls(self.center, past)

    def described(self) -> dict[str, Detail]:
        """What a record says of it."""
        served = [f"{one.server} {one.version} at {one.offer.name}" for one in self.listings]
        gone = [past.connection for past in self.past if past.gone]
        said: dict[str, Detail] = {"api_center": self.center.service, "resource": self.center.inner()}
        said |= {"count": len(served), "servers": served[:NAMED], "withdrawn": gone[:NAMED]}
        return said | {"readers": list(self.readers[:NAMED])}


class Publishing:
    """Publishes through `caller`; `write` writes into the ledger, `now` gives the time in UTC."""

    def __init__(self, caller: Caller, write: Write, now: Callable[[], datetime]) -> None:
        self._caller, self._write, self._now = caller, write, now

    async def publish(self, publication: Publication, tell: Tell) -> None:
        """Publish; `tell` hears what came of each call. Raises Stopped, StoreUnavailable, NotOffered."""
        calls, about = tuple(publication.calls()), publication.described()
        await self._note(ControlEvent.CATALOG_PUBLISHING, about)
        counts, result = Counter[str](), {"result": "broken-off"}
        try:
            await self._make(calls, counts, tell)
            for past in publication.past:
                await self._retire(publication.center, past, counts, tell)
            result = {"result": "done"}
        except Stopped as stopped:
            result = {"result": "refused", "why": str(stopped), "refused": stopped.path}
            raise
        finally:
            came = {outcome: counts[outcome] for outcome in ("made", "changed", "there", "retired")}
            await self._note(ControlEvent.CATALOG_PUBLISHED, {**about, **came, **result})

    async def _retire(self, center: Center, past: Past, counts: Counter[str], tell: Tell) -> None:
        """End what the API Center still has of what is served no more."""
        if past.gone:
            deployment = await self._ask(deployment_question(center, past))
            if deployment is None:
                return  # it was never published
            calls = withdrawing_calls(center, past, properties_of(deployment))
            await self._make(calls, counts, tell, "retired")
        kept = kept_versions(await self._ask(versions_question(center, past)))
        await self._make(retiring_calls(center, past, kept), counts, tell, "retired")

    async def _make(self, calls: Iterable[Call], counts: Counter[str], tell: Tell, instead: str = "") -> None:
        """Make the calls; `instead` is what came of each of them, where that is known better."""
        for call in calls:
            try:
                outcome = await self._caller.make(call)
            except CallRefused as refused:
                raise Stopped(call.path, str(refused)) from None
            counts[instead or outcome] += 1
            tell(instead or outcome, call)

    async def _ask(self, call: Call) -> Json:
        try:
            return await self._caller.ask(call)
        except CallRefused as refused:
            raise Stopped(call.path, str(refused)) from None

    async def _note(self, event: ControlEvent, details: dict[str, Detail]) -> None:
        await self._write(ControlRecord(event, self._now(), details))
