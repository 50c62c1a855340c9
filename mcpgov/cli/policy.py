"""`mcpgov policy`: which policies there are, what is wrong with them, what they say to a request, and their tests.

None of the verbs has a rule of its own: they load, compile and evaluate as the gateway does. Nothing is connected to,
no counter is touched.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcpgov.cli.explained import as_json as explained_as_json
from mcpgov.cli.explained import explain_request, show
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, Refusal
from mcpgov.models import Era, Headers, Kind, MCPRequest, Principal, PrincipalKind, RequestHead, Secret
from mcpgov.policy.context import Context
from mcpgov.policy_cases import ENDING, Coverage, Result, parse_cases, run_cases
from mcpgov.policy_files import Linted, lint_policies
from mcpgov.reload import load_generation
from mcpgov.settings import read_text
from mcpgov.strict_json import JsonLimits, parse
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.errors import Problem
    from mcpgov.models import Json
    from mcpgov.snapshot import Snapshot

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ENDINGS: Final = (".yaml", ".yml", ".xml")
ARGUMENTS: Final = JsonLimits(1 << 20, depth=64, keys=10_000, values=100_000, string=1 << 20)


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
        snapshot = generation(config)
        rows = [
            {
                "name": document.name,
                "file": document.file,
                "mode": document.mode,
                "digest": document.digest,
                "elements": sum(len(steps) for steps in document.sections.values()),
                "in_force": [name for name in snapshot.connections if names(snapshot, name, document.file)],
            }
            for document in sorted(snapshot.documents.values(), key=lambda document: document.name)
        ]
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
            return
        for row in rows:
            where = ", ".join(row["in_force"]) or "nowhere"
            report = "  (report)" if row["mode"] == "report" else ""
            typer.echo(f"{row['name']:<28} {row['elements']:>3} elements  in force: {where}{report}")
        if not rows:
            typer.echo("There is no policy. Write one in the policies folder, or copy one from the library.")


def names(snapshot: Snapshot, connection: str, file: str) -> bool:
    """Whether a file's elements are in force on a connection."""
    return any(step.file == file for step in snapshot.policy(connection).all_steps())


