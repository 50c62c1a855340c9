"""Which of the tools that a server lists may be seen and called: those whose definition is the one that was approved.

Pure. There is one pin for each tool of a server: the definition that was listed last, and the one that was approved. A
tool shows while the two are the same, so one that vanishes and comes back unchanged stays approved, and one that comes
back otherwise waits for a person. `require`: everything new waits. `trust-on-first-use`: what a server lists when it is
first seen is trusted, unless the lint finds an error in it; what comes later waits. `off`: nobody looks. What cannot be
pinned (two tools with one name, a definition past a bound) never shows. Refuses to know where pins are kept, who
approves, and when.
"""

from __future__ import annotations

from dataclasses import field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.pinning.definition_lint import errors_of
from mcpgov.pinning.definitions import definitions_of
from mcpgov.pinning.mode import PinMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcpgov.models import Json
    from mcpgov.pinning.definitions import Definition

MAX_PINS: Final = 10_000  # of one server: it could list other names each time
MAX_KEPT: Final = 32 * 1024 * 1024  # characters of definitions that are kept of one server
_FULL: Final = f"the server has listed {MAX_PINS} tools already"
_NO_ROOM: Final = f"the definitions of the server have {MAX_KEPT} characters already"


class PinState(StrEnum):
    """What a pin says. Only what is approved shows."""

    APPROVED = "approved"
    PENDING = "pending"  # new, and nobody has looked
    CHANGED = "changed"  # approved once, and listed otherwise now
    REJECTED = "rejected"
    UNFIT = "unfit"  # cannot be pinned; `fault` says why


WAITING: Final = frozenset({PinState.PENDING, PinState.CHANGED})  # for a person


@frozen
class Pin:
    """What is known of one tool of one server. `digest` is of the definition that was listed last, `approved` and
    `rejected` of those that somebody decided about; empty where there is none. Of a tool without a usable name, `tool`
    is empty.
    """

    server: str
    tool: str
    digest: str = ""
    approved: str = ""
    rejected: str = ""
    fault: str = ""

    @property
    def state(self) -> PinState:
        """Where the tool stands."""
        if not self.digest:
            return PinState.UNFIT
        if self.digest == self.approved:
            return PinState.APPROVED
        if self.digest == self.rejected:
            return PinState.REJECTED
        return PinState.CHANGED if self.approved else PinState.PENDING

    @property
    def waits(self) -> bool:
        """Whether somebody has to decide about it."""
        return self.state in WAITING


@frozen
class Verdict:
    """What becomes of the tool at place `at` of a list. `approved` is the digest that it should have, if any."""

    at: int
    tool: str
    state: PinState
    digest: str = ""
    approved: str = ""
    why: str = ""


@frozen
class PinChange:
    """Something to be recorded: a tool has come into `state`.

    `new` is the digest as listed now. `old` is the approved one, or where that is listed again the one before.
    """

    server: str
    tool: str
    state: PinState
    old: str = ""
    new: str = ""
    why: str = ""


@frozen
class Judgement:
    """What becomes of one list: the places that `shown` tools have in it, and why the others are `hidden`.

    `pins` are to be written, `changes` to be recorded, and `definitions` (canonical JSON by digest) to be kept for as
    long as a pin names them, so that a person can see what changed.
    """

    shown: tuple[int, ...]
    hidden: tuple[Verdict, ...] = ()
    pins: tuple[Pin, ...] = ()
    changes: tuple[PinChange, ...] = ()
    definitions: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@frozen
