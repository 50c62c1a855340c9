"""Real components of the gateway, each with one fault: what the checker has to find, by name."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

from mcpgov.audit.chain import NOTHING
from mcpgov.audit.ledger_store import OpenCall
from mcpgov.audit.record import OutcomeRecord, Row, timestamp
from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.models import Connection, Credential, OutcomeStatus, Principal
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.faults.checker import UpstreamEntry
from tests.faults.rig import Call, Store, now

INTENTS: Final = "SELECT id FROM records WHERE event = 'intent' ORDER BY id LIMIT 2"
TWO: Final = f"SELECT min(id) AS a, max(id) AS b FROM ({INTENTS})"
OTHER: Final = f"SELECT record FROM records AS other, ({TWO}) WHERE other.id = a + b - records.id"
SWAP: Final = f"UPDATE records SET record = ({OTHER}) WHERE id IN ({INTENTS})"
LOSE_THE_TAIL: Final = "DELETE FROM records WHERE id > (SELECT max(id) - 6 FROM records)"
LOSE_ONE: Final = "DELETE FROM records WHERE seq = 5"
CUT_SHORT: Final = f"UPDATE records SET record = substr(record, 1, 40) WHERE id IN ({INTENTS})"


class AcksBeforeCommit(SqliteLedgerStore):
    """Says that rows are kept, and writes them with those that come next: a crash loses the last."""

    late: Sequence[Row] = ()

    def append(self, rows: Sequence[Row]) -> None:
        rows, self.late = self.late, rows
        if rows:
            super().append(rows)


class SkipsAnIntent(SqliteLedgerStore):
    """Leaves one intent out of a batch of many."""

    def append(self, rows: Sequence[Row]) -> None:
        intents = [row for row in rows if row.event == "intent"]
        left_out = intents[:1] if len(intents) > 1 else []
        super().append([row for row in rows if row not in left_out])


class DropsAnOutcome(SqliteLedgerStore):
    """Loses every fifth outcome."""

    count = 0

    def append(self, rows: Sequence[Row]) -> None:
        super().append([row for row in rows if not self.drops(row)])

    def drops(self, row: Row) -> bool:
        """Whether this row is lost."""
        self.count += row.event == "outcome"
        return row.event == "outcome" and self.count % 5 == 0


class DropsADenial(SqliteLedgerStore):
    """Keeps only what was forwarded."""

    def append(self, rows: Sequence[Row]) -> None:
        super().append([row for row in rows if row.event != "denied"])


class EndsTheWrongCall(SqliteLedgerStore):
    """Files each outcome under the call that ended before."""

    before = ""

    def append(self, rows: Sequence[Row]) -> None:
        super().append([self.filed(row) for row in rows])

    def filed(self, row: Row) -> Row:
        """A row, an outcome under another call's id in its column and its text."""
        if row.event != "outcome" or row.call_id is None:
            return row
        wrong, self.before = self.before, row.call_id
        return row._replace(call_id=wrong, record=row.record.replace(f'"{row.call_id}"', f'"{wrong}"'))


class WritesTwice(SqliteLedgerStore):
    """Keeps each intent a second time, as another call's."""

    def append(self, rows: Sequence[Row]) -> None:
        super().append([one for row in rows for one in (row, *self.doubles(row))])

    def doubles(self, row: Row) -> list[Row]:
        """The second of an intent."""
        other = f"{row.call_id}-again"
        text = row.record.replace(f'"{row.call_id}"', f'"{other}"')
        return [row._replace(call_id=other, record=text)] if row.event == "intent" else []


class InventsAnOutcome(SqliteLedgerStore):
    """Ends a call that never was."""

    def append(self, rows: Sequence[Row]) -> None:
        never = OutcomeRecord(f"never-{rows[0].at}", now(), OutcomeStatus.OK).row()
        super().append([*rows, never])


class RewritesAStatus(SqliteLedgerStore):
    """Notes every outcome as a failure."""

    def append(self, rows: Sequence[Row]) -> None:
        super().append([row._replace(record=row.record.replace('status":"ok"', 'status":"failed"')) for row in rows])


class ForgetsItsChain(SqliteLedgerStore):
    """Chains to nothing, in the middle."""

    def append(self, rows: Sequence[Row]) -> None:
        if self._chain.size > 9:
            self._chain = replace(self._chain, head=NOTHING)
        super().append(rows)


class NeverRecovers(SqliteLedgerStore):
    """Ends no call that a crash left open."""

    def recover(self, ended: Callable[[OpenCall], Row]) -> int:
        return 0


def after(statement: str) -> Store:
    """A store whose file is changed behind its back when it lets go."""

    class Changed(SqliteLedgerStore):
        def close(self, *, finished: bool) -> None:
            super().close(finished=finished)
            with closing(sqlite3.connect(self._path)) as database, database:
                database.execute(statement)

    return Changed


