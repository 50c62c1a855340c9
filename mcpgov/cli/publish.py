"""`mcpgov catalog publish`: connections into an Azure API Center, where the platform's private tool catalog is read.

With --dry-run the calls are printed and nothing is sent. Otherwise they are made one after the other, as the identity
that `azure:` names, until one is refused; the ledger says before and after who did that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcpgov.cli.offered import FAILED, loaded, offered, refused
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable
from mcpgov.cli.serve import Config
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.publish.api_center import Center, Listing, authorization
from mcpgov.publish.offer import NotOffered, require_https
from mcpgov.publish.publishing import Publication, Publishing, Stopped
from mcpgov.publish.retiring import Past

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcpgov.audit.record import ControlRecord
    from mcpgov.catalog.listed import Listed
    from mcpgov.identity_settings import Azure
    from mcpgov.publish.arm import Call
    from mcpgov.publish.publishing import Caller
    from mcpgov.settings import Settings
    from mcpgov.snapshot import Snapshot

    OpenCaller = Callable[[Azure], Caller]
    Write = Callable[[ControlRecord], Awaitable[None]]
    OpenNotes = Callable[[Path | None], AbstractAsyncContextManager[Write]]


@frozen
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


def add_publish(catalog: typer.Typer, open_caller: OpenCaller, open_notes: OpenNotes) -> None:
    """Add the verb `publish`."""

    def publish(options: PublishOptions) -> None:
        """Publish connections to an Azure API Center. Doing it again changes nothing."""
        snapshot = loaded(options.config)
        try:
            publication = chosen(snapshot, options)
            calls = tuple(publication.supposed())
            azure = None if options.dry_run else ourselves(snapshot.settings)
        except NotOffered as error:
            raise refused(error) from None
        if azure is None:
            typer.echo(json.dumps([call.described() for call in calls], indent=2))
            typer.echo("What else the API Center still has of these is retired as well: GET asks for it.", err=True)
        else:
            published(publication, open_caller(azure), open_notes, options.config)
        if hints := [hint for listing in publication.listings if (hint := authorization(listing.offer))]:
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


def chosen(snapshot: Snapshot, options: PublishOptions) -> Publication:
    """The connections that are named, or all: what is served, and what is known of what was. Raises NotOffered."""
    served: dict[str, Listed] = {}
    deleted: dict[str, list[str]] = {}
    for one in snapshot.registry:
        for way in one.ways:
            if one.deleted:
                deleted.setdefault(way.connection, []).append(one.version)
            else:
                served[way.connection] = one
    names = tuple(dict.fromkeys(options.names or sorted({*served, *deleted})))
    for name in names:
        if name not in served and name not in deleted:
            offered(snapshot, name)  # which says what there is
    listings = tuple(listing(snapshot, name, served[name], options) for name in names if name in served)
    versions = {name: tuple(dict.fromkeys(deleted.get(name, ()))) for name in names}
    past = tuple(Past(name, versions[name], served[name].version if name in served else "") for name in names)
    center = Center(options.subscription, options.group, options.api_center, options.workspace)
    return Publication(center, listings, past, tuple(options.readers or ()))


def listing(snapshot: Snapshot, name: str, one: Listed, options: PublishOptions) -> Listing:
    """A connection as it is published. Raises NotOffered."""
    offer = offered(snapshot, name)
    require_https(offer.url, but=options.allow_http and options.dry_run)
    said = json.loads(one.document)
    return Listing(offer, one.name, one.version, one.title, said["description"], one.status)


def published(publication: Publication, caller: Caller, open_notes: OpenNotes, config: Path | None) -> None:
    """Publish, and say what came of each call. Ends the verb with 1 where one is refused, or cannot be recorded."""

    async def publish() -> None:
        async with open_notes(config) as write:
            await Publishing(caller, write, lambda: datetime.now(UTC)).publish(publication, told)

    try:
        asyncio.run(publish())
    except Stopped as stopped:
        typer.echo(f"refused  {stopped.path}\n{printable(str(stopped))}", err=True)
        raise typer.Exit(FAILED) from None
    except StoreUnavailable as error:
        typer.echo(f"The ledger cannot be written to: {error}", err=True)
        raise typer.Exit(FAILED) from None


def told(outcome: str, call: Call) -> None:
    """Say what came of a call."""
    typer.echo(f"{outcome:<8} {call.path}")
