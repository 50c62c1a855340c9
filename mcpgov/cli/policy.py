"""`mcpgov policy`: which policies there are, what is wrong with them, what they say to a request, and their tests.

None of the verbs has a rule of its own: they load, compile and evaluate as the gateway does. Nothing is connected to,
no counter is touched.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpgov.catalog.entries import parse_entry
from mcpgov.cli.explained import as_json as explained_as_json
from mcpgov.cli.explained import documents_of, explain_request, left_out, show
from mcpgov.cli.hiding import Hiding
from mcpgov.cli.lint import add_lint
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable
from mcpgov.cli.question import Question, annotations_of, context_of
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration
from mcpgov.frozen import frozen
from mcpgov.policy.element import walk
from mcpgov.policy.registry import ELEMENTS
from mcpgov.policy_cases import ENDING, Coverage, Result, parse_cases, run_cases
from mcpgov.reload import generation_of, load_generation, read_files
from mcpgov.settings_file import lookup_for, read_text, stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mcpgov.policy.document import PolicyDocument
    from mcpgov.reload import Reading
    from mcpgov.snapshot import Snapshot

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def build_policy_app() -> typer.Typer:
    """The sub-commands of `mcpgov policy`."""
    policy = typer.Typer(no_args_is_help=True, help="Policies: list, lint, explain and test them.")
    for add in (add_list, add_lint, add_explain, add_test):
        add(policy)
    return policy


def add_list(policy: typer.Typer) -> None:
    """Add the verb `list`."""

    @policy.command("list", epilog="Examples:  mcpgov policy list  ·  mcpgov policy list --json")
    def list_(config: Config = None, *, as_json: AsJson = False) -> None:
        """List the policies, and where each is in force."""
        try:
            rows = listed(config)
        except InvalidConfiguration as invalid:
            typer.echo(str(invalid), err=True)
            raise typer.Exit(1) from None
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
        elif not rows:
            typer.echo("There is no policy. Write one in the policies folder, or copy one from the library.")
        else:
            show_rows(rows)


def listed(config: Path | None) -> list[dict[str, Any]]:
    """Each policy: its file, and the scopes that name it. Raises InvalidConfiguration."""
    reading = read_files(config)
    snapshot = generation_of(reading, os.environ, stand_ins)
    scopes = tuple(scopes_of(reading, snapshot))
    return [
        {
            "name": name,
            "file": document.file,
            "mode": document.mode,
            "digest": document.digest,
            "elements": elements_of(document),
            **in_force(document, scopes, snapshot),
        }
        for name, document in sorted(snapshot.documents.items())
    ]


@frozen
class Scope:
    """A place that names policies, and the connections it is for. A tool is the narrowest: nothing leaves it out."""

    title: str
    policies: tuple[str, ...]
    connections: tuple[str, ...] = ()


def scopes_of(reading: Reading, snapshot: Snapshot) -> Iterator[Scope]:
    """Every scope, from broad to narrow."""
    lookup = lookup_for(reading.settings_text, reading.place, os.environ, stand_ins)
    entries = [parse_entry(text, str(place), lookup) for place, text in reading.catalog.items()]
    yield Scope("every connection", snapshot.settings.global_policies, tuple(snapshot.connections))
    for entry in entries:
        yield Scope(f"server {entry.name}", entry.policies, tuple(one.connection.name for one in entry.connections))
    for served in (served for entry in entries for served in entry.connections):
        name = served.connection.name
        yield Scope(f"connection {name}", served.policies, (name,))
        yield from (Scope(f"tool {tool} on {name}", names) for tool, names in served.tools.items())


def in_force(document: PolicyDocument, scopes: Sequence[Scope], snapshot: Snapshot) -> dict[str, list[str]]:
    """The scopes in which a document is in force, and the connections on which narrower ones leave all of it out."""
    named = [scope for scope in scopes if document.name in scope.policies]
    gone = {
        connection: None
        for scope in named
        for connection in scope.connections
        if elements_of(document) and document.name not in documents_of(snapshot.policy(connection).general.all)
    }
    there = [scope.title for scope in named if not scope.connections or set(scope.connections) - gone.keys()]
    return {"scopes": there, "left_out": [f"connection {name}" for name in gone]}


def elements_of(document: PolicyDocument) -> int:
    """How many elements a document has, also inside others. What stands for a scope, or for the mode, is none."""
    return sum(1 for steps in document.sections.values() for step in walk(steps) if step.element.name in ELEMENTS)


def show_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line for each policy."""
    cells = [
        (
            row["name"],
            f"{row['elements']} element{'' if row['elements'] == 1 else 's'}",
            row["mode"],
            ", ".join([*(row["scopes"] or ["nowhere"]), *(f"left out on {name}" for name in row["left_out"])]),
        )
        for row in rows
    ]
    cells = [("POLICY", "SIZE", "MODE", "IN FORCE ON"), *cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def add_explain(policy: typer.Typer) -> None:
    """Add the verb `explain`."""
    examples = (
        "Examples:  mcpgov policy explain --connection github --tool delete_repository  ·  mcpgov policy explain"
        " --connection github --tool get_issue --project payments --ip 203.0.113.9 --header x-region=eu"
        " --arguments '{\"id\": 7}'"
    )
    policy.command("explain", epilog=examples)(with_options(Question, explain))


def explain(question: Question) -> None:
    """Show what each element makes of one request, and the decision. Nothing is sent, nothing is counted."""
    snapshot = generation(question.config)
    context, policy = context_of(question, snapshot), snapshot.policy(question.connection)
    explained = replace(
        explain_request(policy, context, annotations_of(question)),
        left_out=tuple(left_out(policy, context, snapshot.documents)),
    )
    hiding = Hiding.of((*snapshot.secrets, *explained.secrets))
    if question.as_json:
        typer.echo(json.dumps(explained_as_json(explained, hiding), indent=2))
    else:
        show(explained, hiding)


def add_test(policy: typer.Typer) -> None:
    """Add the verb `test`."""

    @policy.command(epilog="Examples:  mcpgov policy test  ·  mcpgov policy test policies/company.test.yaml --json")
    def test(
        paths: Annotated[
            list[Path] | None, typer.Argument(help="Test files. Default: every *.test.yaml of the policies folder.")
        ] = None,
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """Run the cases beside the policies, and say which elements and branches they reach.

        Exits 1 when a case does not come out as expected, when a file of cases is wrong, and when there is no case.
        """
        snapshot = generation(config)
        places = paths or sorted(snapshot.settings.policies.glob(f"*{ENDING}"))
        coverage = Coverage()
        try:
            results = [result for place in places for result in tested(place, snapshot, coverage)]
        except InvalidConfiguration as invalid:
            typer.echo(str(invalid), err=True)
            raise typer.Exit(1) from None
        if as_json:
            typer.echo(json.dumps(results_as_json(results, coverage), indent=2))
        else:
            show_results(results, coverage)
        if not results or any(result.wrong for result in results):
            raise typer.Exit(1)


def tested(place: Path, snapshot: Snapshot, coverage: Coverage) -> Iterator[Result]:
    """What came of each case of a file. Raises InvalidConfiguration."""
    yield from run_cases(parse_cases(read_text(place), str(place)), snapshot.documents, coverage)


def results_as_json(results: Sequence[Result], coverage: Coverage) -> dict[str, Any]:
    """What came of the cases, for machines."""
    cases = [
        {"name": result.name, "file": result.place.file, "line": result.place.line, "wrong": result.wrong}
        for result in results
    ]
    reached, of = coverage.share
    return {"cases": cases, "reached": reached, "of": of, "missed": coverage.missed}


def show_results(results: Sequence[Result], coverage: Coverage) -> None:
    """One line for each case, more for one that failed, and the coverage."""
    if not results:
        typer.echo(f"There is no test. Write one beside a policy: policies/NAME{ENDING}", err=True)
        return
    for result in results:
        typer.echo(f"{'FAILED' if result.wrong else 'ok    '}  {printable(result.name)}")
        for wrong in result.wrong:
            typer.echo(f"        {printable(f'{result.place.file}:{result.place.line}: {wrong}')}")
    passed = sum(not result.wrong for result in results)
    reached, of = coverage.share
    typer.echo(f"\n{passed} of {len(results)} case{'' if len(results) == 1 else 's'} as expected.")
    typer.echo(f"{reached} of {of} elements and branches reached" + (f" ({100 * reached // of} %)." if of else "."))
    for missed in coverage.missed:
        typer.echo(f"    not reached: {missed}")


def generation(config: Path | None) -> Snapshot:
    """What would be served. Tells every problem and exits 1 where it cannot be."""
    try:
        return load_generation(config, vaults=stand_ins)
    except InvalidConfiguration as invalid:
        typer.echo(str(invalid), err=True)
        raise typer.Exit(1) from None
