"""A gateway of twins, every seam of which can be made to raise, and the wrappers that make it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar, cast

from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.record import ControlEvent
from mcpgov.audit.redact import Digester
from mcpgov.decision import (
    Decision,
    Effect,
    FetchKeys,
    GetAuthorization,
    GetToken,
    LogEvent,
    Metric,
    Reason,
    Refund,
    Spend,
    Spent,
    Trace,
)
from mcpgov.effects import CallEffects, Effects
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.json_web_token import KeySet
from mcpgov.models import (
    Answer,
    Connection,
    Credential,
    Headers,
    Issued,
    Json,
    MCPRequest,
    Principal,
    RequestHead,
    Secret,
)
from mcpgov.pipeline import NoPins, Stages, govern
from mcpgov.policy.compiled import ConnectionPolicy, Sections
from mcpgov.policy.draft import Denial, Draft
from mcpgov.policy.element import Element, PlainElement, Step, Verdict
from mcpgov.snapshot import Snapshot
from mcpgov.store.memory_ledger import MemoryLedgerStore
from mcpgov.strict_json import dumps
from mcpgov.upstream.memory import MemoryUpstream, ScriptedAnswer
from tests.audit.calls import ALICE, CITY, CREDENTIAL, NOW, head, request
from tests.policy.tokens import published, token

T = TypeVar("T")

RULE = "planted#1"
NO_POLICY = ConnectionPolicy("sha256:p", Sections(), {}, hides_tools=False)
LIST = "tools/list"


def raising(error: BaseException) -> Callable[..., Any]:
    """A function that raises."""

    def fails(*_given: object, **_named: object) -> Any:
        raise error

    return fails


class Faulty:
    """Whatever `inner` is, but for one method, which raises."""

    def __init__(self, inner: object, method: str, error: BaseException) -> None:
        self.__dict__.update(inner=inner, method=method, error=error)

    def __getattr__(self, name: str) -> Any:
        return (
            raising(self.__dict__["error"])
            if name == self.__dict__["method"]
            else getattr(self.__dict__["inner"], name)
        )

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.__dict__["inner"], name, value)


class Opening:
    """Whatever `inner` is, but that what its `method` opens fails as it is entered, or once it was left."""

    def __init__(self, inner: object, method: str, when: str, error: BaseException) -> None:
        self._inner, self._method, self._when, self._error = inner, method, when, error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name != self._method:
            return found

        def opens(*given: object) -> AbstractAsyncContextManager[Any]:
            return self._opened(found(*given))

        return opens

    @asynccontextmanager
    async def _opened(self, context: AbstractAsyncContextManager[Any]) -> AsyncGenerator[Any]:
        if self._when == "entered":
            raise self._error
        async with context as value:
            yield value
        raise self._error


class Failing(CallEffects):
    """The effects of a call, one kind of which cannot be performed."""

    __slots__ = ("error", "kind")
    kind: type
    error: BaseException

    async def perform(self, evaluation: Generator[Effect, Any, T]) -> T:
        """Run an evaluation to its end, in which that kind ends with the error."""
        return await super().perform(self._broken(evaluation))

    def _broken(self, evaluation: Generator[Effect, Any, T]) -> Generator[Effect, Any, T]:
        try:
            effect = next(evaluation)
            while True:
                try:
                    if isinstance(effect, self.kind):
                        raise self.error
                    performed = yield effect
                except Refusal as refusal:
                    effect = evaluation.throw(refusal)
                else:
                    effect = evaluation.send(performed)
        except StopIteration as end:
            return end.value


@dataclass
class FailingEffects:
    """Effects, one kind of which cannot be performed."""

    inner: Effects
    kind: type
    error: BaseException

    @asynccontextmanager
    async def call(self) -> AsyncGenerator[Failing]:
        """The effects of one call."""
        async with self.inner.call() as whole:
            failing = Failing(whole.shared)
            failing.kind, failing.error = self.kind, self.error
            yield failing


def broken(element: type[Element], error: BaseException, *, hides: bool = False) -> Element:
    """An element of a class that raises as it runs; or that runs, and raises when it is asked what it hides."""

    def runs(_self: Element, _draft: Draft) -> Verdict:
        yield from ()

    def decides(_self: Element, _draft: Draft) -> None:
        return None

    fails, plain = raising(error), issubclass(element, PlainElement)
    methods: dict[str, object] = {"__slots__": (), "decide" if plain else "run": fails}
    if hides:
        methods |= {"run": runs, "decide": decides, "hides": fails}
    made = type(f"Broken{element.__name__}", (element,), methods)
    return cast("Element", object.__new__(made))


@dataclass(frozen=True, slots=True)
class Plants(PlainElement):
    """An element that does something to the draft."""

    name = "plants"
    does: Callable[[Draft], object]

    def decide(self, draft: Draft, /) -> Denial | None:
        """Do it."""
        self.does(draft)
        return None


def step(element: Element) -> Step:
    """An element where it stands."""
    return Step(element, f"{RULE} {element.name}", "planted.yaml", 1, 1)


def planted(value: Any, element: Element) -> Any:
    """The same steps, the innermost of which are this element."""
    if isinstance(value, Step) and not value.element.inner():
        return replace(value, element=element)
    if isinstance(value, tuple):
        return tuple(planted(one, element) for one in cast("tuple[object, ...]", value))
    if is_dataclass(value) and not isinstance(value, type):
        inside = {one.name: planted(getattr(value, one.name), element) for one in fields(value) if one.init}
        return (
            replace(value, **inside) if any(getattr(value, name) is not new for name, new in inside.items()) else value
        )
    return value


@dataclass
class Exchange:
    """One request, and what was told."""

    request: MCPRequest
    head: RequestHead
    relayed: list[bytes] = field(default_factory=list[bytes])
    refusals: list[Refusal] = field(default_factory=list[Refusal])

    async def read(self, principal: Principal, origins: Collection[str]) -> MCPRequest:
        """The request."""
        assert principal.id
        assert not origins
        return self.request

    async def relay(self, answer: Answer, decision: Decision) -> None:
        """Take the answer to its end."""
        assert decision.allowed
        self.relayed += [event.raw async for events in answer.events for event in events]

    async def refuse(self, refusal: Refusal) -> None:
        """Note it."""
        self.refusals.append(refusal)


class Twins:
    """Who calls, with which credential, and what policies ask for: everything is there."""

    def __init__(self) -> None:
        self.keys_published = published("k1")

    async def identify(self, _head: RequestHead) -> Principal:
        return ALICE

    async def credential_for(self, _connection: Connection, _principal: Principal) -> Credential:
        return CREDENTIAL

    async def spend(self, effect: Spend) -> Spent:
        return Spent(allowed=True, limit=effect.calls, remaining=10, reset=effect.period)

    async def refund(self, _effect: Refund) -> None:
        """Given back."""

    async def charge(self, _spend: Spend, amount: int) -> None:
        assert amount

    def tell(self, _effect: Trace | Metric) -> None:
        """Told."""

    def log(self, _effect: LogEvent, /) -> None:
        """Logged."""

    async def keys(self, _effect: FetchKeys, /) -> KeySet:
        return self.keys_published

    async def token(self, _effect: GetToken, /) -> Issued:
        return Issued(Secret("token"), "identity", "audience")

    async def authorization(self, _effect: GetAuthorization, /) -> Issued:
        return Issued(Secret("token"), "identity", "audience")


def answer(request: MCPRequest) -> ScriptedAnswer:
    """A list of tools, or an empty result."""
    tools: Json = [{"name": "search", "inputSchema": {"type": "object"}}]
    content: Json = []
    result: Json = {"tools": tools} if request.method == LIST else {"content": content}
    return ScriptedAnswer(chunks=(dumps({"jsonrpc": "2.0", "id": request.id, "result": result}),))


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one call."""

    sent: int
    relayed: bool
    told: tuple[Reason, ...]
    records: tuple[Mapping[str, Any], ...]
    escaped: BaseException | None

    @property
    def events(self) -> list[str]:
        """What was written down."""
        return [record["event"] for record in self.records]

    @property
    def reason(self) -> str:
        """The reason in the last record."""
        last: Mapping[str, Any] = self.records[-1] if self.records else {}
        return last.get("mcpgov.reason") or last.get("mcpgov.decision.reason", "")


