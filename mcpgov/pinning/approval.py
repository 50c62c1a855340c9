"""A tool as the person sees it who decides about it: what is kept of it, what changed, what the lint found.

The verbs, the admin API and the console look at tools through this file, so that all three show the same. People say
the name of a server; what is kept of it stands under its name and place, one for each place. Refuses to know who
decides, where that is kept, and how it is laid out.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcpgov.frozen import frozen
from mcpgov.pinning.definition_lint import lint
from mcpgov.pinning.diff import diff_lines, differences
from mcpgov.pinning.finding import Severity, path_text
from mcpgov.pinning.judgement import WAITING, PinState
from mcpgov.pinning.place import name_in, place_in
from mcpgov.pinning.revealed import revealed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from mcpgov.models import Json
    from mcpgov.pinning.diff import Difference
    from mcpgov.pinning.finding import Finding
    from mcpgov.pinning.judgement import Pin
    from mcpgov.pinning.pin_store import KeptPin, KnownServer

ALGORITHM: Final = "sha256:"
SHOWN_DIGITS: Final = 12  # of a digest


class DecidedPins(Protocol):
    """What is known of the tools of servers, every decision about which is recorded. Raises StoreUnavailable."""

    async def servers(self) -> Sequence[KnownServer]:
        """All that is known of each server."""
        ...

    async def pins(self, server: str, /) -> Sequence[KeptPin]:
        """What is kept of the tools of one server, by name."""
        ...

    async def definitions(self, server: str, digests: Collection[str], /) -> Mapping[str, str]:
        """The definitions with these digests, as far as they are kept."""
        ...

    async def others(self, name: str, /) -> frozenset[str]:
        """The names of the tools of all servers that have another name."""
        ...

    async def approve(self, pins: Sequence[Pin], at: datetime, by: str, /) -> Sequence[Pin]:
        """Approve; gives back those of which another definition is listed by now."""
        ...

    async def reject(self, pins: Sequence[Pin], at: datetime, by: str, /) -> Sequence[Pin]:
        """Reject, as approve() approves."""
        ...


@frozen
class Looked:
    """A tool as a person sees it. `lines` are the differences as diff.py writes them for people."""

    kept: KeptPin
    differences: tuple[Difference, ...] = ()
    findings: tuple[Finding, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def pin(self) -> Pin:
        """The pin."""
        return self.kept.pin

    @property
    def place(self) -> str:
        """Where its server is."""
        return place_in(self.pin.server)

    @property
    def waits(self) -> bool:
        """Whether somebody has to decide about it."""
        return self.pin.waits

    @property
    def has_error(self) -> bool:
        """Whether the lint found an error in it."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


@frozen
class Standing:
    """How many tools of a server are in each state; `listed`: all of them have been seen at least once."""

    listed: bool = False
    counts: Mapping[PinState, int] = field(default_factory=dict[PinState, int])

    @property
    def waiting(self) -> int:
        """How many wait for a person."""
        return sum(self.counts.get(state, 0) for state in WAITING)


def standings_of(servers: Iterable[KnownServer]) -> Mapping[str, Standing]:
    """Where the tools of servers stand, by the name of the server, all its places together."""
    places: dict[str, list[KnownServer]] = {}
    for known in servers:
        places.setdefault(name_in(known.name), []).append(known)
    return {
        name: Standing(
            all(known.listed for known in found),
            counted(pin.state for known in found for pin in known.pins.values()),
        )
        for name, found in places.items()
    }


def counted(states: Iterable[PinState]) -> Mapping[PinState, int]:
    """How many there are of each state, in the order of the states; those that there are none of are left out."""
    counts = Counter(states)
    return {state: counts[state] for state in PinState if counts[state]}


async def look_at(pins: DecidedPins, name: str) -> Sequence[Looked]:
    """The tools of a server as a person sees them, by place and name; none where nobody has listed any.

    Raises StoreUnavailable. Time grows with the definitions: it is spent in a thread.
    """
    looked: list[Looked] = []
    others = await pins.others(name)
    for server in sorted(known.name for known in await pins.servers() if name_in(known.name) == name):
        kept = await pins.pins(server)
        digests = {digest for one in kept for digest in (one.pin.digest, one.pin.approved)}
        texts = await pins.definitions(server, digests)
        looked += await asyncio.to_thread(compared, kept, texts, others)
    return looked


def meant(pins: Iterable[Pin], tool: str, digest: str = "", place: str = "") -> list[Pin]:
    """What a decision about a tool is about: where it waits, else wherever it is listed; none where it is not.

    With `digest`, where that is listed, if anywhere. More than one is for a person to choose from, because a definition
    that is fit at one place says nothing about who answers at another.
    """
    found = [pin for pin in pins if pin.tool == tool and place in ("", place_in(pin.server))]
    listed = [pin for pin in found if pin.digest == digest] or found
    return [pin for pin in listed if pin.waits] or listed


def compared(kept: Sequence[KeptPin], texts: Mapping[str, str], others: Collection[str]) -> Sequence[Looked]:
    """Each tool with what changed since it was approved, and what the lint finds. `texts` are definitions by digest."""
    known: dict[str, Json] = {digest: json.loads(text) for digest, text in texts.items()}
    findings: dict[str, list[Finding]] = {}
    for finding in lint([known[one.pin.digest] for one in kept if one.pin.digest in known], others):
        findings.setdefault(finding.tool, []).append(finding)
    changes = [changes_of(one.pin, known) for one in kept]
    return [
        Looked(one, changed, tuple(findings.get(one.pin.tool, ())), tuple(diff_lines(changed)))
        for one, changed in zip(kept, changes, strict=True)
    ]


def changes_of(pin: Pin, known: Mapping[str, Json]) -> tuple[Difference, ...]:
    """What changed since a tool was approved, all of it where it never was."""
    if pin.digest not in known or pin.state is PinState.APPROVED:
        return ()
    return differences(known.get(pin.approved), known[pin.digest])


def described(one: Looked) -> dict[str, Any]:
    """A tool as JSON; what its server says stands in `differences` as it was said, in `lines` so that nothing hides."""
    pin, kept = one.pin, one.kept
    return {
        "server": name_in(pin.server),
        "place": one.place,
        "tool": pin.tool,
        "state": str(pin.state),
        "digest": pin.digest,
        "approved": pin.approved,
        "rejected": pin.rejected,
        "fault": pin.fault,
        "seen_at": kept.seen_at.isoformat(),
        "decided_at": kept.decided_at and kept.decided_at.isoformat(),
        "decided_by": kept.decided_by,
        "differences": [
            {"path": path_text(each.path), "change": str(each.change), "before": each.before, "after": each.after}
            for each in one.differences
        ],
        "lines": list(one.lines),
        "findings": [
            {"severity": str(each.severity), "path": path_text(each.path), "message": each.message, "mend": each.mend}
            for each in one.findings
        ],
    }


def name_of(pin: Pin) -> str:
    """The name of a tool, as a terminal or a page may have it."""
    return revealed(pin.tool) or "(a tool without a name)"


def short(digest: str) -> str:
    """So much of a digest as tells it from others."""
    return digest[: len(ALGORITHM) + SHOWN_DIGITS]
