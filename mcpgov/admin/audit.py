"""/admin/v1/audit: calls by filter with cursors, one call, counts, who uses what, and everything filtered as a file."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from mcpgov.admin.access import ACTED, AdminRefusal, Fault, Role, deed
from mcpgov.admin.filters import FILTERS, PAGING, filter_of, limit_of
from mcpgov.admin.routes import Asked, Reply, Route
from mcpgov.audit.record import timestamp
from mcpgov.audit.redact import encodable
from mcpgov.audit.review import InvalidCursor
from mcpgov.audit.spreadsheet import cells_of, heads, row_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from mcpgov.admin.parts import AdminParts
    from mcpgov.audit.reader import Call, CallFilter
    from mcpgov.audit.review import Events, Kept, LedgerState, Page, Summary, Usage

EXPORTED: Final = 500  # calls that are read at once
JSONL: Final = "application/jsonl"
CSV: Final = "text/csv; charset=utf-8"
USED: Final = tuple(one for one in FILTERS if one.name in {"since", "until", "principal", "connection", "tool"})


class AuditRoutes:
    """The routes over the ledger."""

    def __init__(self, parts: AdminParts) -> None:
        self._parts = parts

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        view, query = Role.VIEWER, FILTERS
        return (
            Route("GET", "/audit/calls", view, "Find calls.", "Calls, newest first.", self.calls, (*query, *PAGING)),
            Route("GET", "/audit/calls.jsonl", view, "Export calls.", "One call a line.", self.jsonl, query, (), JSONL),
            Route("GET", "/audit/calls.csv", view, "Export calls.", "One call a row.", self.csv, query, (), CSV),
            Route("GET", "/audit/calls/{id}", view, "One call.", "Its records, where they stand.", self.call),
            Route("GET", "/audit/stats", view, "Count calls.", "Counts, bars, tops, latencies.", self.stats, query),
            Route("GET", "/audit/usage", view, "Who uses which tool.", "Callers and tools.", self.usage, USED),
            Route("GET", "/audit/state", view, "The ledger.", "Its size, its index, its proof.", self.state),
            Route("GET", "/audit/events", view, "What happened to the gateway.", "Records.", self.happened, PAGING),
            Route("GET", "/audit/exports", view, "The exports.", "How far each is.", self.exports),
        )

    async def calls(self, asked: Asked) -> Reply:
        """A page of calls."""
        page = await self.page(filter_of(asked.query, self._parts.now()), asked.query.get("cursor", ""))
        return Reply({"calls": [described(call) for call in page.calls], "next": page.next or None})

    async def page(self, wanted: CallFilter, cursor: str) -> Page:
        """A page of calls. Raises AdminRefusal for a cursor of nobody's."""
        try:
            return await asyncio.to_thread(self._parts.review.page, wanted, cursor)
        except InvalidCursor as error:
            raise AdminRefusal(Fault.INVALID_REQUEST, f"cursor: {error}.") from None

    async def call(self, asked: Asked) -> Reply:
        """The records of one call, or of all calls of a trace."""
        kept = await self.kept(asked.path["id"])
        return Reply({"records": [where(one) for one in kept]})

    async def kept(self, identifier: str) -> list[Kept]:
        """Every record with this id. Raises AdminRefusal (not-found)."""
        found = list(await asyncio.to_thread(self._parts.review.kept, encodable(identifier)))
        if not found:
            raise AdminRefusal(Fault.NOT_FOUND, "There is no record with this call, correlation or trace id.")
        return found

    async def happened(self, asked: Asked) -> Reply:
        """A page of control records, where they stand."""
        page = await self.events(limit_of(asked.query.get("limit", ""), 100), asked.query.get("cursor", ""))
        return Reply({"records": [where(one) for one in page.records], "next": page.next or None})

    async def events(self, limit: int, cursor: str) -> Events:
        """A page of control records. Raises AdminRefusal for a cursor of nobody's."""
        try:
            return await asyncio.to_thread(self._parts.review.events, limit, cursor)
        except InvalidCursor as error:
            raise AdminRefusal(Fault.INVALID_REQUEST, f"cursor: {error}.") from None

    async def stats(self, asked: Asked) -> Reply:
        """What is counted of the calls that match."""
        now = self._parts.now()
        summary = await asyncio.to_thread(self._parts.review.summary, filter_of(asked.query, now), now)
        return Reply(counted(summary))

    async def usage(self, asked: Asked) -> Reply:
        """Who used which tool how much; the last 30 days unless it says."""
        now = self._parts.now()
        wanted = filter_of(asked.query, now, limit=1000)
        used = await asyncio.to_thread(self._parts.review.usage, wanted, now)
        return Reply({"usage": [usage_of(one) for one in used]})

    async def state(self, _: Asked) -> Reply:
        """How large the ledger is, how far its index has come, how it is proved, which of its stores have failed."""
        state = state_of(await asyncio.to_thread(self._parts.review.state))
        failed = {name: timestamp(since) for name, since in self._parts.failed_sinks().items()}
        return Reply({**state, "failed_sinks": failed})

    async def exports(self, _: Asked) -> Reply:
        """How far each export is, and what is wrong with it."""
        return Reply({"exports": [one.fields for one in await asyncio.to_thread(self._parts.exports)]})

    async def jsonl(self, asked: Asked) -> Reply:
        """Everything that matches, one JSON object a line."""
        wanted = await self._exported(asked, "calls.jsonl")
        return Reply(content_type=JSONL, chunks=self._lines(wanted), filename="calls.jsonl")

    async def csv(self, asked: Asked) -> Reply:
        """Everything that matches, for a spreadsheet."""
        wanted = await self._exported(asked, "calls.csv")
        return Reply(content_type=CSV, chunks=self._rows(wanted), filename="calls.csv")

    async def _exported(self, asked: Asked, file: str) -> CallFilter:
        """What is taken away, once it is written down who takes it. Raises AdminRefusal, StoreUnavailable."""
        wanted = replace(filter_of(asked.query, self._parts.now()), limit=EXPORTED)
        query = urlencode({name: value for name, value in asked.query.items() if value})
        await self._parts.note(ACTED, deed(asked.person, f"export {file}" + (f"?{query}" if query else "")))
        return wanted

    async def _pages(self, wanted: CallFilter) -> AsyncGenerator[Page]:
        cursor = ""
        while True:
            page = await self.page(wanted, cursor)
            yield page
            cursor = page.next
            if not cursor:
                return

    async def _lines(self, wanted: CallFilter) -> AsyncGenerator[bytes]:
        async for page in self._pages(wanted):
            yield "".join(f"{json.dumps(described(call))}\n" for call in page.calls).encode()

    async def _rows(self, wanted: CallFilter) -> AsyncGenerator[bytes]:
        yield heads().encode()
        async for page in self._pages(wanted):
            yield "".join(row_of(cells_of(call)) for call in page.calls).encode("utf-8", "replace")


