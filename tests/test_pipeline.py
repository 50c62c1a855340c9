"""govern() without a socket: the order of the stages, and that every exit is written down."""

import json
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.redact import Digester
from mcpgov.decision import Decision, Metric, Reason, Refund, Spend, Spent, Trace
from mcpgov.effects import Effects
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Connection, Credential, MCPRequest, Principal, RequestHead
from mcpgov.pipeline import NoPins, Pins, Stages, govern
from mcpgov.policy.compiled import ConnectionPolicy, Sections, compile_policy
from mcpgov.policy.document import parse_document
from mcpgov.policy.draft import Denial, Draft
from mcpgov.policy.element import PlainElement, Step
from mcpgov.snapshot import Snapshot
from mcpgov.store.memory_ledger import MemoryLedgerStore
from mcpgov.upstream.memory import MemoryUpstream, ScriptedAnswer, answer_ok
from tests.audit.calls import ALICE, CITY, CREDENTIAL, head, request

NOW = datetime(2026, 11, 21, tzinfo=UTC)
NO_POLICY = compile_policy([], [], [], {})
ONE_CALL = parse_document("inbound: [ { rate-limit-by-key: { calls: 1, renewal-period: 60 } } ]", "one.yaml")


class Exchange:
    """An exchange that notes what was relayed and refused."""

    def __init__(self) -> None:
        self.head = head()
        self.relayed: list[bytes] = []
        self.refusals: list[Refusal] = []

    async def read(self, principal: Principal, origins: Collection[str]) -> MCPRequest:
        assert principal is ALICE
        assert origins == ()
        return request(about=self.head)

    async def relay(self, answer: Answer, decision: Decision) -> None:
        assert decision.allowed
        self.relayed += [event.raw async for events in answer.events for event in events]

    async def refuse(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)


class House:
    """Every stage as a twin, over one ledger in memory. `steps` is the order in which they were asked."""

    def __init__(self, policy: ConnectionPolicy = NO_POLICY) -> None:
        self.steps: list[str] = []
        self.policy = policy
        self.store = MemoryLedgerStore()
        self.upstream = MemoryUpstream(self.answer)
        self.kept_when_forwarded: list[str] = []
        self.spent = Spent(allowed=True, limit=1, remaining=0, reset=60)
        self.missing_credential = False
        self.counters_gone = False

    def answer(self, request: MCPRequest) -> ScriptedAnswer:
        self.steps.append("forward")
        assert request.principal_id == ALICE.id
        self.kept_when_forwarded = self.events
        return answer_ok(request)

    @property
    def events(self) -> list[str]:
        """The records of calls, in order."""
        return [row.event for _, _, row in self.store.disk.rows if row.call_id]

    async def identify(self, head: RequestHead) -> Principal:
        assert head.connection == "city"
        self.steps.append("identify")
        return ALICE

    async def spend(self, effect: Spend) -> Spent:
        self.steps.append(f"spend {effect.calls}")
        return self.spent

    async def refund(self, effect: Refund) -> None:
        self.steps.append(f"refund {effect.spend.calls}")
        if self.counters_gone:
            raise Refusal(Reason.COUNTERS_UNAVAILABLE, "gone")

    async def charge(self, spend: Spend, amount: int) -> None:
        self.steps.append(f"charge {amount}")

    def tell(self, effect: Trace | Metric) -> None:
        self.steps.append("tell")

    async def credential_for(self, connection: Connection, principal: Principal) -> Credential:
        self.steps.append("credential")
        assert (connection, principal) == (CITY, ALICE)
        if self.missing_credential:
            raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "no key")
        return CREDENTIAL

    @asynccontextmanager
    async def ledger(self) -> AsyncGenerator[AuditLedger]:
        """The ledger, open."""
        ledger = AuditLedger((self.store,), Digester(b"k" * 32), lambda: NOW)
        await ledger.start()
        try:
            yield ledger
        finally:
            await ledger.close()

    async def govern(self, connections: Mapping[str, Connection] | None = None, pins: Pins | None = None) -> Exchange:
        """Take one call through."""
        served = {"city": CITY} if connections is None else connections
        snapshot = Snapshot("stamp", served, {"city": self.policy})
        exchange = Exchange()
        async with self.ledger() as ledger:
            stages = Stages(lambda: snapshot, self, Effects(self, self), self, ledger, self.upstream, pins or NoPins())
            await govern(exchange, stages)
        return exchange


async def test_the_stages_are_asked_in_the_order_of_the_sentence() -> None:
    house = House(compile_policy([ONE_CALL], [], [], {}))
    exchange = await house.govern()
    assert house.steps == ["identify", "spend 1", "credential", "forward"]
    assert len(exchange.relayed) == 1
    assert house.events == ["intent", "outcome"]


async def test_the_intent_is_kept_before_the_upstream_hears_anything() -> None:
    house = House()
    await house.govern()
    assert house.kept_when_forwarded == ["intent"]


async def test_a_denied_call_asks_for_no_credential_and_never_reaches_the_upstream() -> None:
    house = House(compile_policy([ONE_CALL], [], [], {}))
    house.spent = Spent(allowed=False, limit=1, remaining=0, reset=60, retry_after=30)
    exchange = await house.govern()
    assert house.steps == ["identify", "spend 1"]
    assert [refusal.reason for refusal in exchange.refusals] == [Reason.RATE_LIMITED]
    assert ("Retry-After", "30") in exchange.refusals[0].headers
    assert house.upstream.ledger == []
    assert house.events == ["denied"]


