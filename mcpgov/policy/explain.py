"""What each element did with one request: for `policy explain`, `audit show --explain`, and the coverage of tests.

An Explanation looks on while an Evaluation runs and notes, for each element, what it asked, what it was answered, and
what it changed. It decides nothing. A DryRun performs what an Evaluation asks for without touching anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mcpgov.decision import (
    Describe,
    FetchKeys,
    GetAuthorization,
    GetToken,
    Hold,
    Learn,
    LogEvent,
    Metric,
    Spend,
    Spent,
    Tell,
    Trace,
)
from mcpgov.frozen import frozen
from mcpgov.json_web_token import KeySet
from mcpgov.models import Answer, Headers, Issued, Secret
from mcpgov.policy.draft import MASK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Mapping

    from mcpgov.decision import Effect, HeaderEdit, QueryEdit
    from mcpgov.models import Event
    from mcpgov.policy.draft import Denial, Draft, Seen

T = TypeVar("T")

REPORT: Final = " (report)"  # how the rule of a document in report mode ends
SETTINGS_OWN: Final = "azure.identity"  # whose token a policy gets that names no identity
_SINGLE: Final = (  # what a draft holds one of, and how it is said that it was set
    ("sent to", "backend"),
    ("path", "path"),
    ("time-out in seconds", "timeout"),
    ("reply status", "reply_status"),
)


class Unrecorded(int):
    """A number that is not known. It shows as that, also where an element put it into a variable or a message."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "?"


@frozen
class Change:
    """Something that an element changed or found out: what, and which value it has now, where it has one."""

    what: str
    value: str = ""


@dataclass(slots=True, eq=False)
class Entry:
    """One element that was run. `depth` counts the elements that it stands in. `denial` is what it said itself."""

    rule: str
    section: str
    depth: int
    questions: list[Seen] = field(default_factory=list["Seen"])
    changes: list[Change] = field(default_factory=list[Change])
    denial: Denial | None = None

    @property
    def is_report(self) -> bool:
        """Whether this is a document in report mode: what stands inside is not enforced."""
        return self.rule.endswith(REPORT)


@frozen
class Before:
    """What a draft said before an element was run."""

    header_edits: int
    query_edits: int
    reply_edits: int
    forwarded: int
    grants: int
    limits: int
    rewriters: int
    reported: int
    single: tuple[object, ...]
    has_body: bool
    retries: bool
    variables: Mapping[str, object]


@dataclass(slots=True)
class _Open:
    """An element that is being run, the draft it works on, and what that said when it was last looked at."""

    entry: Entry
    draft: Draft
    before: Before


@dataclass(slots=True)
class Explanation:
    """Everything that happened, in order. Implements draft.Watch."""

    entries: list[Entry] = field(default_factory=list[Entry])
    ways: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    _open: list[_Open] = field(default_factory=list[_Open])

    def entered(self, rule: str, draft: Draft) -> None:
        """An element is about to be run."""
        if draft.answers.seen is None:
            draft.answers.seen = []
        self._look(draft)
        entry = Entry(rule, draft.section, len(self._open))
        self.entries.append(entry)
        self._open.append(_Open(entry, draft, _before(draft)))

    def left(self, rule: str, draft: Draft, denial: Denial | None) -> None:
        """It was run. A denial belongs to the innermost element that gave it."""
        self._look(draft)
        entry = self._open.pop().entry
        if denial is not None and denial.rule == rule:
            entry.denial = denial
        if self._open and self._open[-1].draft is draft:
            self._open[-1].before = _before(draft)  # what the inner element changed was said there

    def took(self, rule: str, way: str) -> None:
        """A choose took one of its ways."""
        self.ways.add((rule, way))
        opened = self._open[-1]
        self._look(opened.draft)
        opened.entry.changes.append(Change(f"takes {way}"))

    def _look(self, draft: Draft) -> None:
        """What was asked and changed since the last look, given to the element that is being run."""
        seen = draft.answers.seen or []
        if self._open:
            opened = self._open[-1]
            opened.entry.questions += seen
            opened.entry.changes += _changes(opened.before, opened.draft)
            opened.before = _before(opened.draft)
        seen.clear()


def _before(draft: Draft) -> Before:
    return Before(
        header_edits=len(draft.header_edits),
        query_edits=len(draft.query_edits),
        reply_edits=len(draft.reply_edits),
        forwarded=len(draft.forwarded),
        grants=len(draft.grants),
        limits=len(draft.limits),
        rewriters=len(draft.rewriters),
        reported=len(draft.reported),
        single=tuple(getattr(draft, name) for _, name in _SINGLE),
        has_body=draft.reply_body is not None,
        retries=draft.retry is not None,
        variables=dict(draft.variables),
    )


