"""Keeps access tokens while they hold: one fetch for each key, however many wait for it.

Rules: a key is the whole tuple of what a token is for and whose it is, and tokens are found by that alone: nothing is
cut, hashed short or joined. Somebody who stops waiting stops nobody else. A token that still holds is used while its
source is down; a source that fails is not asked again at once. A token that the upstream refused is replaced, but not
more often than once a minute, so that a broken upstream makes no storm at the authority.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mcpgov.credential.tokens import AccessToken
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen

Fetch = Callable[[], Awaitable[AccessToken]]


@frozen
class TokenKey:
    """What a token is for and whose it is. `assertion` is the whole digest of a user's token that was exchanged."""

    kind: str
    tenant: str = ""
    connection: str = ""
    audience: str = ""
    scopes: tuple[str, ...] = ()
    identity: str = ""
    principal: str = ""
    assertion: str = ""


@frozen
class CacheTuning:
    """`size` in tokens. In seconds: how long one fetch may take, how long a failure is believed, how much life a token
    must have left to be sent, and how often a refused one is replaced at most.
    """

    size: int = 10_000
    deadline: float = 10.0
    back_off: float = 5.0
    margin: float = 10.0
    replaced_every: float = 60.0


@dataclass(slots=True, eq=False)
class Entry:
    """What is known of one key: its token, the fetch that is under way, and how the last one failed."""

    token: AccessToken | None = None
    fetching: asyncio.Task[AccessToken | Refusal] | None = None
    failure: Refusal | None = None
    failed_at: datetime | None = None
    rejected_at: datetime | None = None


class TokenCache:
    """Access tokens in memory. `now` is the time, aware."""

    def __init__(self, now: Callable[[], datetime], tuning: CacheTuning | None = None) -> None:
        self._now = now
        self._tuning = tuning or CacheTuning()
        self._entries: OrderedDict[TokenKey, Entry] = OrderedDict()
        self._fetches: set[asyncio.Task[AccessToken | Refusal]] = set()

    async def get(self, key: TokenKey, fetch: Fetch) -> AccessToken:
        """The token of `key`, from `fetch` where there is none that holds. Raises Refusal, as `fetch` does."""
        entry = self._entry(key)
        token, now = entry.token, self._now()
        backing_off = self._within(entry.failed_at, self._tuning.back_off, now)
        if token is not None and now + timedelta(seconds=self._tuning.margin) < token.expires_at:
            if now >= token.refresh_at and entry.fetching is None and not backing_off:
                self._begin(entry, fetch)
            return token
        if entry.fetching is None and entry.failure is not None and backing_off:
            raise again(entry.failure)
        outcome = await asyncio.shield(entry.fetching or self._begin(entry, fetch))
        if isinstance(outcome, Refusal):
            raise again(outcome)
        return outcome

    def reject(self, key: TokenKey, token: AccessToken) -> None:
        """Note that the upstream refused `token`: the next call fetches a new one, if none was replaced just now."""
        entry, now = self._entries.get(key), self._now()
        if entry is None or entry.token != token:
            return  # it is gone, or replaced, already
        if not self._within(entry.rejected_at, self._tuning.replaced_every, now):
            entry.token, entry.rejected_at = None, now

    async def close(self) -> None:
        """End the fetches that are under way; who waits for one is cancelled."""
        fetches = tuple(self._fetches)
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    def _entry(self, key: TokenKey) -> Entry:
        entry = self._entries.setdefault(key, Entry())
        self._entries.move_to_end(key)
        if len(self._entries) > self._tuning.size:
            self._entries.popitem(last=False)  # who waits for its fetch holds the fetch, and not the entry
        return entry

    def _begin(self, entry: Entry, fetch: Fetch) -> asyncio.Task[AccessToken | Refusal]:
        """Fetch in a task of its own, which nobody's cancellation reaches."""
        task = entry.fetching = asyncio.create_task(self._fetch(entry, fetch))
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)
        return task

    async def _fetch(self, entry: Entry, fetch: Fetch) -> AccessToken | Refusal:
        """What `fetch` gives. A refusal is given back, not raised: it may be that nobody waits for it."""
        try:
            async with asyncio.timeout(self._tuning.deadline):
                entry.token = await fetch()
        except Refusal as refusal:
            entry.failure, entry.failed_at = again(refusal), self._now()
        except TimeoutError:
            entry.failure, entry.failed_at = no_token("not answered in time"), self._now()
        else:
            entry.failure = entry.failed_at = None
            return entry.token
        finally:
            entry.fetching = None
        return entry.failure

    @staticmethod
    def _within(since: datetime | None, seconds: float, now: datetime) -> bool:
        return since is not None and now < since + timedelta(seconds=seconds)


def no_token(detail: str) -> Refusal:
    """The refusal for a token that cannot be had. `detail` holds no secret and nothing that came from outside."""
    message = "The gateway could not get a credential for this connection."
    return Refusal(Reason.CREDENTIAL_UNAVAILABLE, message, detail=detail)


def again(refusal: Refusal) -> Refusal:
    """The same refusal for another call: an exception that is raised twice keeps what it met the first time."""
    same = Refusal(refusal.reason, refusal.message, detail=refusal.detail)
    same.link = refusal.link
    return same