async def test_an_unknown_connection_is_refused_and_written_down() -> None:
    house = House()
    exchange = await house.govern(connections={})
    assert [refusal.reason for refusal in exchange.refusals] == [Reason.UNKNOWN_CONNECTION]
    assert house.events == ["denied"]


async def test_a_credential_that_cannot_be_had_is_a_refusal_and_never_a_call_without_one() -> None:
    house = House()
    house.missing_credential = True
    exchange = await house.govern()
    assert [refusal.reason for refusal in exchange.refusals] == [Reason.CREDENTIAL_UNAVAILABLE]
    assert house.upstream.ledger == []
    assert house.events == ["denied"]


async def test_a_failed_call_is_made_once_and_has_one_outcome() -> None:
    house = House()
    house.upstream.script(Refusal(Reason.UPSTREAM_RESET, "broke off"))
    exchange = await house.govern()
    assert [refusal.reason for refusal in exchange.refusals] == [Reason.UPSTREAM_RESET]
    assert len(house.upstream.ledger) == 1
    assert house.events == ["intent", "outcome"]


ON_ERROR = """
inbound: [rate-limit-by-key: { calls: 1, renewal-period: 60, increment-condition: response.status == 200 }]
on-error: [set-header: { name: X-Why, value: "${{ error.reason }}" }]
"""


async def test_a_refusal_goes_through_on_error_and_what_did_not_count_is_given_back() -> None:
    house = House(compile_policy([parse_document(ON_ERROR, "a.yaml")], [], [], {}))
    house.upstream.script(Refusal(Reason.UPSTREAM_RESET, "broke off"))
    (refusal,) = (await house.govern()).refusals
    assert refusal.reply is not None
    assert [(edit.name, edit.values) for edit in refusal.reply.edits] == [("x-why", ("upstream-reset",))]
    assert house.steps == ["identify", "spend 1", "credential", "refund 1"]


async def test_counters_that_fail_while_on_error_runs_leave_the_refusal_as_it_was() -> None:
    house = House(compile_policy([parse_document(ON_ERROR, "a.yaml")], [], [], {}))
    house.upstream.script(Refusal(Reason.UPSTREAM_RESET, "broke off"))
    house.counters_gone = True
    (refusal,) = (await house.govern()).refusals
    assert (refusal.reason, refusal.reply) == (Reason.UPSTREAM_RESET, None)


class Pinned:
    """Pins that refuse a call, or note that they saw its answer."""

    def __init__(self, house: House, refusal: Refusal | None = None) -> None:
        self.house = house
        self.refusal = refusal

    def require(self, request: MCPRequest, connection: Connection, /) -> None:
        assert (request.tool, connection) == ("search", CITY)
        self.house.steps.append("pins")
        if self.refusal:
            raise self.refusal

    def judged(self, answer: Answer, request: MCPRequest, connection: Connection, /) -> Answer:
        assert (request.tool, connection) == ("search", CITY)
        self.house.steps.append("judged")
        return answer

    def waiting(self, _connections: Iterable[Connection], /) -> Mapping[str, int]:
        return {}


async def test_pins_are_asked_after_the_policies_and_see_the_answer_before_them() -> None:
    house = House(compile_policy([ONE_CALL], [], [], {}))
    await house.govern(pins=Pinned(house))
    assert house.steps == ["identify", "spend 1", "pins", "credential", "forward", "judged"]


async def test_a_tool_that_is_not_as_it_was_approved_asks_for_no_credential_and_is_written_down() -> None:
    house = House()
    exchange = await house.govern(pins=Pinned(house, Refusal(Reason.TOOL_CHANGED, "Unknown tool: search")))
    assert house.steps == ["identify", "pins"]
    assert [refusal.reason for refusal in exchange.refusals] == [Reason.TOOL_CHANGED]
    assert house.upstream.ledger == []
    assert house.events == ["denied"]


class Broken(dict[str, Sections]):
    """Policies that fall over when they are asked."""

    def get(self, key: str, default: object = None, /) -> Sections:
        raise ZeroDivisionError(key)


@dataclass(frozen=True, slots=True)
class FallsOver(PlainElement):
    """An element with a fault of its own."""

    name: ClassVar[str] = "falls-over"

    def decide(self, _draft: Draft, /) -> Denial | None:
        raise ZeroDivisionError("hunter2")


async def test_an_element_that_falls_over_denies_with_policy_error_and_tells_nothing_of_itself() -> None:
    steps = (Step(FallsOver(), "a#1 falls-over", "a.yaml", 1, 1),)
    house = House(ConnectionPolicy("sha256:p", Sections(inbound=steps), {}, hides_tools=False))
    (refusal,) = (await house.govern()).refusals
    assert (refusal.reason, refusal.detail) == (Reason.POLICY_ERROR, "a#1 falls-over failed")
    (record,) = [json.loads(row.record) for _, _, row in house.store.disk.rows if row.call_id]
    assert (record["mcpgov.decision.rule"], record["mcpgov.decision.policy_hash"]) == ("a#1 falls-over", "sha256:p")
    assert "hunter2" not in str(refusal) + refusal.detail
    assert house.upstream.ledger == []
    assert house.events == ["denied"]


async def test_an_exception_outside_of_an_element_is_an_internal_error() -> None:
    house = House(ConnectionPolicy("", Sections(), Broken(), hides_tools=False))
    (refusal,) = (await house.govern()).refusals
    assert refusal.reason is Reason.INTERNAL_ERROR
    assert "ZeroDivisionError" not in str(refusal) + refusal.detail
    assert house.upstream.ledger == []
    assert house.events == ["denied"]
