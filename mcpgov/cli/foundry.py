"""`mcpgov foundry`: what Microsoft Foundry is told of a connection, and the policy that keeps its projects here.

What can be redirected into a file is on stdout, what to do with it on stderr. Nothing is sent anywhere.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mcpgov.cli.offered import FAILED, base_of, loaded_in_part, offered, refused
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.policy.glob import is_tool_name
from mcpgov.publish.azure_policy import policy_definition
from mcpgov.publish.foundry import Project, Tool, agent_yaml, bicep, connection_body, connection_call, tool_definition
from mcpgov.publish.offer import NotOffered, require_https
from mcpgov.publish.shown_tools import shown_tools
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mcpgov.cli.connections import OpenProbe
    from mcpgov.probe import ProbeResult
    from mcpgov.publish.offer import Offer

UNKNOWN = Project()
Name = Annotated[str, typer.Argument(metavar="NAME", help="The connection, as in /mcp/NAME.")]
Http = Annotated[
    bool, typer.Option("--allow-http", help="Only to look at it: the platform calls https and nothing else.")
]
Approval = Literal["auto", "always", "never"]


@frozen
class ConnectionOptions:
    """What `connection` may be told."""

    name: Name
    subscription: Annotated[str, typer.Option(help="The subscription of the project.")] = UNKNOWN.subscription
    group: Annotated[str, typer.Option("--resource-group", "-g", help="Its resource group.")] = UNKNOWN.group
    account: Annotated[str, typer.Option(help="The Foundry resource.")] = UNKNOWN.account
    project: Annotated[str, typer.Option(help="The project.")] = UNKNOWN.project
    arm: Annotated[bool, typer.Option("--arm", help="Print method, URL and body of the call as JSON.")] = False
    allow_http: Http = False
    config: Config = None

    @property
    def place(self) -> Project:
        """The project."""
        return Project(self.subscription, self.group, self.account, self.project)


@frozen
class ToolOptions:
    """What `tool` and `agent-yaml` may be told."""

    name: Name
    tools: Annotated[str, typer.Option(help="The tools that the agent may use: a,b,c.")] = ""
    from_server: Annotated[
        bool, typer.Option("--from-server", help="Ask the server, through the gateway, which tools there are.")
    ] = False
    approval: Annotated[
        Approval, typer.Option("--require-approval", help="For every tool; auto: none for those that only read.")
    ] = "auto"
    connection_id: Annotated[
        str, typer.Option(help="The resource id of the project connection, which the REST API wants; else its name.")
    ] = ""
    allow_http: Http = False
    config: Config = None


def build_foundry(open_probe: OpenProbe) -> typer.Typer:
    """The sub-commands of `mcpgov foundry`."""
    foundry = typer.Typer(no_args_is_help=True, help="Microsoft Foundry: connections, tools and the policy, generated.")
    add_connection(foundry)
    add_tool(foundry, open_probe)
    add_bicep(foundry)
    add_policy(foundry)
    return foundry


def add_connection(foundry: typer.Typer) -> None:
    """Add the verb `connection`."""

    def connection(options: ConnectionOptions) -> None:
        """Print the project connection whose target is the gateway, and the call that makes it."""
        try:
            offer = on_https(offered(loaded_in_part(options.config), options.name), but=options.allow_http)
            call = connection_call(offer, options.place)
        except NotOffered as error:
            raise refused(error) from None
        if options.arm:
            typer.echo(json.dumps(call.described(), indent=2))
            return
        typer.echo(json.dumps(connection_body(offer), indent=2))
        typer.echo(f"{call.method} {call.url}\n{call.typed(f'{offer.name}.json')}", err=True)
        if "<" in json.dumps(connection_body(offer)):
            typer.echo(
                "Fill in what stands in <…>. Whoever may read the project may read it, so keep it narrow.", err=True
            )
        if offer.auth is AuthType.OAUTH2:
            typer.echo(
                "A connection with OAuth2 can be made, and not changed: delete one that is there first.", err=True
            )

    example = "mcpgov foundry connection github > github.json  ·  mcpgov foundry connection github --arm"
    foundry.command(epilog=f"Examples:  {example}")(with_options(ConnectionOptions, connection))


def add_tool(foundry: typer.Typer, open_probe: OpenProbe) -> None:
    """Add the verbs `tool` and `agent-yaml`."""

    def tool(options: ToolOptions) -> None:
        """Print the MCP tool of an agent: which tools it may use, and which calls a person has to approve."""
        offer, tools = asked(open_probe, options)
        wanted = None if options.approval == "auto" else options.approval
        made = tool_definition(offer, options.connection_id or offer.name, tools, wanted)
        typer.echo(json.dumps(made, indent=2))

    def agent(options: ToolOptions) -> None:
        """Print the resources of an agent.yaml: the connection, and a toolbox with the tool."""
        offer, tools = asked(open_probe, options)
        typer.echo(agent_yaml(offer, tools, None if options.approval == "auto" else options.approval).rstrip("\n"))

    example = "mcpgov foundry tool github --tools get_me,list_issues  ·  mcpgov foundry tool github --from-server"
    foundry.command(epilog=f"Examples:  {example}")(with_options(ToolOptions, tool))
    example = "mcpgov foundry agent-yaml github --from-server"
    foundry.command("agent-yaml", epilog=f"Example:  {example}")(with_options(ToolOptions, agent))


def add_bicep(foundry: typer.Typer) -> None:
    """Add the verb `bicep`."""

    @foundry.command("bicep", epilog="Example:  mcpgov foundry bicep github > github.bicep")
    def bicep_(name: Name, config: Config = None, *, allow_http: Http = False) -> None:
        """Print a Bicep module that makes the project connection; its key is a secure parameter."""
        try:
            typer.echo(bicep(on_https(offered(loaded_in_part(config), name), but=allow_http)).rstrip("\n"))
        except NotOffered as error:
            raise refused(error) from None


def add_policy(foundry: typer.Typer) -> None:
    """Add the verb `policy`."""

    @foundry.command(
        epilog="Example:  mcpgov foundry policy > policy.json  ·"
        "  mcpgov foundry policy --gateway https://eu.mcp.contoso.com"
    )
    def policy(
        gateway: Annotated[
            list[str] | None, typer.Option(help="Another gateway that connections may lead to; several times.")
        ] = None,
        config: Config = None,
        *,
        hubs: Annotated[bool, typer.Option(help="Whether hub-based projects are bound as well.")] = True,
        allow_http: Http = False,
    ) -> None:
        """Print the Azure Policy that denies project connections whose target is not this gateway."""
        try:
            gateways = [base_of(loaded_in_part(config).settings), *(gateway or ())]
            made = policy_definition(gateways, hubs=hubs, allow_http=allow_http)
        except NotOffered as error:
            raise refused(error) from None
        typer.echo(json.dumps(made, indent=2))
        where = "https://management.azure.com/subscriptions/{subscription}"
        url = f"{where}/providers/Microsoft.Authorization/policyDefinitions/mcp-gateway-only?api-version=2023-04-01"
        typer.echo(f"az rest --method put --url '{url}' --body @policy.json", err=True)


def on_https(offer: Offer, *, but: bool) -> Offer:
    """The offer, if the platform would call it. Raises NotOffered."""
    require_https(offer.url, but=but)
    return offer


def asked(open_probe: OpenProbe, options: ToolOptions) -> tuple[Offer, list[Tool] | None]:
    """The offer and its tools, from where the options say; ends the verb where that cannot be had."""
    snapshot = loaded_in_part(options.config)
    try:
        offer = on_https(offered(snapshot, options.name), but=options.allow_http)
    except NotOffered as error:
        raise refused(error) from None
    if options.from_server:
        return offer, chosen(on_server(open_probe, options), options.tools)
    shown = shown_tools(snapshot.policy(options.name))
    if options.tools:
        for name in split(options.tools):
            if shown is not None and name not in shown:
                mend = printable(nearest(name, shown))
                typer.echo(f"note: the policies show no tool {printable(name)}: {mend}", err=True)
        return offer, [Tool(name) for name in split(options.tools)]
    if shown is None:
        said = "No allowed_tools: the policies do not name each tool. Add --tools a,b or --from-server; without them"
        typer.echo(f"{said} the agent sees what the gateway shows it.", err=True)
        return offer, None
    return offer, [Tool(name) for name in shown]


def on_server(open_probe: OpenProbe, options: ToolOptions) -> list[Tool]:
    """What the server lists to the probe, through the gateway and its policies. Ends the verb with 1 on failure."""
    try:
        result = asyncio.run(listed(open_probe, options.config, options.name))
    except (InvalidConfiguration, StoreUnavailable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None
    if result.problem is not None:
        typer.echo(f"{printable(result.problem.what)} ({printable(result.problem.mend)})", err=True)
        raise typer.Exit(FAILED)
    for name in result.tools:
        if not is_tool_name(name):  # a template of the platform, or the like, and not what MCP allows
            typer.echo(f"left out: {printable(name)} is no name of a tool", err=True)
    return [
        Tool(name, result.annotations.get(name, {}).get("readOnlyHint")) for name in result.tools if is_tool_name(name)
    ]


async def listed(open_probe: OpenProbe, config: Path | None, name: str) -> ProbeResult:
    """The tools of a connection."""
    async with open_probe(config) as probe:
        return await probe.test(name)


def chosen(tools: Sequence[Tool], names: str) -> list[Tool]:
    """Those of the tools that are named; all of them where none is. Ends the verb where one is not there."""
    wanted = split(names)
    known = {tool.name: tool for tool in tools}
    if missing := [name for name in wanted if name not in known]:
        for name in missing:
            typer.echo(f"The server shows no tool {printable(name)}: {printable(nearest(name, known))}", err=True)
        raise typer.Exit(FAILED)
    return [known[name] for name in wanted] if wanted else list(tools)


def split(names: str) -> list[str]:
    """a,b,c as a list, each once."""
    return list(dict.fromkeys(name for name in (part.strip() for part in names.split(",")) if name))