def described(call: Call) -> Mapping[str, Any]:
    """A call as one flat object, with how it ended and why."""
    return {**call.fields, "mcpgov.status": call.status, "mcpgov.reason": call.reason}


def where(kept: Kept) -> Mapping[str, Any]:
    """A record and its place in the chain."""
    return {"id": kept.id, "writer": kept.writer, "seq": kept.seq, "hash": kept.hash or None, "record": kept.record}


def counted(summary: Summary) -> Mapping[str, Any]:
    """A summary as JSON."""
    return {
        "since": timestamp(summary.since),
        "until": timestamp(summary.until),
        "step_seconds": summary.step // timedelta(seconds=1),
        "totals": summary.totals,
        "decisions": summary.decisions,
        "statuses": summary.statuses,
        "bars": [{"at": timestamp(bar.at), **bar.counts} for bar in summary.bars],
        **{name: [asdict(top) for top in getattr(summary, name)] for name in ("agents", "tools", "reasons")},
        "latency_ms": asdict(summary.latency) if summary.latency else None,
        "counted": summary.counted,
    }


def usage_of(used: Usage) -> Mapping[str, Any]:
    """One caller and one tool as JSON."""
    return {**asdict(used), "last": timestamp(used.last)}


def state_of(state: LedgerState) -> Mapping[str, Any]:
    """The ledger as JSON."""
    seen = state.verified
    return {
        **asdict(state),
        "checkpointed_at": state.checkpointed_at and timestamp(state.checkpointed_at),
        "verified": seen and {"at": timestamp(seen.at), "result": seen.result, "by": seen.by},
    }
