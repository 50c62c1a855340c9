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
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from mcpgov.audit.levels import About, rule_for
from mcpgov.audit.record import (
    ControlEvent,
    ControlRecord,
    DeniedRecord,
    Detail,
    Facts,
    IntentRecord,
    Latency,
    OutcomeRecord,
    trace_id,
)
from mcpgov.audit.recorded_values import answer_keeper, recorded_arguments
from mcpgov.audit.watch import AnswerWatch, ToolWatch
from mcpgov.audit.writer import OpenCall, Writer
from mcpgov.decision import Decision, Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.models import Connection, Credential, MCPRequest, OutcomeStatus, Principal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from types import TracebackType

    from mcpgov.audit.levels import LevelRule
    from mcpgov.audit.record import Row
    from mcpgov.audit.redact import Digester
    from mcpgov.audit.writer import Entry, LedgerStore, Sign, Tuning
    from mcpgov.models import Answer, RequestHead

RETRY_AFTER = 1  # seconds; a store that is back takes records again within this time


def unavailable(detail: str = "") -> Refusal:
    """The refusal of a call that cannot be written down."""
    message = "The call cannot be written down at the moment, so it was not made. Try again later."
    headers = (("Retry-After", str(RETRY_AFTER)),)
    return Refusal(Reason.AUDIT_UNAVAILABLE, message, detail=detail, headers=headers)


