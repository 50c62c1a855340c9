"""`mcpgov catalog publish`: connections into an Azure API Center, where the platform's private tool catalog is read.

With --dry-run the calls are printed and nothing is sent. Otherwise they are made one after the other, as the identity
that `azure:` names, until one is refused.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from mcpgov.arm_caller import CallRefused
from mcpgov.catalog.api_center import Center, Listing, authorization, publishing_calls
from mcpgov.catalog.entries import parse_entry
from mcpgov.catalog.offer import NotOffered, require_https
from mcpgov.cli.offered import FAILED, loaded, offered, refused
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable
from mcpgov.cli.serve import Config
from mcpgov.reload import read_files
from mcpgov.settings_file import lookup_for, stand_ins, stood_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.catalog.arm import Call
    from mcpgov.catalog.entries import Entry
    from mcpgov.identity_settings import Azure
    from mcpgov.settings import Settings
    from mcpgov.snapshot import Snapshot

    OpenCaller = Callable[[Azure], "Caller"]


class Caller(Protocol):
    """Makes calls of Azure Resource Manager."""

    async def make(self, call: Call) -> str:
        """What came of it. Raises CallRefused."""
        ...


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What `publish` may be told."""

    api_center: Annotated[str, typer.Option(help="The name of the API Center, which is the name of the catalog.")]
    subscription: Annotated[str, typer.Option(help="Its subscription.")]
    group: Annotated[str, typer.Option("--resource-group", "-g", help="Its resource group.")]
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="The connections; all of them if none is named.")
    ] = None
    workspace: Annotated[str, typer.Option(help="The workspace in it.")] = "default"
    readers: Annotated[
        list[str] | None, typer.Option(help="The object id of a group that may read the catalog; several times.")
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the calls, and make none.")] = False
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Only with --dry-run, to look at it.")] = False
    config: Config = None


def add_publish(catalog: typer.Typer, open_caller: OpenCaller) -> None:
    """Add the verb `publish`."""

    def publish(options: PublishOptions) -> None:
        """Publish connections to an Azure API Center. Doing it again changes nothing."""
        snapshot = loaded(options.config)
        try:
            listings = listed(snapshot, options)
            center = Center(options.subscription, options.group, options.api_center, options.workspace)
            calls = tuple(publishing_calls(center, listings, options.readers or ()))
            azure = None if options.dry_run else ourselves(snapshot.settings)
        except NotOffered as error:
            raise refused(error) from None
        if azure is None:
            typer.echo(json.dumps([call.described() for call in calls], indent=2))
        else:
            asyncio.run(made(open_caller(azure), calls))
        if hints := [hint for listing in listings if (hint := authorization(listing.offer))]:
            typer.echo("In the portal, under Governance > Authorization, and Manage access of the version:", err=True)
            typer.echo("\n".join(hints), err=True)

    where = "--api-center contoso-tools --subscription ID -g tools"
    example = f"mcpgov catalog publish {where} --dry-run  ·  mcpgov catalog publish github {where} --readers GROUP"
    catalog.command(epilog=f"Examples:  {example}")(with_options(PublishOptions, publish))


def ourselves(settings: Settings) -> Azure:
    """Who mcpgov is in Azure. Raises NotOffered where nobody says so."""
    if settings.azure is None:
        raise NotOffered("nothing says who mcpgov is", "add azure: { tenant_id: … }, or --dry-run")
    return settings.azure


def listed(snapshot: Snapshot, options: PublishOptions) -> list[Listing]:
    """The connections that are named, or all. Raises NotOffered."""
    about = {one.connection.name: entry for entry in entries(options) for one in entry.connections}
    names = options.names or sorted(about)
    listings: list[Listing] = []
    for name in dict.fromkeys(names):
        offer = offered(snapshot, name)
        require_https(offer.url, but=options.allow_http and options.dry_run)
        entry = about[name]
        listings.append(Listing(offer, entry.name, entry.version, entry.title, entry.description))
    return listings


def entries(options: PublishOptions) -> Iterator[Entry]:
    """The entries of the catalog, which was loaded before: what people read is not in a generation."""
    reading = read_files(options.config)
    lookup = lookup_for(reading.settings_text, reading.place, stood_in(os.environ), stand_ins)
    yield from (parse_entry(text, str(place), lookup) for place, text in reading.catalog.items())


async def made(caller: Caller, calls: Sequence[Call]) -> None:
    """Make the calls, and say what came of each; ends the verb with 1 at the first that is refused."""
    for call in calls:
        try:
            outcome = await caller.make(call)
        except CallRefused as error:
            typer.echo(f"refused  {call.path}\n{printable(str(error))}", err=True)
            raise typer.Exit(FAILED) from None
        typer.echo(f"{outcome:<8} {call.path}")