def _changes(before: Before, draft: Draft) -> Generator[Change]:
    """What an element said, in words."""
    for limit in draft.limits[before.limits :]:
        spent = limit.spent
        left = f"{spent.remaining} of {spent.limit} left" if spent.allowed else f"all {spent.limit} are used up"
        yield Change("counts", left)
    for grant in draft.grants[before.grants :]:
        yield Change("gets a token of", " for ".join(filter(None, (grant.identity, grant.audience))))
    yield from (_edited("upstream header", edit) for edit in draft.header_edits[before.header_edits :])
    yield from (_edited("upstream query", edit) for edit in draft.query_edits[before.query_edits :])
    yield from (_edited("reply header", edit) for edit in draft.reply_edits[before.reply_edits :])
    yield from (Change("lets the caller's header cross", name) for name in draft.forwarded[before.forwarded :])
    for (words, name), then in zip(_SINGLE, before.single, strict=True):
        now = getattr(draft, name)
        if now != then and now is not None:
            yield Change(words, str(now))
    for name, value in draft.variables.items():
        if name not in before.variables or before.variables[name] != value:
            yield Change(f"variable {name}", repr(value))
    yield from _done(before, draft)


def _done(before: Before, draft: Draft) -> Generator[Change]:
    """What an element did that has no value to show."""
    if draft.reply_body is not None and not before.has_body:
        yield Change("sets the body of the reply")
    if draft.retry is not None and not before.retries:
        yield Change("asks again where the answer says so")
    if len(draft.rewriters) > before.rewriters:
        yield Change("looks into the answer as it passes")
    yield from (Change("would deny", f"{one.reason}, by {one.rule}") for one in draft.reported[before.reported :])


def _edited(where: str, edit: HeaderEdit | QueryEdit) -> Change:
    if edit.action == "delete":
        return Change(f"{where} {edit.name} is deleted")
    kept = {"skip": " (unless it is there)", "append": " (added)"}.get(edit.action, "")
    return Change(f"{where} {edit.name}{kept}", ", ".join(edit.values))


@dataclass(slots=True)
class DryRun:
    """Performs effects without touching anything: every counter is fresh, every place free.

    `annotations` are what the server says of the tool; `told` collects lines for the log, and measurements. `keys` are
    the only ones that sign tokens, and every token that is asked for is there, and shows as `***`.
    """

    annotations: Mapping[str, object] = field(default_factory=dict[str, object])
    told: list[Trace | Metric | LogEvent] = field(default_factory=list[Trace | Metric | LogEvent])
    keys: KeySet = field(default_factory=lambda: KeySet("", ()))

    def run(self, evaluation: Generator[Effect, Any, T]) -> T:
        """What an evaluation returns. Raises what it raises."""
        try:
            effect = next(evaluation)
            while True:
                effect = evaluation.send(self.perform(effect))
        except StopIteration as end:
            return end.value

    def perform(self, effect: Effect) -> Any:
        """What comes of an effect. One that only does something comes to nothing."""
        match effect:
            case Spend():
                left = effect.calls - effect.count
                return Spent(left >= 0, effect.calls, max(0, left), effect.period, 0 if left >= 0 else effect.period)
            case Describe():
                return self.annotations
            case FetchKeys() | GetToken() | GetAuthorization():
                return self.keys if isinstance(effect, FetchKeys) else _issued(effect)
            case Hold():
                return effect.limit > 0
            case Trace() | Metric() | LogEvent():
                return self.told.append(effect)
            case Tell():
                return self.told.append
            case Learn():
                return _forget
            case _:
                return None


def _issued(effect: GetToken | GetAuthorization) -> Issued:
    """A token that is taken to be there, named by what is known of it without asking anybody."""
    if isinstance(effect, GetAuthorization):
        return Issued(Secret(MASK), effect.provider)
    return Issued(Secret(MASK), effect.client_id or SETTINGS_OWN, effect.resource)


def assumed_answer() -> Answer:
    """What is taken for the head of an answer where there is none: 200, and no header field."""
    return Answer(200, Headers(), streaming=False, events=_Nothing())


def _forget(_tools: object) -> None:
    """What a list tells of tools is not kept."""


class _Nothing:
    """The events of an answer that has none."""

    def __aiter__(self) -> AsyncIterator[tuple[Event, ...]]:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        raise StopAsyncIteration