class AuditLedger:
    """The ledger of one process. `now` gives the time in UTC; durations come from the monotonic clock. `sign` makes the
    note of a checkpoint; without it there are none. `rules` say how much of which calls is written down.
    """

    def __init__(
        self,
        store: LedgerStore,
        digester: Digester,
        now: Callable[[], datetime],
        tuning: Tuning | None = None,
        sign: Sign | None = None,
        rules: Sequence[LevelRule] = (),
    ) -> None:
        self.digester = digester
        self.rules = rules
        self.now = now
        self.writer = Writer(store, now, tuning, sign)
        self._store = store
        self._numbers = itertools.count(1)
        self._open = 0
        self._starter: dict[str, str] = {}

    @property
    def ready(self) -> bool:
        """Whether records can be written, as far as the last attempt shows; a failed store is tried again by itself."""
        return self.writer.ready

    async def start(self, principal: str = "", **details: str | int) -> int:
        """Open the store, give the calls that a crash left open the outcome `unknown`, and note the start.

        `principal` names who started what is no gateway that serves (a probe); it stands in the note of the stop, too.
        Gives back how many were recovered. Raises StoreUnavailable, and InvalidConfiguration for a store that this
        version cannot read.
        """
        await asyncio.to_thread(self._store.open)
        recovered = await asyncio.to_thread(self._store.recover, self._unknown)
        self.writer.start()
        self._starter = {"principal": principal} if principal else {}
        await self.control(ControlEvent.START, recovered=recovered, **self._starter, **details)
        return recovered

    async def close(self) -> None:
        """Note the stop, write what still waits, and let go of the store."""
        try:
            await self.control(ControlEvent.STOP, **self._starter)
        except StoreUnavailable as error:
            self.writer.complain("audit-unavailable", error)
        finished = await self.writer.close()
        await asyncio.to_thread(self._store.close, finished=finished and not self._open)

    async def control(self, event: ControlEvent, **details: Detail) -> None:
        """Write down something that happened to the gateway itself; returns when durable. Raises StoreUnavailable."""
        await self.writer.durable(self.writer.post(ControlRecord(event, self.now(), details).row(), wait=True))

    def recording(self, head: RequestHead, stamp: str) -> CallRecording:
        """Open the record of one call. `stamp` names the generation of catalog and policies that is in force."""
        return CallRecording(self, f"{self._store.writer}-{next(self._numbers)}", head, stamp)

    def post_intent(self, row: Row) -> Entry:
        """Hand over the intent of a call. Raises StoreUnavailable."""
        entry = self.writer.post(row, wait=True)
        self._open += 1
        return entry

    def post_end(self, row: Row, intent: Entry | None) -> None:
        """Hand over the end of a call; with an intent, unless that failed, this end is owed and never given up."""
        try:
            self.writer.post(row, ends=intent)
        except StoreUnavailable as error:
            self.writer.complain("audit-record-lost" if intent is None else "audit-left-to-recovery", error)
        else:
            self._open -= intent is not None

    def _unknown(self, call: OpenCall) -> Row:
        return OutcomeRecord(
            call.call_id,
            self.now(),
            OutcomeStatus.UNKNOWN,
            correlation_id=call.correlation_id,
            trace_id=call.trace_id,
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
        self._head = head
        self._stamp = stamp
        self._intent: Entry | None = None
        self._watch: AnswerWatch | None = None
        self._tools: ToolWatch | None = None
        self._client_gone = False
        self._ended = False
        self._opened = time.perf_counter_ns()
        self._posted = 0
        self._sent = 0  # when the intent was durable, and so the call may have left for the upstream
        self._answered = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended:
            status, reason = self._how_it_ended(error)
            self._end(status, reason)

    async def intent(self) -> None:
        """Write down what is about to be done; returns when that is durable. Raises Refusal (audit-unavailable)."""
        row = IntentRecord(self._facts()).row()
        self._posted = time.perf_counter_ns()
        try:
            self._intent = self._ledger.post_intent(row)
            await self._ledger.writer.durable(self._intent)
        except StoreUnavailable as error:
            raise unavailable(str(error)) from error
        self._sent = time.perf_counter_ns()

    def heard(self, answer: Answer) -> Answer:
        """The same answer as the upstream gives it, before any policy sees it; what tools it lists is noted."""
        if self.request is None or not ToolWatch.concerns(self.request):
            return answer
        self._tools = ToolWatch(answer, self.request)
        return replace(answer, events=self._tools)

    def watch(self, answer: Answer) -> Answer:
        """The same answer, its size, errors and end noted as it passes."""
        self._answered = time.perf_counter_ns()
        self._watch = AnswerWatch(answer, self.request, answer_keeper(self._rule, self._ledger.digester))
        return self._watch.answer

    def client_gone(self) -> None:
        """Note that the answer had nowhere to go."""
        self._client_gone = True

    async def refused(self, refusal: Refusal) -> Refusal:
        """Write the refusal down; gives back the refusal to answer with (audit-unavailable if it cannot be written)."""
        if self._ended:
            return refusal
        if self._intent is not None or refusal.reason is Reason.AUDIT_UNAVAILABLE:
            status = OutcomeStatus.FAILED if self._sent else OutcomeStatus.DENIED
            self._end(status, refusal.reason, refusal.detail)
            return refusal
        self._ended = True
        row = self._denied(refusal.reason, OutcomeStatus.DENIED, refusal.detail, as_tool_result=refusal.as_tool_result)
        try:
            await self._ledger.writer.durable(self._ledger.writer.post(row, wait=True))
        except StoreUnavailable as error:
            instead = unavailable(str(error))
            instead.request_id = refusal.request_id
            return instead
        return refusal

    def _how_it_ended(self, error: BaseException | None) -> tuple[OutcomeStatus, Reason | None]:
        """The status and reason of a call that nobody refused."""
        if isinstance(error, asyncio.CancelledError):
            gone = Reason.CLIENT_GONE in error.args  # said by the endpoint, which saw the client leave
            return OutcomeStatus.CANCELLED, Reason.CLIENT_GONE if gone else Reason.GATEWAY_STOPPING
        if self._client_gone:
            return OutcomeStatus.CLIENT_GONE, Reason.CLIENT_GONE
        if error is None and self._watch is not None:
            broke_off = self._watch.status is OutcomeStatus.FAILED
            return self._watch.status, Reason.UPSTREAM_RESET if broke_off else None
        return OutcomeStatus.FAILED, Reason.INTERNAL_ERROR

    def _end(self, status: OutcomeStatus, reason: Reason | None, detail: str = "") -> None:
        """Hand over the end of the call without waiting: an outcome if there is an intent, else the whole call."""
        self._ended = True
        if self._intent is None or self._intent.failed:
            self._ledger.post_end(self._denied(reason or Reason.INTERNAL_ERROR, status, detail), None)
            return
        outcome = OutcomeRecord(
            self._call_id,
            self._ledger.now(),
            status if self._sent else OutcomeStatus.NOT_SENT,
            reason,
            detail,
            self._head.correlation_id,
            trace_id(self.request),
            self._watch.seen if self._watch else None,
            self._latency(),
            self._rule.level,
            self._tools.tools if self._tools else None,
        )
        self._ledger.post_end(outcome.row(), self._intent)

    def _denied(self, reason: Reason, status: OutcomeStatus, detail: str, *, as_tool_result: bool = False) -> Row:
        total = between(self._opened, time.perf_counter_ns())
        return DeniedRecord(self._facts(), reason, status, detail, as_tool_result, total).row()

    @property
    def _rule(self) -> LevelRule:
        """How much of this call is written down, as far as it is known by now."""
        return rule_for(self._ledger.rules, About.of(self._head, self.request, self.principal))

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
            rule.level,
            value,
        )

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
