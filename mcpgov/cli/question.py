"""The request that `mcpgov policy explain` is asked about, made from what was typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mcpgov.cli.printable import repeated
from mcpgov.cli.serve import Config
from mcpgov.errors import Refusal
from mcpgov.identity.client_ip import UNKNOWN, source_address
from mcpgov.models import Era, Headers, Kind, MCPRequest, Principal, PrincipalKind, RequestHead
from mcpgov.policy.context import Context
from mcpgov.strict_json import JsonLimits, dumps, parse
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json
    from mcpgov.snapshot import Snapshot

CALL: Final = "tools/call"
LIST: Final = "tools/list"
ID: Final = "example"  # where a call has its correlation id
_ARGUMENTS: Final = JsonLimits(1 << 20, depth=64, keys=10_000, values=100_000, string=1 << 20)
_TRUTHS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_EXAMPLES: Final[Mapping[PrincipalKind, str]] = {  # whom each kind of caller is known as, where none is named
    **dict.fromkeys(PrincipalKind, "entra:example"),
    PrincipalKind.KEY: "key:example",
    PrincipalKind.ANONYMOUS: "anonymous",
    PrincipalKind.PROBE: "mcpgov:probe",
}


def kind_of(word: str) -> PrincipalKind:
    """The kind of caller that is called so. Raises typer.BadParameter."""
    try:
        return PrincipalKind(word)
    except ValueError:
        message = f"there is no kind of caller {repeated(word)}; {nearest(word, PrincipalKind)}"
        raise typer.BadParameter(message) from None


@dataclass(frozen=True)
class Question:
    """The options of `policy explain`."""

    connection: Annotated[str, typer.Option(help="The connection that the request is made on.")]
    tool: Annotated[str, typer.Option(help="The tool that is called.")] = ""
    method: Annotated[str, typer.Option(help="The MCP method, where no tool is called. Default: tools/list.")] = ""
    principal: Annotated[str, typer.Option(help="The caller's id, and its name. Default: an example of --kind.")] = ""
    project: Annotated[str, typer.Option(help="The caller's project.")] = ""
    kind: Annotated[
        PrincipalKind,
        typer.Option(parser=kind_of, metavar="KIND", help=f"What sort of caller it is: {', '.join(PrincipalKind)}."),
    ] = PrincipalKind.KEY
    agent: Annotated[str, typer.Option(help="The caller's agent id.")] = ""
    blueprint: Annotated[str, typer.Option(help="The blueprint that the calling agent was made from.")] = ""
    role: Annotated[list[str], typer.Option(help="A role in the caller's token; several times.")] = field(
        default_factory=list[str]
    )
    scope: Annotated[list[str], typer.Option(help="A scope in the caller's token; several times.")] = field(
        default_factory=list[str]
    )
    ip: Annotated[str, typer.Option(help="The caller's address.")] = "127.0.0.1"
    header: Annotated[list[str], typer.Option(help="NAME=VALUE; may be given several times.")] = field(
        default_factory=list[str]
    )
    arguments: Annotated[str, typer.Option(help="The arguments of the call, as a JSON object.")] = "{}"
    annotation: Annotated[
        list[str], typer.Option(help="What the server says of the tool: readOnlyHint=true; several times.")
    ] = field(default_factory=list[str])
    config: Config = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False


def context_of(question: Question, snapshot: Snapshot) -> Context:
    """The request that is asked about. Raises typer.BadParameter."""
    name = question.connection
    if name not in snapshot.connections:
        mend = nearest(name, snapshot.connections) if snapshot.connections else "the catalog is empty"
        raise typer.BadParameter(f"there is no connection {repeated(name)} ({mend})")
    method = _method_of(question)
    address = source_address(question.ip, (), ())
    if address == UNKNOWN:
        raise typer.BadParameter(f"--ip: {repeated(question.ip)} is not an address; write one like 10.0.0.7")
    fields = tuple((field.lower(), value) for field, value in map(_pair, question.header))
    head = RequestHead("POST", name, Headers(fields), address, address, datetime.now(UTC), ID)
    arguments = arguments_of(question.arguments)
    if method != CALL and (arguments or question.annotation):
        option = "--arguments" if arguments else "--annotation"
        raise typer.BadParameter(f"{option} belongs to the call of a tool; add --tool NAME, or leave it out")
    params: dict[str, Json] = {"name": question.tool, "arguments": arguments} if method == CALL else {}
    body = dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    request = MCPRequest(head, Era.HANDSHAKE, Kind.REQUEST, "2025-11-25", body, 1, method, question.tool, params)
    caller = caller_of(question)
    return Context(request, caller, snapshot.connection(name, caller))


def caller_of(question: Question) -> Principal:
    """Who makes the request that is asked about."""
    name = question.principal or _EXAMPLES[question.kind]
    return Principal(
        name,
        question.kind,
        name,
        question.project,
        agent_id=question.agent,
        blueprint_id=question.blueprint,
        roles=tuple(question.role),
        scopes=tuple(question.scope),
    )


def _method_of(question: Question) -> str:
    """What is asked for. Raises typer.BadParameter where a tool is named and not called, or called and not named."""
    method = question.method or (CALL if question.tool else LIST)
    if method == CALL and not question.tool:
        raise typer.BadParameter("--method tools/call needs --tool NAME")
    if question.tool and method != CALL:
        raise typer.BadParameter(f"--tool belongs to tools/call; leave out --method {repeated(method)}")
    return method


def arguments_of(text: str) -> Json:
    """The arguments of a call, read as strictly as those of a real one. Raises typer.BadParameter."""
    try:
        arguments = parse(text.encode(), _ARGUMENTS)
    except UnicodeEncodeError:
        raise typer.BadParameter("--arguments: this is not text") from None
    except Refusal as refusal:
        raise typer.BadParameter(f"--arguments: {refusal.message}") from None
    if not isinstance(arguments, dict):
        raise typer.BadParameter("--arguments must be a JSON object, like '{\"id\": 7}'")
    return arguments


def annotations_of(question: Question) -> dict[str, bool]:
    """What the server says of the tool. Raises typer.BadParameter."""
    pairs = dict(map(_pair, question.annotation))
    for name, value in pairs.items():
        if value not in _TRUTHS:
            raise typer.BadParameter(f"--annotation {repeated(name)}: write {repeated(name)}=true or =false")
    return {name: _TRUTHS[value] for name, value in pairs.items()}


def _pair(text: str) -> tuple[str, str]:
    """NAME=VALUE. Raises typer.BadParameter."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{repeated(text)}: write NAME=VALUE")
    return name, value
