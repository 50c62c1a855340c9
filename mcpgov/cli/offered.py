"""The offer of a connection from the files: where the gateway is called, and how callers sign in. For verbs."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mcpgov.cli.printable import repeated
from mcpgov.endpoint.metadata import document
from mcpgov.errors import InvalidConfiguration
from mcpgov.publish.offer import Issuer, NotOffered, Offer, key_header, offer_of
from mcpgov.reload import folders_of, generation_of, load_generation, read_files
from mcpgov.settings_file import stand_ins, stood_in
from mcpgov.stage_settings import public_url_of, resource_metadata
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from mcpgov.errors import Problem
    from mcpgov.settings import Settings
    from mcpgov.snapshot import Snapshot

UNSPECIFIED = frozenset(map(str, (ipaddress.IPv4Address(0), ipaddress.IPv6Address(0))))
FAILED, MISUSED = 1, 2  # exit codes
AGGREGATE = "mcpgov"  # what clients call the server at /mcp


def loaded(config: Path | None) -> Snapshot:
    """What the files say, secrets stood in for. Ends the verb with 1 where they are wrong."""
    try:
        return load_generation(config, stood_in(os.environ), stand_ins)
    except InvalidConfiguration as invalid:
        typer.echo(str(invalid), err=True)
        raise typer.Exit(FAILED) from None


def loaded_in_part(config: Path | None) -> Snapshot:
    """The same without the files of the catalog that are wrong, which are told on stderr: one that waits to be mended
    keeps nobody from being configured for the others. Ends the verb with 1 where it is not the catalog that is wrong.
    """
    reading = read_files(config)
    folder, told = folders_of(reading.place, reading.settings)[0].path, dict["Problem", None]()
    while True:
        try:
            snapshot = generation_of(reading, stood_in(os.environ), stand_ins)
        except InvalidConfiguration as invalid:
            told |= dict.fromkeys(invalid.problems)
            wrong = {Path(problem.file) for problem in invalid.problems}
            left = {place: text for place, text in reading.catalog.items() if place not in wrong}
            unread = tuple(one for one in reading.problems if Path(one.file).parent != folder)
            if len(left) == len(reading.catalog) and unread == reading.problems:
                typer.echo("\n".join(map(str, told)), err=True)
                raise typer.Exit(FAILED) from None
            reading = replace(reading, catalog=left, problems=unread, partial=True)
        else:
            break
    for problem in told:
        typer.echo(f"left out: {problem}", err=True)
    return snapshot


def base_of(settings: Settings) -> str:
    """Where callers reach the gateway. Raises NotOffered where nobody says so."""
    listen = settings.listen
    if not settings.public_url and (listen.port == 0 or listen.host in UNSPECIFIED):
        mend = "add public_url, like https://mcp.contoso.com, to mcpgov.yaml"
        raise NotOffered(f"{listen} is where the gateway listens, and no URL that a client could call", mend)
    return public_url_of(settings)


def offered(snapshot: Snapshot, name: str) -> Offer:
    """The offer of a connection. Raises NotOffered where there is no such connection."""
    connection = snapshot.connections.get(name)
    if connection is None:
        known = snapshot.connections
        mend = nearest(name, known) if known else "add one to the catalog"
        raise NotOffered(f"there is no connection {repeated(name)}", mend)
    settings = snapshot.settings
    return offer_of(connection, base_of(settings), key_header(settings.identity.key_headers), issuer_of(settings, name))


def offered_aggregate(snapshot: Snapshot) -> Offer:
    """The offer of /mcp, where chosen connections are one server. Raises NotOffered where there is none."""
    settings = snapshot.settings
    if settings.aggregate is None:
        raise NotOffered(
            "no connections are one server at /mcp", "name them in mcpgov.yaml: aggregate: {connections: […]}"
        )
    header, members = key_header(settings.identity.key_headers), settings.aggregate.connections
    return Offer(AGGREGATE, f"{base_of(settings)}/mcp", key_header=header, members=members)


def issuer_of(settings: Settings, name: str) -> Issuer | None:
    """Where people sign in who come in through a connection: the first issuer that clients are told of."""
    metadata = resource_metadata(settings)
    if metadata is None:
        return None
    told = document(metadata, name)
    scopes = told.get("scopes_supported")
    wanted = tuple(str(scope) for scope in scopes) if isinstance(scopes, list) else ()
    issuer, entra = metadata.servers[0].issuer, settings.identity.entra
    if entra is None:
        return Issuer(issuer, wanted)
    oauth = f"{entra.authority}/{entra.tenant_id}/oauth2/v2.0"
    return Issuer(issuer, wanted, f"{oauth}/authorize", f"{oauth}/token")


def refused(error: NotOffered) -> typer.Exit:
    """Say what cannot be made; the exit to raise."""
    typer.echo(str(error), err=True)
    return typer.Exit(MISUSED)
