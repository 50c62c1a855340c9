"""What came of a class of attacks, and the judgement over one case: the ledgers say what happened, not the answers."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.hostile.wire import Fate, Said
from tests.hostile.witness import Noted

OUR_TRACE: Final = rb'"traceparent":"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]"'
OUR_PART: Final = re.compile(rb'"_meta":\{%s\},|%s,' % (OUR_TRACE, OUR_TRACE))


@dataclass
class Score:
    """One line of the table. `seen` are those executed whose upstream got what policy saw; `leaks` say what is wrong.

    `note` says who judged where it was not the ledgers here.
    """

    id: str
    phrase: str
    cases: int = 0
    refused: int = 0
    executed: int = 0
    seen: int = 0
    slowest: float = 0.0
    leaks: list[str] = field(default_factory=list[str])
    note: str = ""

    def count(self, name: str, *, refused: bool, why: str = "was not refused") -> None:
        """One case that must be refused, and was or was not."""
        self.cases += 1
        self.refused += refused
        if not refused:
            self.leaks.append(f"{name}: {why}")

    def row(self) -> str:
        """The line as it is printed."""
        seen = f"{self.seen}/{self.executed}" if self.executed else "-"
        what = f"{self.id:<5}{self.phrase:<52}{self.cases:>7}{self.refused:>9}{seen:>12}{len(self.leaks):>8}"
        took = f"{self.slowest:>8.2f}" if self.slowest else f"{'':8}"
        return f"{what}{took}  {self.note}".rstrip()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is of a run: the upstreams' ledgers and the gateway's records, by correlation id. `digest` makes of
    bytes what a record has of arguments.
    """

    noted: dict[str, list[Noted]]
    records: dict[str, dict[str, object]]
    digest: Callable[[bytes], str]


def judge(score: Score, said: Said, evidence: Evidence) -> None:
    """Put one case into the score."""
    case, noted = said.case, evidence.noted.pop(said.correlation, [])
    score.cases += 1
    score.slowest = max(score.slowest, said.seconds)
    if said.correlation and case.raw.startswith(b"POST /mcp/") and said.correlation not in evidence.records:
        score.leaks.append(f"{case.name}: answered without a record")
    if len([status for status in said.statuses if status >= 200]) > 1:
        score.leaks.append(f"{case.name}: two answers {said.statuses}")
    if not noted:
        score.refused += 1
        if case.fate is Fate.EXECUTED or said.is_success:
            score.leaks.append(f"{case.name}: was not executed, {said.statuses} {said.raw[-200:]!r}")
        return
    score.executed += 1
    if case.fate is Fate.REFUSED:
        score.leaks.append(f"{case.name}: was executed, {said.statuses}")
    elif problem := difference(said, noted, evidence):
        score.leaks.append(f"{case.name}: {problem}")
    else:
        score.seen += 1


def difference(said: Said, noted: Sequence[Noted], evidence: Evidence) -> str:
    """Where what the upstream got is not what policy saw; empty where it is the same."""
    case, [got, *more] = said.case, noted
    if more:
        return f"executed {len(noted)} times"
    if case.needed not in got.everything:
        return f"the upstream did not get {case.needed!r}"
    if case.body is not None and got.body is not None and digest(case.body) != digest(without_trace(got.body)):
        return "the upstream got other bytes than were judged"
    if case.arguments is None:
        return ""
    if evidence.records[said.correlation].get("mcpgov.arguments.digest") != evidence.digest(case.arguments):
        return "the record has the digest of other arguments"
    if got.body is None and as_doubles(case.arguments) != as_doubles(json.dumps(got.arguments)):
        return "the server ran with other arguments than were judged"
    return ""


def as_doubles(text: str | bytes) -> object:
    """A JSON text as JavaScript reads it: every number a double. The record's digest is of the digits themselves."""
    return json.loads(text, parse_int=float)


def without_trace(body: bytes) -> bytes:
    """The message without the one member that is the gateway's own: the trace context (SEP-414)."""
    return OUR_PART.sub(b"", body, count=1)


def digest(body: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(body).hexdigest()


def stowaways(score: Score, evidence: Evidence) -> None:
    """What reached an upstream and belongs to no case."""
    for correlation, noted in evidence.noted.items():
        score.leaks.append(f"reached an upstream unasked ({correlation}): {noted[0].everything[:300]!r}")
