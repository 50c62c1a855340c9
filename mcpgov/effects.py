"""Performs what policies ask for: counts, places, what is known of tools, keys and tokens, lines for the log.

Decides nothing. What a call holds (a place, a charge for its bytes) is kept until the call has ended, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

from mcpgov.decision import (
    Charge,
    Describe,
    Effect,
    FetchKeys,
    GetAuthorization,
    GetToken,
    Hold,
    Learn,
    LogEvent,
    Metric,
    Reason,
    Refund,
    Spend,
    Spent,
    Tell,
    Trace,
)
from mcpgov.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from mcpgov.json_web_token import KeySet
    from mcpgov.models import Issued, Json

T = TypeVar("T")


class Limits(Protocol):
    """Spends what a policy counts, in the store of counters."""

    async def spend(self, effect: Spend) -> Spent:
        """Take from a counter if there is room. Raises Refusal (counters-unavailable)."""
        ...

    async def refund(self, effect: Refund) -> None:
        """Give back what was taken."""
        ...

    async def charge(self, spend: Spend, amount: int) -> None:
        """Take from a counter, whether there is room or not."""
        ...


class Tokens(Protocol):
    """The keys and tokens that policies ask for."""

    async def keys(self, effect: FetchKeys, /) -> KeySet:
        """The signing keys of an issuer. Raises Refusal (sign-in-unavailable)."""
        ...

    async def token(self, effect: GetToken, /) -> Issued:
        """A token of a managed identity. Raises Refusal (credential-unavailable)."""
        ...

    async def authorization(self, effect: GetAuthorization, /) -> Issued:
        """The token that an OAuth2 connection has. Raises Refusal (credential-unavailable, consent-required)."""
        ...


class NoTokens:
    """For a gateway that has none of them: whatever needs one is refused."""

    async def keys(self, _effect: FetchKeys, /) -> KeySet:
        """Refuse. Raises Refusal (sign-in-unavailable)."""
        raise Refusal(Reason.SIGN_IN_UNAVAILABLE, "The keys that verify tokens cannot be had.")

    async def token(self, _effect: GetToken, /) -> Issued:
        """Refuse. Raises Refusal (credential-unavailable)."""
        raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "A token that a policy asks for cannot be had.")

    async def authorization(self, effect: GetAuthorization, /) -> Issued:
        """Refuse. Raises Refusal (credential-unavailable)."""
        return await self.token(GetToken(effect.provider))


class Teller(Protocol):
    """Where traces and metrics of policies go. Never waits, never raises."""

    def tell(self, effect: Trace | Metric) -> None:
        """Pass one on."""
        ...


class Loggers(Protocol):
    """Where policies log to. Never waits, never raises."""

    def log(self, effect: LogEvent, /) -> None:
        """Have an event sent."""
        ...


class NoLoggers:
    """For a gateway that has none."""

    def log(self, _effect: LogEvent, /) -> None:
        """Leave it."""


@dataclass(slots=True)
class Effects:
    """What all calls share: the places that are taken, and what servers say of their tools."""

    limits: Limits
    teller: Teller
    tokens: Tokens = field(default_factory=NoTokens)
    loggers: Loggers = field(default_factory=NoLoggers)
    _held: dict[str, int] = field(default_factory=dict[str, int])
    _tools: dict[str, dict[str, Mapping[str, object]]] = field(
        default_factory=dict[str, dict[str, "Mapping[str, object]"]]
    )

    def call(self) -> CallEffects:
        """The effects of one call; leaving the context lets go of what it holds."""
        return CallEffects(self)

    def hold(self, hold: Hold) -> bool:
        """Take a place if one is free."""
        taken = self._held.get(hold.key, 0)
        if taken >= hold.limit:
            return False
        self._held[hold.key] = taken + 1
        return True

    def let_go(self, key: str) -> None:
        """Free a place."""
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]

    def describe(self, connection: str, tool: str) -> Mapping[str, object]:
        """The annotations of a tool, as last listed; empty where it was never listed."""
        return self._tools.get(connection, {}).get(tool, {})

    def learn(self, connection: str, tools: Sequence[Json]) -> None:
        """Take in a list of tools. A list may have several pages, so what it does not name stays known."""
        known = self._tools.setdefault(connection, {})
        for tool in tools:
            if isinstance(tool, dict) and isinstance(name := tool.get("name"), str):
                said = tool.get("annotations")
                known[name] = said if isinstance(said, dict) else {}
        while len(known) > MAX_TOOLS:
            del known[next(iter(known))]


MAX_TOOLS = 10_000  # of one connection; the first ones are forgotten, and count as never listed


class CallEffects:
    """The effects of one call."""

    __slots__ = ("charges", "held", "shared")

    def __init__(self, shared: Effects) -> None:
        self.shared = shared
        self.held: list[str] = []
        self.charges: list[Charge] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for key in self.held:
            self.shared.let_go(key)
        for charge in self.charges:
            await self.shared.limits.charge(charge.spend, charge.amount())

    async def perform(self, evaluation: Generator[Effect, Any, T]) -> T:
        """Run an evaluation to its end, performing the effects that it yields. Raises Refusal.

        What cannot be had is raised where it was asked for: an element may be told to do without.
        """
        try:
            effect = next(evaluation)
            while True:
                at_once = AT_ONCE.get(type(effect))
                if at_once is not None:
                    effect = evaluation.send(at_once(self, effect))
                    continue
                try:
                    performed = await self._awaited(effect)
                except Refusal as refusal:
                    effect = evaluation.throw(refusal)
                else:
                    effect = evaluation.send(performed)
        except StopIteration as end:
            return end.value

    async def _awaited(self, effect: Effect) -> object:
        """What somebody else has to be asked for. Raises Refusal."""
        shared = self.shared
        match effect:
            case Spend():
                return await self._spent(effect)
            case Refund():
                return await shared.limits.refund(effect)
            case FetchKeys():
                return await shared.tokens.keys(effect)
            case GetToken():
                return await shared.tokens.token(effect)
            case GetAuthorization():
                return await shared.tokens.authorization(effect)
            case _:
                raise TypeError(type(effect))

    def hold(self, hold: Hold) -> bool:
        """Take a place. One call takes one, however many rules name it."""
        if hold.key in self.held:
            return True
        free = self.shared.hold(hold)
        self.held += [hold.key] if free else []
        return free

    async def _spent(self, effect: Spend) -> Spent:
        """Take from a counter. What is only reported on lets the call pass where it cannot be counted."""
        try:
            return await self.shared.limits.spend(effect)
        except Refusal:
            if not effect.apart:
                raise
            return Spent(allowed=True, limit=effect.calls, remaining=effect.calls, reset=effect.period)


# What is performed without waiting for anybody.
AT_ONCE: Final[Mapping[type[Effect], Callable[[CallEffects, Any], object]]] = {
    Describe: lambda call, effect: call.shared.describe(effect.connection, effect.tool),
    Learn: lambda call, effect: partial(call.shared.learn, effect.connection),
    Hold: CallEffects.hold,
    Charge: lambda call, effect: call.charges.append(effect),
    Trace: lambda call, effect: call.shared.teller.tell(effect),
    Metric: lambda call, effect: call.shared.teller.tell(effect),
    Tell: lambda call, _: call.shared.teller.tell,
    LogEvent: lambda call, effect: call.shared.loggers.log(effect),
}