def add_lint(policy: typer.Typer) -> None:
    """Add the verb `lint`."""

    @policy.command(
        epilog="Examples:  mcpgov policy lint  ·  mcpgov policy lint ./apim-policies  ·  mcpgov policy lint a.xml --json"
    )
    def lint(
        paths: Annotated[
            list[Path] | None, typer.Argument(help="Files, or folders with .xml and .yaml. Default: ./policies.")
        ] = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """Say of each file whether it loads, what it needs if not, and what API Management would do otherwise.

        Exits 1 when a file does not load. Named values and fragments are taken as given if the files do not have them.
        """
        texts, unread = policy_texts(paths or [Path("policies")])
        if not texts and not unread:
            typer.echo("There is no .xml or .yaml file here. Name a file or a folder.", err=True)
            raise typer.Exit(1)
        linted = list(lint_policies(texts, AnyValue()))
        if as_json:
            typer.echo(json.dumps([described(file) for file in linted], indent=2))
        else:
            show_linted(linted)
        for problem in unread:
            typer.echo(str(problem), err=True)
        if unread or any(file.problems for file in linted):
            raise typer.Exit(1)


class AnyValue:
    """Named values and references of which only the name is known: what a file alone can be checked with."""

    def named(self, _name: str) -> str | Secret | None:
        """Some text."""
        return "value"

    def resolve(self, _reference: str) -> Secret:
        """Some text. Never raises."""
        return Secret("value")


def policy_texts(paths: Sequence[Path]) -> tuple[dict[Path, str], list[Problem]]:
    """The text of every policy file below `paths`, and what cannot be read."""
    texts: dict[Path, str] = {}
    unread: list[Problem] = []
    for path in sorted({place for one in paths for place in below(one)}):
        try:
            texts[path] = read_text(path)
        except InvalidConfiguration as invalid:
            unread += invalid.problems
    return texts, unread


def below(path: Path) -> Iterator[Path]:
    """The policy files in a folder and those below it; a file itself, whatever its name."""
    if not path.is_dir():
        yield path
        return
    for folder, _, files in os.walk(path):
        wanted = (name for name in files if name.endswith(ENDINGS) and not name.endswith(ENDING))
        yield from (Path(folder, name) for name in wanted)


def described(file: Linted) -> dict[str, Any]:
    """One file, for machines."""
    remarks = file.document.remarks if file.document else ()
    return {
        "file": file.file,
        "loads": not file.problems,
        "problems": [asdict(problem) for problem in file.problems],
        "remarks": [asdict(problem) for problem in (*([file.misnamed] if file.misnamed else []), *remarks)],
    }


def show_linted(linted: Sequence[Linted]) -> None:
    """One block for each file, and how many load."""
    for file in linted:
        kind = "fragment, read where it is included" if file.is_fragment else "loads"
        typer.echo(f"{printable(file.file)}: {'does not load' if file.problems else kind}")
        for problem in file.problems:
            typer.echo(f"    needs   {printable(str(problem))}")
        notes = ([file.misnamed] if file.misnamed else []) + list(file.document.remarks if file.document else ())
        for problem in notes:
            typer.echo(f"    differs {printable(str(problem))}")
    good = sum(not file.problems for file in linted)
    typer.echo(f"\n{good} of {len(linted)} file{'s' if len(linted) > 1 else ''} load{'' if good > 1 else 's'}.")


@dataclass(frozen=True)
class Question:
    """The options of `policy explain`."""

    connection: Annotated[str, typer.Option(help="The connection that the request is made on.")]
    tool: Annotated[str, typer.Option(help="The tool that is called.")] = ""
    method: Annotated[str, typer.Option(help="The MCP method, where no tool is called: tools/list, …")] = ""
    principal: Annotated[str, typer.Option(help="The caller's id, or its name.")] = "key:example"
    project: Annotated[str, typer.Option(help="The caller's project.")] = ""
    ip: Annotated[str, typer.Option(help="The caller's address.")] = "127.0.0.1"
    header: Annotated[list[str], typer.Option(help="NAME=VALUE; may be given several times.")] = field(
        default_factory=list[str]
    )
    arguments: Annotated[str, typer.Option(help="The arguments of the call, as a JSON object.")] = "{}"
    annotation: Annotated[
        list[str], typer.Option(help="What the server says of the tool: readOnlyHint=true; several times.")
    ] = field(default_factory=list[str])
    config: Config = None
    as_json: AsJson = False


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
    if question.connection not in snapshot.connections:
        mend = nearest(question.connection, snapshot.connections) if snapshot.connections else "the catalog is empty"
        raise typer.BadParameter(f"there is no connection {repeated(question.connection)} ({mend})")
    annotations = {name: value == "true" for name, value in map(pair, question.annotation)}
    explained = explain_request(snapshot.policy(question.connection), context_of(question, snapshot), annotations)
    if question.as_json:
        typer.echo(json.dumps(explained_as_json(explained, snapshot.secrets), indent=2))
    else:
        show(explained, snapshot.secrets)


def context_of(question: Question, snapshot: Snapshot) -> Context:
    """The request that is asked about. Raises typer.BadParameter."""
    fields = tuple((name.lower(), value) for name, value in map(pair, question.header))
    name, address = question.connection, question.ip
    head = RequestHead("POST", name, Headers(fields), address, address, datetime.now(UTC), "example")
    method = question.method or ("tools/call" if question.tool else "tools/list")
    params: dict[str, Json] = {}
    if method == "tools/call":
        params = {"name": question.tool, "arguments": arguments_of(question.arguments)}
    tool = question.tool if method == "tools/call" else ""
    request = MCPRequest(head, Era.HANDSHAKE, Kind.REQUEST, "2025-11-25", b"", 1, method, tool, params)
    caller = Principal(question.principal, PrincipalKind.KEY, question.principal, question.project)
    return Context(request, caller, snapshot.connection(name))


def arguments_of(text: str) -> Json:
    """The arguments of a call, read as strictly as those of a real one. Raises typer.BadParameter."""
    try:
        arguments = parse(text.encode(), ARGUMENTS)
    except Refusal as refusal:
        raise typer.BadParameter(f"--arguments: {refusal.message}") from None
    if not isinstance(arguments, dict):
        raise typer.BadParameter("--arguments must be a JSON object, like '{\"id\": 7}'")
    return arguments


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE. Raises typer.BadParameter."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{repeated(text)}: write NAME=VALUE")
    return name, value


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
        """Run the cases beside the policies, and say which elements and branches they reach. Exits 1 on a failure."""
        snapshot = generation(config)
        places = paths or sorted(snapshot.settings.policies.glob(f"*{ENDING}"))
        coverage, results = Coverage(), list[Result]()
        try:
            for place in places:
                cases = parse_cases(read_text(place), str(place))
                results += run_cases(cases, snapshot.documents, coverage)
        except InvalidConfiguration as invalid:
            typer.echo(str(invalid), err=True)
            raise typer.Exit(1) from None
        if as_json:
            reached, of = coverage.share
            cases_ = [{"name": result.name, "wrong": result.wrong} for result in results]
            summary = {"cases": cases_, "reached": reached, "of": of, "missed": coverage.missed}
            typer.echo(json.dumps(summary, indent=2))
        else:
            show_results(results, coverage)
        if not results or any(result.wrong for result in results):
            raise typer.Exit(1)


def show_results(results: Sequence[Result], coverage: Coverage) -> None:
    """One line for each case, more for one that failed, and the coverage."""
    if not results:
        typer.echo(f"There is no test. Write one beside a policy: policies/NAME{ENDING}")
        return
    for result in results:
        typer.echo(f"{'FAILED' if result.wrong else 'ok    '}  {printable(result.name)}")
        for wrong in result.wrong:
            typer.echo(f"        {result.place.file}:{result.place.line}: {printable(wrong)}")
    failed = sum(1 for result in results if result.wrong)
    reached, of = coverage.share
    typer.echo(f"\n{len(results) - failed} of {len(results)} as expected.")
    typer.echo(f"{reached} of {of} elements and branches reached" + (f" ({100 * reached // of} %)." if of else "."))
    for missed in coverage.missed:
        typer.echo(f"    not reached: {missed}")


def generation(config: Path | None) -> Snapshot:
    """What would be served. Tells every problem and exits 1 where it cannot be."""
    try:
        return load_generation(config)
    except InvalidConfiguration as invalid:
        typer.echo(str(invalid), err=True)
        raise typer.Exit(1) from None
