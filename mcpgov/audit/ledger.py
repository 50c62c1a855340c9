"""Stage 5 itself: one recording a call, which leaves an intent and one outcome, or one denied record, on every exit.

    no intent yet       refused                             denied
                        the caller went away                denied, status cancelled or client-gone
    intent handed over  cancelled, or given up on           outcome not-sent; dropped with an intent that failed
    intent durable      answered                            outcome ok, tool-error or rpc-error
                        refused by the upstream's side      outcome failed, with the reason
                        cancelled, the caller went away     outcome cancelled, client-gone

The end of a call is handed to the writer without waiting, in one step that cannot be interrupted; so cancelling the
task at any await leaves exactly one. Intents and denials are waited for: nothing is forwarded, and no refusal is told,
before its record is durable. What cannot be written down is refused.

With the outcome before the reply, what may complete an answer is kept back until the outcome is durable, and so is the
refusal of a call that was sent. If the outcome cannot be written, the client is told that instead; the end is owed.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from typing import TYPE_CHECKING, Self

from mcpgov.audit.ended import EndedCall
from mcpgov.audit.levels import DEFAULT, About, rule_for
from mcpgov.audit.phrases import Phrases
from mcpgov.audit.record import (
    ControlEvent,
    ControlRecord,
    DeniedRecord,
    Detail,
    Facts,
    IntentRecord,
    Latency,
    OutcomeOrder,
    OutcomeRecord,
)
from mcpgov.audit.recorded_values import answer_keeper, recorded_arguments
from mcpgov.audit.sinks import Sinks
from mcpgov.audit.watch import LARGEST, AnswerWatch, ToolWatch, with_events
from mcpgov.decision import Decision, Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.models import Connection, Credential, MCPRequest, OutcomeStatus, Principal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from mcpgov.audit.ended import Observer
    from mcpgov.audit.ledger_store import LedgerStore, OpenCall, Sign
    from mcpgov.audit.levels import LevelRule
    from mcpgov.audit.record import Row
    from mcpgov.audit.redact import Digester
    from mcpgov.audit.sinks import Posted
    from mcpgov.audit.writer import Tuning
    from mcpgov.models import Answer, Event, RequestHead

RETRY_AFTER = 1  # seconds; a store that is back takes records again within this time


def unavailable(detail: str = "") -> Refusal:
    """The refusal of a call that cannot be written down."""
    message = "The call cannot be written down at the moment, so it was not made. Try again later."
    headers = (("Retry-After", str(RETRY_AFTER)),)
    return Refusal(Reason.AUDIT_UNAVAILABLE, message, detail=detail, headers=headers)


def withheld(detail: str) -> Refusal:
    """What is told instead of the answer to a call that was made, and whose outcome cannot be written down.

    Nobody is asked to try again: it would be made twice.
    """
    message = "The call was made, but how it ended cannot be written down at the moment, so its answer is kept back."
    return Refusal(Reason.AUDIT_UNAVAILABLE, message, detail=detail)


class AuditLedger:
    """The ledger of one process, in one store or several, the first of which gives calls their ids. `now` gives the
    time in UTC; durations come from the monotonic clock. `sign` makes the note of a checkpoint; without it there are
    none. `rules` say how much of which calls is written down.
    """

    def __init__(
        self,
        stores: Sequence[LedgerStore],
        digester: Digester,
        now: Callable[[], datetime],
        tuning: Tuning | None = None,
        sign: Sign | None = None,
        rules: Sequence[LevelRule] = (),
    ) -> None:
        self.digester = digester
        self.rules = rules
        self.phrases = Phrases()
        self.now = now
        self.durability = stores[0].durability
        self.sinks = Sinks(stores, now, tuning, sign)
        self.under_way = 0  # calls whose record is open
        self.observers: tuple[Observer, ...] = ()  # who is told of each call when it has ended
        self._store = stores[0]
        self._numbers = itertools.count(1)
        self._open = 0
        self._starter: dict[str, Detail] = {}

    @property
    def ready(self) -> bool:
        """Whether records can be written, as far as the last attempt shows; a failed store is tried again by itself."""
        return self.sinks.ready

    @property
    def outcome_first(self) -> bool:
        """Whether the outcome is durable before the answer ends."""
        return self.sinks.tuning.outcome_first

    async def start(self, principal: str = "", place: Mapping[str, int] | None = None, **details: Detail) -> int:
        """Open the stores, give the calls that a crash left open the outcome `unknown`, and note the start.

        `principal` names who started what is no gateway that serves (a probe), `place` says which worker it is of how
        many; both stand in the note of the stop, too.
        Gives back how many were recovered. Raises StoreUnavailable, and InvalidConfiguration for a store that this
        version cannot read.
        """
        recovered = await self.sinks.start(self._unknown)
        self._starter = {**({"principal": principal} if principal else {}), **(place or {})}
        await self.control(ControlEvent.START, recovered=recovered, **self._starter, **details)
        return recovered

    async def close(self) -> None:
        """Note the stop, write what still waits, and let go of the stores."""
        try:
            await self.control(ControlEvent.STOP, **self._starter)
        except StoreUnavailable as error:
            self.sinks.complain("audit-unavailable", error)
        await self.sinks.close(finished=not self._open)

    async def control(self, event: ControlEvent, **details: Detail) -> None:
        """Write down something that happened to the gateway itself; returns when durable. Raises StoreUnavailable."""
        row = ControlRecord(event, self.now(), details, self.durability).row()
        await self.sinks.durable(self.sinks.post(row, wait=True))

    def recording(self, head: RequestHead, stamp: str) -> CallRecording:
        """Open the record of one call. `stamp` names the generation of catalog and policies that is in force."""
        return CallRecording(self, f"{self._store.writer}-{next(self._numbers)}", head, stamp)

    def post_intent(self, row: Row) -> Posted:
        """Hand over the intent of a call. Raises StoreUnavailable."""
        posted = self.sinks.post(row, wait=True)
        self._open += 1
        return posted

    def post_end(self, row: Row, intent: Posted | None, *, wait: bool = False) -> Posted | None:
        """Hand over the end of a call; with an intent, unless that failed, this end is owed and never given up."""
        try:
            posted = self.sinks.post(row, ends=intent, wait=wait)
        except StoreUnavailable as error:
            self.sinks.complain("audit-record-lost" if intent is None else "audit-left-to-recovery", error)
            return None
        self._open -= intent is not None
        return posted

    def _unknown(self, call: OpenCall) -> Row:
        return OutcomeRecord(
            call.call_id,
            self.now(),
            OutcomeStatus.UNKNOWN,
            correlation_id=call.correlation_id,
            trace_id=call.trace_id,
            durability=self.durability,
        ).row()


class CallRecording:
    """The record of one call: what govern() learns is noted on it, and leaving it writes how the call ended."""

    def __init__(self, ledger: AuditLedger, call_id: str, head: RequestHead, stamp: str) -> None:
        self.principal: Principal | None = None
        self.request: MCPRequest | None = None
        self.connection: Connection | None = None
        self.decision: Decision | None = None
        self.credential: Credential | None = None
        self._ledger = ledger
        self._call_id = call_id
        self._arrived = head
        self._stamp = stamp
        self._trace_id = ""  # as the intent has it
        self._intent: Posted | None = None
        self._watch: AnswerWatch | None = None
        self._tools: ToolWatch | None = None
        self._client_gone = False
        self._ended = False
        self._how: tuple[OutcomeStatus, Reason | None] = (OutcomeStatus.DENIED, None)
        self._opened = time.perf_counter_ns()
        self._posted = 0
        self._sent = 0  # when the intent was durable, and so the call may have left for the upstream
        self._answered = 0

    @property
    def _head(self) -> RequestHead:
        """The head as it was read: at the aggregate, the body says which connection it is for."""
        return self.request.head if self.request else self._arrived

    async def __aenter__(self) -> Self:
        self._ledger.under_way += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended:
            status, reason = self._how_it_ended(error)
            self._end(status, reason)
        self._ledger.under_way -= 1
        self._tell_observers()

    async def intent(self) -> None:
        """Write down what is about to be done; returns when that is durable. Raises Refusal (audit-unavailable)."""
        row = IntentRecord(self._facts()).row(self._ledger.phrases)
        self._trace_id = row.trace_id or ""
        self._posted = time.perf_counter_ns()
        try:
            self._intent = self._ledger.post_intent(row)
            await self._ledger.sinks.durable(self._intent)
        except StoreUnavailable as error:
            raise unavailable(str(error)) from error
        self._sent = time.perf_counter_ns()

    def heard(self, answer: Answer) -> Answer:
        """The same answer as the upstream gives it, before any policy sees it; what tools it lists is noted."""
        if self.request is None or not ToolWatch.concerns(self.request):
            return answer
        self._tools = ToolWatch(answer, self.request)
        return with_events(answer, self._tools)

    def watch(self, answer: Answer) -> Answer:
        """The same answer, its size, errors and end noted as it passes; the end kept back where that is asked for."""
        self._answered = time.perf_counter_ns()
        first = self._ledger.outcome_first
        # What is kept back is to be recorded as what it is.
        largest = sys.maxsize if first and answer.streaming else LARGEST
        keep = answer_keeper(self._rule, self._ledger.digester)
        self._watch = AnswerWatch(answer, self.request, keep, largest=largest)
        return with_events(answer, self._kept_back(self._watch) if first else self._watch)

    async def _kept_back(self, watch: AnswerWatch) -> AsyncGenerator[tuple[Event, ...]]:
        """An answer that is complete only once its outcome is durable. Raises Refusal (audit-unavailable)."""
        if not watch.streaming:
            whole = [batch async for batch in watch]
            await self._conclude()
            for batch in whole:
                yield batch
            return
        async for batch in watch:
            if watch.may_be_complete:
                await self._conclude()
            yield batch
        await self._conclude()

    async def _conclude(self) -> None:
        if not self._ended:
            await self._ending(*self._how_it_ended(None))

    def client_gone(self) -> None:
        """Note that the answer had nowhere to go."""
        self._client_gone = True

    async def refused(self, refusal: Refusal) -> Refusal:
        """Write the refusal down; gives back the refusal to answer with (audit-unavailable if it cannot be written)."""
        if self._ended:
            return refusal
        if self._intent is not None or refusal.reason is Reason.AUDIT_UNAVAILABLE:
            failed = self._watch.refused(refusal.reason) if self._watch else OutcomeStatus.FAILED
            try:
                await self._ending(failed if self._sent else OutcomeStatus.DENIED, refusal.reason, refusal.detail)
            except Refusal as instead:
                instead.request_id = refusal.request_id
                return instead
            return refusal
        self._ended, self._how = True, (OutcomeStatus.DENIED, refusal.reason)
        row = self._denied(refusal.reason, OutcomeStatus.DENIED, refusal.detail, as_tool_result=refusal.as_tool_result)
        try:
            await self._ledger.sinks.durable(self._ledger.sinks.post(row, wait=True))
        except StoreUnavailable as error:
            self._how = (OutcomeStatus.DENIED, Reason.AUDIT_UNAVAILABLE)
            instead = unavailable(str(error))
            instead.request_id = refusal.request_id
            return instead
        return refusal

    def _how_it_ended(self, error: BaseException | None) -> tuple[OutcomeStatus, Reason | None]:
        """The status and reason of a call that nobody refused."""
        if isinstance(error, asyncio.CancelledError):
            if Reason.UPSTREAM_TIMEOUT in error.args:  # said by who asks several, and waits for none too long
                return OutcomeStatus.FAILED if self._sent else OutcomeStatus.DENIED, Reason.UPSTREAM_TIMEOUT
            gone = Reason.CLIENT_GONE in error.args  # said by the endpoint, which saw the client leave
            return OutcomeStatus.CANCELLED, Reason.CLIENT_GONE if gone else Reason.GATEWAY_STOPPING
        if self._client_gone:
            return OutcomeStatus.CLIENT_GONE, Reason.CLIENT_GONE
        if error is None and self._watch is not None:
            broke_off = self._watch.status is OutcomeStatus.FAILED
            return self._watch.status, Reason.UPSTREAM_RESET if broke_off else None
        return OutcomeStatus.FAILED, Reason.INTERNAL_ERROR

    async def _ending(self, status: OutcomeStatus, reason: Reason | None, detail: str = "") -> None:
        """Hand over the end of the call; wait for it if that is asked for. Raises Refusal (audit-unavailable)."""
        wait = self._ledger.outcome_first and bool(self._sent)
        posted = self._end(status, reason, detail, wait=wait)
        if not wait:
            return
        try:
            await self._ledger.sinks.durable(posted)
        except StoreUnavailable as error:
            raise withheld(str(error)) from error

    def _end(
        self, status: OutcomeStatus, reason: Reason | None, detail: str = "", *, wait: bool = False
    ) -> Posted | None:
        """Hand over the end of the call without waiting: an outcome if there is an intent, else the whole call."""
        self._ended, self._how = True, (status, reason)
        if self._intent is None or self._intent.failed:
            return self._ledger.post_end(self._denied(reason or Reason.INTERNAL_ERROR, status, detail), None)
        outcome = OutcomeRecord(
            self._call_id,
            self._ledger.now(),
            status if self._sent else OutcomeStatus.NOT_SENT,
            reason,
            detail,
            self._head.correlation_id,
            self._trace_id,
            self._watch.seen if self._watch else None,
            self._latency(),
            self._ledger.durability,
            OutcomeOrder.BEFORE_REPLY if self._ledger.outcome_first else OutcomeOrder.AFTER_REPLY,
            self._rule.level,
            self._tools.tools if self._tools else None,
        )
        return self._ledger.post_end(outcome.row(), self._intent, wait=wait)

    def _denied(self, reason: Reason, status: OutcomeStatus, detail: str, *, as_tool_result: bool = False) -> Row:
        total = between(self._opened, time.perf_counter_ns())
        return DeniedRecord(self._facts(), reason, status, detail, as_tool_result, total).row(self._ledger.phrases)

    @property
    def _rule(self) -> LevelRule:
        """How much of this call is written down, as far as it is known by now."""
        rules = self._ledger.rules
        return rule_for(rules, About.of(self._head, self.request, self.principal)) if rules else DEFAULT

    def _facts(self) -> Facts:
        request, digester, rule = self.request, self._ledger.digester, self._rule
        arguments, value = recorded_arguments(request, rule, digester)
        return Facts(
            self._call_id,
            self._ledger.now(),
            self._stamp,
            self._head,
            self.principal,
            request,
            self.connection,
            self.decision,
            self.credential,
            arguments,
            digester.text(request.session_id) if request else "",
            self._ledger.durability,
            rule.level,
            value,
        )

    def _tell_observers(self) -> None:
        """Once, at the very end: also of what could not be written down."""
        if observers := self._ledger.observers:
            status, reason = self._how
            call = EndedCall(
                self._head,
                status,
                reason,
                self._latency(),
                self.request,
                self.connection,
                self.decision,
                self._watch.seen if self._watch else None,
                self._ledger.digester.text(self.request.session_id) if self.request else "",
            )
            for observer in observers:
                observer.ended(call)

    def _latency(self) -> Latency:
        return Latency(
            decision=between(self._opened, self._posted),
            audit=between(self._posted, self._sent),
            upstream=between(self._sent, self._answered),
            total=between(self._opened, time.perf_counter_ns()),
        )


def between(start: int, end: int) -> int | None:
    """Whole microseconds between two readings of the monotonic clock (ns); None where one was not taken (0)."""
    return (end - start) // 1000 if start and end else None
