"""`audit usage` and `audit stats` count what the ledger holds, whether or not a console keeps its index."""

import importlib
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.audit.reader import CallFilter
from mcpgov.audit.record import DeniedRecord, Row
from mcpgov.audit.review import ReviewReader
from mcpgov.cli.usage import EVERY, Progress, add_usage, show_stats
from mcpgov.decision import Reason
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus
from mcpgov.openers import Openers
from mcpgov.settings_file import no_vaults
from mcpgov.store.audit_query import open_sqlite_review
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.admin.house import LATER, some_rows
from tests.audit.calls import ALICE, NOW, facts

SPAN = ("--since", "2026-11-20T11:00", "--until", "2026-11-20T13:00")


class Counting:
    """A ledger without a console, and the command line that counts its calls."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "mcpgov.yaml"
        self.config.write_text("audit: { store: 'sqlite:///ledger.db' }\n")
        self.path = folder / "ledger.db"

    def append(self, *rows: Row) -> None:
        store = SqliteLedgerStore(self.path)
        store.open()
        store.append(rows)
        store.close(finished=True)

    def run(self, *arguments: str) -> Result:
        opens = Openers(importlib.import_module, no_vaults, lambda: LATER)
        audit = typer.Typer()
        add_usage(audit, opens.review)
        return CliRunner(env={"COLUMNS": "160"}).invoke(audit, [*arguments, "--config", str(self.config)])


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    counting = Counting(tmp_path)
    counting.append(*some_rows())
    return counting


def test_usage_says_who_uses_which_tool_the_most_used_first(counting: Counting) -> None:
    counting.append(*(DeniedRecord(facts(str(n), tool="search"), Reason.TOOL_DENIED).row() for n in range(10, 12)))
    title, first, *rest = counting.run("usage", *SPAN).stdout.splitlines()
    assert [part.strip() for part in title.split("  ") if part] == [
        *("caller", "connection", "tool", "calls", "denied", "went wrong", "last (UTC)")
    ]
    assert first.split() == ["alice", "city", "search", "3", "2", "0", "2026-11-20", "12:00"]
    assert ["bob", "city", "delete", "1", "0", "1", "2026-11-20", "12:00"] in [line.split() for line in rest]
    assert len(rest) == 4  # with the agent, and the tool that has a hostile name; a list of tools is no use of one


def test_usage_is_of_whom_and_of_what_it_is_asked_for(counting: Counting) -> None:
    lines = counting.run("usage", "tool=delete", "--json", *SPAN).stdout.splitlines()
    assert {json.loads(line)["principal"] for line in lines} == {ALICE.id, "key:bob"}
    assert len(counting.run("usage", "decision=deny", "--json", *SPAN).stdout.splitlines()) == 2
    assert len(counting.run("usage", "--limit", "1", "--json", *SPAN).stdout.splitlines()) == 1
    nobody = counting.run("usage", "tool=none", *SPAN)
    assert (nobody.exit_code, nobody.stdout) == (0, "")
    assert "Nobody called a tool" in nobody.stderr


def test_callers_who_share_a_name_are_told_apart(counting: Counting) -> None:
    other, nobody = replace(ALICE, id="key:other"), replace(ALICE, id="", name="")
    counting.append(DeniedRecord(facts("8", tool="search", principal=other), Reason.TOOL_DENIED).row())
    counting.append(DeniedRecord(facts("9", tool="search", principal=nobody), Reason.TOOL_DENIED).row())
    shown = counting.run("usage", *SPAN).stdout
    assert f"alice ({ALICE.id})" in shown
    assert "alice (key:other)" in shown
    assert "\nunknown" in shown
    assert "bob (" not in shown


def test_stats_count_calls_by_decision_status_caller_tool_and_reason(counting: Counting) -> None:
    shown = counting.run("stats", *SPAN).stdout
    assert shown.startswith("5 calls that began from 2026-11-20 11:00 to 2026-11-20 13:00 UTC\n")
    assert "1 well  ·  1 went wrong  ·  2 denied  ·  1 given up\n" in shown
    assert "(3 calls that were forwarded)" in shown
    lines = [line.split() for line in shown.splitlines()]
    for line in (["allow", "3"], ["deny", "2"], ["client-gone", "1"], ["bob", "1", "0"], ["rate-limited", "1", "1"]):
        assert line in lines
    assert ["delete", "2", "1"] in lines


def test_stats_are_of_the_calls_that_are_asked_for(counting: Counting) -> None:
    found = json.loads(counting.run("stats", "text=delete", "--json", *SPAN).stdout)
    assert (found["totals"]["denied"], found["statuses"]) == (1, {"failed": 1, "denied": 1})
    nothing = counting.run("stats", "tool=none", *SPAN)
    assert nothing.stdout == "0 calls that began from 2026-11-20 11:00 to 2026-11-20 13:00 UTC\n"


def test_a_call_on_which_nothing_was_decided_is_counted_as_that(counting: Counting) -> None:
    counting.append(DeniedRecord(facts("7"), Reason.CLIENT_GONE, status=OutcomeStatus.CLIENT_GONE).row())
    assert ["undecided", "1"] in [line.split() for line in counting.run("stats", *SPAN).stdout.splitlines()]


def test_what_callers_chose_does_nothing_to_a_terminal(counting: Counting) -> None:
    for verb in ("usage", "stats"):
        shown = counting.run(verb, *SPAN).stdout
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\\u202e" in shown


def test_what_is_counted_of_the_newest_alone_says_so(counting: Counting, capsys: pytest.CaptureFixture[str]) -> None:
    counting.run("stats")
    with open_sqlite_review(counting.path) as review:
        summary = review.summary(CallFilter(since=NOW - timedelta(hours=1)), LATER)
    show_stats(replace(summary, counted=10_000, latency=None, agents=()))
    shown = capsys.readouterr().out
    assert "Only the newest 10,000 that match were counted." in shown
    assert "p50" not in shown
    assert "caller" not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("usage", "status=ok"), "principal, connection, tool, decision"),
        (("usage", "--since", "soon"), "soon is not a time"),
        (("usage", "--since", "1h", "--until", "2h"), "swap them"),
        (("stats", "reason=reload"), "which is no call"),
        (("stats", "reason=tool-denid"), "tool-denied"),
        (("stats", "--since", "1h", "--until", "2h"), "swap them"),
    ],
    ids=str,
)
def test_what_can_only_be_a_slip_is_refused(counting: Counting, arguments: tuple[str, ...], said: str) -> None:
    refused = counting.run(*arguments)
    assert refused.exit_code == 2
    assert said in " ".join(refused.stderr.replace("│", " ").split())


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    refused = counting.run("usage")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "does not exist" in refused.stderr
    assert not counting.path.exists()


def test_what_goes_wrong_on_the_way_is_told() -> None:
    @contextmanager
    def down(config: Path | None, tell: Callable[[int], None]) -> Generator[ReviewReader]:
        raise StoreUnavailable("disk full")
        yield

    audit = typer.Typer()
    add_usage(audit, down)
    shown = CliRunner().invoke(audit, ["stats"])
    assert (shown.exit_code, shown.stderr) == (1, "disk full\n")


def test_where_many_records_wait_it_is_said_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    for left in (3 * EVERY, 3 * EVERY - 250, 2 * EVERY, EVERY, EVERY - 250, 0):
        progress(left)
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["60000", "40000", "20000"]
    Progress()(EVERY - 1)
    assert capsys.readouterr().err == ""
