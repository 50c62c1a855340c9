"""A ledger with a few calls, and the command line that reads it."""

from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner, Result

from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, Latency, OutcomeRecord, Row
from mcpgov.cli.audit import build_audit_app
from mcpgov.decision import Reason
from mcpgov.models import OutcomeStatus
from mcpgov.store.audit_reader import open_sqlite_reader
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HOSTILE = "evil\x1b[2J\u202e\n"


class Ledger:
    """A ledger with four calls, and the command line that reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteLedgerStore(path)
        self.store.open()
        self.pauses: list[float] = []
        self.meanwhile: Callable[[], None] = self.interrupt
        self.store.append(
            [
                ControlRecord(ControlEvent.START, NOW).row(),
                IntentRecord(facts("1", NOW, tool="search", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")).row(),
                self.outcome("1"),
                DeniedRecord(facts("2", NOW, tool="delete"), Reason.TOOL_DENIED, total=900).row(),
                IntentRecord(facts("3", NOW, method="tools/list")).row(),
                DeniedRecord(facts("4", NOW, tool=HOSTILE), Reason.TOOL_HIDDEN).row(),
            ]
        )

    def outcome(self, call_id: str) -> Row:
        return OutcomeRecord(call_id, NOW, OutcomeStatus.OK, trace_id=TRACE, latency=Latency(total=12_345)).row()

    def interrupt(self) -> None:
        raise KeyboardInterrupt

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.meanwhile()

    def run(self, *arguments: str, columns: int = 200) -> Result:
        app = build_audit_app(lambda _: open_sqlite_reader(self.path), self.pause)
        return CliRunner(env={"COLUMNS": str(columns)}).invoke(app, arguments)