class PinnedServer:
    """A server and what is known of it: `pins` by the name of the tool.

    `first_sight` is for the caller to say, because a list may come in pages: the tools have never been listed to their
    end. `kept` is how many characters of definitions are kept of it.
    """

    name: str
    mode: PinMode
    pins: Mapping[str, Pin]
    first_sight: bool
    kept: int = 0

    def judge(self, tools: Sequence[Json]) -> Judgement:
        """What becomes of `tools`, a list or a page of one as the server sent it. Raises Refusal: upstream-too-large,
        where nothing of it is to be shown.
        """
        if self.mode is PinMode.OFF:
            return Judgement(tuple(range(len(tools))))
        known, written = dict(self.pins), dict[str, Pin]()
        changes: list[PinChange] = []
        hidden: list[Verdict] = []
        definitions: dict[str, str] = {}
        room = MAX_KEPT - self.kept
        for listed in definitions_of(tools):
            before = known.get(listed.name)
            is_kept = before is not None and listed.digest in {before.digest, before.approved, before.rejected}
            is_fit = is_kept or len(listed.text) <= room
            found = listed if is_fit else replace(listed, digest="", text="", fault=_NO_ROOM)
            if before is None and len(known) >= MAX_PINS:
                hidden.append(Verdict(found.at, found.name, PinState.UNFIT, found.digest, why=_FULL))
                continue
            pin, why = self._pinned(before, found, tools[found.at])
            if pin != before:
                known[pin.tool] = written[pin.tool] = pin
                changes.append(_change(before, pin, why))
                definitions |= {found.digest: found.text} if found.digest else {}
                room -= 0 if is_kept else len(found.text)
            if pin.state is not PinState.APPROVED:
                hidden.append(Verdict(found.at, pin.tool, pin.state, pin.digest, pin.approved, why))
        unseen = {verdict.at for verdict in hidden}
        shown = tuple(at for at in range(len(tools)) if at not in unseen)
        return Judgement(shown, tuple(hidden), tuple(written.values()), tuple(changes), definitions)

    def _pinned(self, before: Pin | None, found: Definition, tool: Json) -> tuple[Pin, str]:
        """The pin after a tool was listed, and what is to be said about it."""
        pin = replace(before or Pin(self.name, found.name), digest=found.digest, fault=found.fault)
        if before is not None or not found.digest:
            return pin, found.fault
        if self.mode is not PinMode.TRUST_ON_FIRST_USE or not self.first_sight:
            return pin, ""
        doubts = errors_of(cast("dict[str, Json]", tool))  # what has a digest has a name
        if doubts:
            return pin, f"not trusted at first sight: {doubts[0].message}"
        return replace(pin, approved=found.digest), ""

    def refusal_of_call(self, tool: str) -> Refusal | None:
        """Why `tool` may not be called; None where it may. What the server has not listed is not called, either.

        The refusal is answered as that of a tool that there is not.
        """
        if self.mode is PinMode.OFF:
            return None
        pin = self.pins.get(tool)
        if pin is None:
            return _refusal(Reason.TOOL_UNAPPROVED, tool, "the server has not listed this tool")
        if pin.state is PinState.APPROVED:
            return None
        listed = f"lists {pin.digest}" if pin.digest else f"cannot be pinned: {pin.fault}"
        if pin.approved:
            return _refusal(Reason.TOOL_CHANGED, tool, f"approved is {pin.approved}, the server {listed}")
        return _refusal(Reason.TOOL_UNAPPROVED, tool, f"{pin.state}: the server {listed}")


def approve(pin: Pin, digest: str) -> Pin:
    """The pin after a person approved the definition with `digest`, which they were shown.

    Raises ValueError where the server lists another one by now, or one that cannot be pinned.
    """
    _require_listed(pin, digest)
    return replace(pin, approved=digest, rejected="" if pin.rejected == digest else pin.rejected)


def reject(pin: Pin, digest: str) -> Pin:
    """The pin after a person rejected the definition with `digest`; one that was approved before is approved no more.

    Raises ValueError as approve() does.
    """
    _require_listed(pin, digest)
    return replace(pin, rejected=digest, approved="" if pin.approved == digest else pin.approved)


def _require_listed(pin: Pin, digest: str) -> None:
    if not pin.digest:
        raise ValueError(f"it cannot be pinned: {pin.fault}")
    if pin.digest != digest:
        raise ValueError("the server lists another definition by now: look at it first")


def _change(before: Pin | None, pin: Pin, why: str) -> PinChange:
    if before is None:
        old = ""
    elif pin.state is PinState.APPROVED:
        old = before.digest
    else:
        old = before.approved or before.digest
    return PinChange(pin.server, pin.tool, pin.state, old, pin.digest, why)


def _refusal(reason: Reason, tool: str, detail: str) -> Refusal:
    return Refusal(reason, f"Unknown tool: {tool}", detail=detail)