class RefusesSome(SqliteLedgerStore):
    """Keeps nothing of every third batch: no fault of its own, for what goes on all the same."""

    count = 0

    def append(self, rows: Sequence[Row]) -> None:
        self.count += 1
        if self.count % 3 == 0:
            raise StoreUnavailable("the disk is full")
        super().append(rows)


class RefusesTheLast(SqliteLedgerStore):
    """Keeps nothing any more from the first time that many calls end at once: they are ended by the next start."""

    full = False

    def append(self, rows: Sequence[Row]) -> None:
        self.full = self.full or sum(row.event == "outcome" for row in rows) > 4
        if self.full:
            raise StoreUnavailable("the disk is full")
        super().append(rows)


def changed(statement: str) -> Store:
    """A store whose file is changed behind its back when it lets go."""

    class Changed(SqliteLedgerStore):
        def close(self, *, finished: bool) -> None:
            super().close(finished=finished)
            with closing(sqlite3.connect(self._path)) as database, database:
                database.execute(statement)

    return Changed


class ForwardsUnaudited(Call):
    """Goes on when the intent cannot be written."""

    async def refuse(self, refusal: Refusal) -> None:
        await super().refuse(refusal)
        if refusal.reason is Reason.AUDIT_UNAVAILABLE:
            self.execute("city")


class ForwardsFirst(Call):
    """Sends, and writes the intent down only then."""

    async def credential_for(self, connection: Connection, principal: Principal) -> Credential:
        credential = await super().credential_for(connection, principal)
        self.seen.upstream.append(UpstreamEntry(self.id, timestamp(now())))
        return credential

    def execute(self, connection: str) -> None:
        """It has, already."""


class ForwardsWhatIsDenied(Call):
    """Sends what a policy refused."""

    async def decide(self) -> None:
        if self.way == "denied":
            self.execute("city")
        await super().decide()


class TriesAgain(Call):
    """Sends a second time what did not work."""

    def execute(self, connection: str) -> None:
        for _ in range(1 + (self.way == "failed")):
            super().execute(connection)


class TellsAnotherReason(Call):
    """Tells the client another reason than it writes down."""

    async def refuse(self, refusal: Refusal) -> None:
        await super().refuse(refusal)
        refusal.reason = Reason.RATE_LIMITED


class SendsToAnother(Call):
    """Sends to the upstream of another connection."""

    def execute(self, connection: str) -> None:
        super().execute("town")


class SendsAnothersCredential(Call):
    """Sends with the credential of another connection."""

    def key(self, connection: str) -> str:
        return "key-of-town"


class MixesCorrelations(Call):
    """Sends a call under the correlation id of another."""

    def correlation(self) -> str:
        return "c-another"


class AnswersForAnother(Call):
    """Gives the client a result where the upstream was never asked."""

    def execute(self, connection: str) -> None:
        if self.way == "hanging":
            super().execute(connection)


PLANTED: Final[Mapping[str, tuple[Store, type[Call], str]]] = {
    "acknowledges before the commit": (AcksBeforeCommit, Call, "lost-intent"),
    "skips an intent of a batch": (SkipsAnIntent, Call, "lost-intent"),
    "swaps two records": (changed(SWAP), Call, "foreign-record"),
    "loses the tail": (changed(LOSE_THE_TAIL), Call, "lost-intent"),
    "loses one record": (changed(LOSE_ONE), Call, "gap"),
    "cuts a record short": (changed(CUT_SHORT), Call, "broken-record"),
    "drops an outcome": (DropsAnOutcome, Call, "lost-outcome"),
    "drops a denial": (DropsADenial, Call, "unrecorded-refusal"),
    "doubles a record": (WritesTwice, Call, "doubled-call"),
    "ends a call that never was": (InventsAnOutcome, Call, "orphan-outcome"),
    "ends the wrong call": (EndsTheWrongCall, Call, "orphan-outcome"),
    "writes another status": (RewritesAStatus, Call, "wrong-outcome"),
    "forgets its chain": (ForgetsItsChain, Call, "not-proved-TAMPERED"),
    "does not recover": (NeverRecovers, Call, "lost-outcome"),
    "forwards when it cannot write": (RefusesSome, ForwardsUnaudited, "refused-and-executed"),
    "forwards first": (SqliteLedgerStore, ForwardsFirst, "late-intent"),
    "forwards what is denied": (SqliteLedgerStore, ForwardsWhatIsDenied, "denied-and-executed"),
    "forwards twice": (SqliteLedgerStore, TriesAgain, "executed-twice"),
    "tells another reason": (SqliteLedgerStore, TellsAnotherReason, "wrong-reason"),
    "forwards to another upstream": (SqliteLedgerStore, SendsToAnother, "foreign-connection"),
    "forwards with another's credential": (SqliteLedgerStore, SendsAnothersCredential, "foreign-credential"),
    "mixes two calls": (SqliteLedgerStore, MixesCorrelations, "foreign-call"),
    "answers without asking": (SqliteLedgerStore, AnswersForAnother, "invented-answer"),
}
