"""Gateways that write to one store at the same time: what they must have in common, and what is said if they have not.

Each says in the record of its start under which key it seals and digests (the key's id) and where it counts limits. One
that starts looks at what those have said that run and started before it; so of two that start together, exactly one is
refused, whichever that is. Rules:

- another key is refused: neither would open the sessions that the other gives, nor find what it digested. A key that
  stands in `secrets.former_keys` is let be: then keys are being changed, one gateway after the other;
- limits in our own memory are refused, because together the gateways would admit so many times as much, unless the
  setting says that this is meant. Limits that another counts elsewhere are told in the log: it may be on its way out.

Refuses to know: what runs with another store. A Redis that two of those share they share well.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from mcpgov.audit.redact import key_id
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.server_urls import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.errors import Problem
    from mcpgov.settings import Counters, Settings
    from mcpgov.yaml_source import Source

MEMORY: Final = "memory"
PER_WORKER: Final = "per-worker"
LOOKS: Final = 13  # before a start is refused: one that was killed a moment ago may still look alive
PAUSE: Final = 0.25  # seconds between two


@frozen
class Serving:
    """What a gateway that runs said when it started. `counters` is empty where its release did not say."""

    writer: str
    since: str
    digest_key: str
    counters: str


class SharedStore(Protocol):
    """A store that others may write to as well."""

    @property
    def settings(self) -> Settings:
        """The settings that name it."""
        ...

    @property
    def digest_keys(self) -> Sequence[bytes]:
        """The key of digests, and those that came before it."""
        ...

    def gateways(self, before: str = "") -> Sequence[Serving]:
        """Those that write to it now and started before a writer. Raises StoreUnavailable."""
        ...


def serving(writer: str, record: str) -> Serving | None:
    """What the record of a start says; None of one that serves nobody, as a probe does."""
    said = json.loads(record)
    if "mcpgov.control.principal" in said:
        return None
    key, counters = (str(said.get(f"mcpgov.control.{name}", "")) for name in ("digest_key", "counters"))
    return Serving(writer, str(said["ts"]), key, counters)


def counted(counters: Counters) -> str:
    """Where limits are counted, in a word, or the place of the Redis without who signs in there."""
    if counters.url is not None:
        return shown(counters.url.reveal())
    return PER_WORKER if counters.per_worker else MEMORY


async def join(store: SharedStore, source: Source, writer: str, *, serves: bool) -> None:
    """Return if `writer`, whose start is written down, may serve beside those that do; at once if it serves nobody.

    Raises InvalidConfiguration. A ledger with further stores may begin without this one: who is there is unknown then.
    """
    problems: tuple[Problem, ...] = ()
    for look in range(LOOKS if serves else 0):
        await asyncio.sleep(PAUSE if look else 0)
        try:
            others = await asyncio.to_thread(store.gateways, writer)
        except StoreUnavailable as error:
            structlog.get_logger().warning("replicas-unknown", error=str(error))
            return
        keys = tuple(map(key_id, store.digest_keys))
        problems = (*other_keys(keys, source, others), *limits_apart(store.settings.counters, source, others))
        if not problems:
            tell_of_elsewhere(store.settings.counters, others)
            return
    if problems:
        raise InvalidConfiguration(problems)


def other_keys(keys: Sequence[str], source: Source, others: Sequence[Serving]) -> Iterator[Problem]:
    """The first of the others that has a key which is none of ours, whose ids these are."""
    for other in others:
        if other.digest_key not in {*keys, ""}:
            message = (
                f"a gateway that writes to this store since {other.since} has another key ({other.digest_key}):"
                " neither would open the sessions that the other gives"
            )
            mend = "give all of them the same secrets.key; while it changes, name the former in secrets.former_keys"
            yield source.problem(("secrets", "key"), message, mend)
            return


def limits_apart(counters: Counters, source: Source, others: Sequence[Serving]) -> Iterator[Problem]:
    """Limits that we would count in our own memory, beside others."""
    if others and counted(counters) == MEMORY:
        message = f"limits are counted in memory, and this store has {len(others) + 1} gateways: each would admit all"
        mend = "name one Redis for all, like counters: redis://HOST:6379, or choose counters: per-worker"
        yield source.problem(("counters",), message, mend)


def tell_of_elsewhere(counters: Counters, others: Sequence[Serving]) -> None:
    """Log where others count that share no limit with us."""
    ours = counted(counters)
    theirs = {other.counters for other in others} - {ours, "", PER_WORKER}
    if theirs and ours != PER_WORKER:
        structlog.get_logger().warning("counters-elsewhere", ours=ours, others=sorted(theirs))