class Bench:
    """Everything that a call goes through, in memory."""

    def __init__(self, ledger: AuditLedger, store: MemoryLedgerStore) -> None:
        self.ledger, self.store = ledger, store
        self.twins: Any = Twins()
        self.upstream = MemoryUpstream(answer)
        self.effects = Effects(self.twins, self.twins, self.twins, self.twins)
        self.calls = 0
        self.token = token()

    def stages(self, policy: ConnectionPolicy = NO_POLICY, **others: Any) -> Stages:
        """Everything as it should be, apart from what is given."""
        snapshot = Snapshot("stamp", {"city": CITY}, {"city": policy})
        twins = self.twins
        whole = Stages(lambda: snapshot, twins, self.effects, twins, self.ledger, self.upstream, NoPins())
        return replace(whole, **others)

    def exchange(self, method: str = "tools/call") -> Exchange:
        """A request, with the token of a caller."""
        self.calls += 1
        about = replace(head(f"c-{self.calls}"), headers=Headers((("authorization", f"Bearer {self.token}"),)))
        return Exchange(request(method=method, about=about), about)

    async def run(self, stages: Stages, exchange: Any) -> Ran:
        """Take a call through."""
        sent, kept = len(self.upstream.ledger), len(self.store.disk.rows)
        (escaped,) = await asyncio.gather(govern(exchange, stages), return_exceptions=True)
        with suppress(StoreUnavailable):
            await self.ledger.control(ControlEvent.START)  # what was handed over before is kept now
        records = [json.loads(row.record) for _, _, row in self.store.disk.rows[kept:] if row.call_id]
        told = tuple(refusal.reason for refusal in exchange.refusals)
        return Ran(len(self.upstream.ledger) - sent, bool(exchange.relayed), told, tuple(records), escaped)


@asynccontextmanager
async def bench(store: MemoryLedgerStore | None = None) -> AsyncGenerator[Bench]:
    """A bench with its ledger open."""
    kept = store or MemoryLedgerStore()
    ledger = AuditLedger((kept,), Digester(bytes(32)), lambda: NOW + timedelta(seconds=1))
    await ledger.start()
    try:
        yield Bench(ledger, kept)
    finally:
        await asyncio.shield(ledger.close())
