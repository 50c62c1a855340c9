"""`mcpgov audit purge`: removes records that are older than they are to be kept. Rules are in mcpgov.audit.retention.

It asks before, unless told not to; what an export has not taken goes only when that is said by name.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from mcpgov.accounts import local_user
from mcpgov.audit.record import EPOCH, timestamp
from mcpgov.audit.retention import Wanted
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import plural, repeated
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcpgov.audit.retention import Purge

    OpenPurging = Callable[[Path | None], "Purging"]

DAYS = re.compile(r"([1-9][0-9]{0,4})d")


class Purging(Protocol):
    """The ledger that the settings name. `days` is how long it is kept (None: for ever), `exported` the first record
    that an export has not taken (None: there is no export).
    """

    @property
    def days(self) -> int | None:
        """For how many days records are kept."""
        ...

    @property
    def exported(self) -> int | None:
        """The place from which on an export has taken nothing."""
        ...

    def purge(self, wanted: Wanted) -> Purge:
        """Remove what is too old, or count it. Raises StoreUnavailable."""
        ...


@frozen
class Asked:
    """What `purge` was asked for."""

    older_than: Annotated[str, typer.Option(metavar="DAYS", help="Like 400d; else what audit.keep_days says.")] = ""
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
    unexported: Annotated[bool, typer.Option("--even-unexported", help="Also what an export has not taken yet.")] = (
        False
    )
    config: Config = None
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False


def add_purge(audit: typer.Typer, open_purging: OpenPurging) -> None:
    """Add the verb `purge`."""

    def purge(asked: Asked) -> None:
        """Remove the oldest records. What remains can still be verified: a record says what was removed."""
        try:
            ledger = open_purging(asked.config)
            wanted = wanted_by(asked, ledger)
            done = ledger.purge(replace(wanted, dry=True))
            if done.records and not wanted.dry:
                if not asked.yes:
                    typer.confirm(f"Remove {described(done)}?", abort=True, err=True)
                done = ledger.purge(wanted)
        except (InvalidConfiguration, StoreUnavailable) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        if asked.as_json:
            typer.echo(json.dumps(as_fields(done, wanted)))
        else:
            days = plural(wanted.days, "day")
            said = "would be removed" if wanted.dry else "removed"
            typer.echo(f"{said}: {described(done)}" if done.records else f"nothing is older than {days}")

    audit.command(
        epilog="Examples:  mcpgov audit purge --dry-run  ·  mcpgov audit purge --older-than 90d --yes"
        "  ·  mcpgov audit purge --even-unexported"
    )(with_options(Asked, purge))


def wanted_by(asked: Asked, ledger: Purging) -> Wanted:
    """What was asked for. Raises typer.BadParameter."""
    found = DAYS.fullmatch(asked.older_than)
    if asked.older_than and not found:
        raise typer.BadParameter(f"{repeated(asked.older_than)} is not a number of days, 1d or more; write 400d")
    days = int(found[1]) if found else ledger.days
    if days is None:
        raise typer.BadParameter("audit.keep_days is forever; say which records with --older-than 400d")
    keep_from = None if asked.unexported else ledger.exported
    return Wanted(days, local_user(), keep_from, dry=asked.dry_run)


def moment(microseconds: int) -> str:
    """A time from microseconds since 1970-01-01 UTC."""
    return timestamp(EPOCH + timedelta(microseconds=microseconds))


def described(done: Purge) -> str:
    """What was removed, in words."""
    since, until = (moment(at or 0)[:19].replace("T", " ") for at in (done.since, done.until))
    counts = f"{plural(done.records, 'record')} of {plural(len(done.writers), 'writer')}"
    return f"{counts}, from {since} to {until} UTC"


def as_fields(done: Purge, wanted: Wanted) -> dict[str, object]:
    """What was removed, as JSON has it."""
    times = {name: None if at is None else moment(at) for name, at in (("since", done.since), ("until", done.until))}
    counts = {"records": done.records, "writers": sorted(done.writers)}
    return {"dry_run": wanted.dry, "older_than_days": wanted.days, **counts, **times}
