"""`mcpgov doctor`: what is wrong with a gateway here, or soon will be, one line each with its mend.

Rules are in mcpgov.doctor; what `mcpgov check` tells of the files, it tells too.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from mcpgov.cli.check import Json
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import plural, printable
from mcpgov.cli.serve import Config
from mcpgov.doctor.checks import judged, misconfigured
from mcpgov.doctor.facts import Level
from mcpgov.errors import InvalidConfiguration
from mcpgov.frozen import frozen
from mcpgov.worker import MOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mcpgov.doctor.facts import Facts, Finding


class Examined(Protocol):
    """A gateway to be looked at."""

    def facts(self) -> Facts:
        """What can be found out. Raises InvalidConfiguration."""
        ...


class Examine(Protocol):
    """How a gateway is looked at."""

    def __call__(self, config: Path | None, workers: int, *, offline: bool) -> Examined:
        """The gateway of this settings file, if it is served by so many workers."""
        ...


@frozen
class Asked:
    """What `doctor` was asked for."""

    config: Config = None
    offline: Annotated[bool, typer.Option("--offline", help="Connect to nothing: files and this machine alone.")] = (
        False
    )
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False
    workers: Annotated[int, typer.Option(min=1, max=MOST, help="How many workers are to be served with.")] = 1
    as_json: Json = False


def add_doctor(app: typer.Typer, examine: Examine) -> None:
    """Add the verb `doctor`."""

    def doctor(asked: Asked) -> None:
        """Find what is wrong: configuration, stores, clocks, certificates, servers, permissions, versions, exposure.

        Exits with 1 where anything is wrong. Run it where the gateway runs, as its user; it changes nothing, and calls
        no tool.
        """
        versions: Mapping[str, str] = {}
        try:
            facts = examine(asked.config, asked.workers, offline=asked.offline).facts()
            findings, versions = judged(facts), facts.versions
        except InvalidConfiguration as invalid:
            findings = misconfigured(invalid.problems)
        wrong = [finding for finding in findings if finding.level is Level.WRONG]
        bad = bool(findings if asked.strict else wrong)
        if asked.as_json:
            listed = [shape(finding) for finding in findings]
            typer.echo(json.dumps({"ok": not bad, "versions": dict(versions), "findings": listed}, indent=2))
        else:
            show(findings, len(wrong), versions)
        if bad:
            raise typer.Exit(1)

    app.command(
        epilog="Examples:  mcpgov doctor  ·  mcpgov doctor --offline --strict"
        "  ·  mcpgov doctor --config /etc/mcpgov/mcpgov.yaml --workers 4 --json"
    )(with_options(Asked, doctor))


def show(findings: Sequence[Finding], wrong: int, versions: Mapping[str, str]) -> None:
    """Print each finding on one line, what is wrong first, and how many there are."""
    if versions:
        typer.echo(", ".join(f"{name} {version}" for name, version in versions.items()))
    for finding in findings:
        typer.echo(f"{finding.level.value:7}  {printable(str(finding.problem))}")
    warned = len(findings) - wrong
    typer.echo(f"{plural(wrong, 'thing')} wrong, {plural(warned, 'warning')}." if findings else "Nothing is wrong.")


def shape(finding: Finding) -> dict[str, Any]:
    """A finding as JSON has it."""
    return {"level": finding.level.value, "check": finding.check, **asdict(finding.problem)}
