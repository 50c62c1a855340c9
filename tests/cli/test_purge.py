"""`audit purge` says what goes, asks, and refuses what can only be a slip."""

import json

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.audit.retention import Purge, Wanted
from mcpgov.cli.purge import add_purge
from mcpgov.errors import StoreUnavailable


class Ledger:
    """A ledger with three old records, and what was asked of it."""

    def __init__(self, *, days: int | None = 400, records: int = 3) -> None:
        self.days = days
        self.exported = 7
        self.records = records
        self.asked: list[Wanted] = []

    def purge(self, wanted: Wanted) -> Purge:
        if self.records < 0:
            raise StoreUnavailable("is down")
        self.asked.append(wanted)
        return Purge(self.records, frozenset({"w"}), 0, 1_000_000) if self.records else Purge()

    def run(self, *arguments: str, answer: str = "") -> Result:
        audit = typer.Typer()
        add_purge(audit, lambda _: self)
        return CliRunner(env={"COLUMNS": "300"}).invoke(audit, arguments, input=answer)


def test_it_asks_before_it_removes() -> None:
    ledger = Ledger()
    assert ledger.run(answer="n\n").exit_code == 1
    assert [wanted.dry for wanted in ledger.asked] == [True]
    shown = ledger.run(answer="y\n")
    assert (
        shown.stdout.splitlines()[-1]
        == "removed: 3 records of 1 writer, from 1970-01-01 00:00:00 to 1970-01-01 00:00:01 UTC"
    )
    assert [(wanted.dry, wanted.days, wanted.keep_from) for wanted in ledger.asked[1:]] == [
        (True, 400, 7),
        (False, 400, 7),
    ]


def test_it_can_be_told_everything_at_once() -> None:
    ledger = Ledger(days=None)
    shown = ledger.run("--older-than", "90d", "--yes", "--even-unexported", "--json")
    assert json.loads(shown.stdout)["records"] == 3
    assert (ledger.asked[-1].days, ledger.asked[-1].keep_from) == (90, None)


def test_a_dry_run_removes_nothing() -> None:
    ledger = Ledger()
    assert ledger.run("--dry-run").stdout.startswith("would be removed: 3 records")
    assert all(wanted.dry for wanted in ledger.asked)
    assert Ledger(records=0).run().stdout == "nothing is older than 400 days\n"
    assert Ledger(records=0).run("--older-than", "1d").stdout == "nothing is older than 1 day\n"


@pytest.mark.parametrize("days", ["0d", "12h", "x", "-1d"])
def test_less_than_a_day_is_refused(days: str) -> None:
    assert Ledger().run(f"--older-than={days}", "--yes").exit_code == 2


def test_what_is_kept_for_ever_goes_only_when_it_is_said() -> None:
    assert "forever" in Ledger(days=None).run().stderr


def test_a_store_that_is_down_is_told() -> None:
    shown = Ledger(records=-1).run()
    assert (shown.exit_code, shown.stderr) == (1, "is down\n")
