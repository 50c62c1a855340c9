"""`mcpgov catalog add`, `import` and `adopt`: write entries, each into a file of its own, commented.

Nothing is written that does not fit with all other files, nothing that is there is changed, and no file holds a secret:
what is one is named as a variable of the environment, and told.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

from mcpgov.catalog.adopt import Clients, adopt, rewritten
from mcpgov.catalog.client_files import NAMESPACE, is_client_file, read_client_file, read_relaxed
from mcpgov.catalog.entries import EntryShape
from mcpgov.catalog.importers import Asked, Found, Page, Refused, from_registry, read_page
from mcpgov.catalog.offer import NotOffered
from mcpgov.catalog.presets import PRESETS, drafted, variables_of
from mcpgov.catalog.server_json import parse_server_json
from mcpgov.catalog.urls import check_url
from mcpgov.catalog.ways import Choice, Draft, free_name, reached, slug
from mcpgov.catalog.withheld import reference, variables
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.catalog_files import Catalog, fitting, load_catalog, write_new
from mcpgov.cli.catalog import FAILED, MISUSED, AsJson, fail
from mcpgov.cli.check import in_columns
from mcpgov.cli.offered import base_of, loaded, offered
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.credential.references import Unfit
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import AuthType
from mcpgov.settings_file import read_text
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mcpgov.catalog.importers import Fetch
    from mcpgov.errors import Problem
    from mcpgov.models import Json


class OpenRegistry(Protocol):
    """Gives what asks registries. Raises InvalidConfiguration."""

    def __call__(self, config: Path | None, *, private: bool) -> Fetch:
        """With `private`, one of one's own too."""
        ...


LIST: Final = "list"
ORDER: Final = ("name", "title", "version", "description", *EntryShape.model_fields)

Var = Annotated[list[str] | None, typer.Option(help="A value that the server needs, NAME=VALUE; may be repeated.")]
Connection = Annotated[str, typer.Option(help="What it is served as: /mcp/CONNECTION. Default: made of its name.")]
Policy = Annotated[list[str] | None, typer.Option(help="A policy of the connections; may be repeated.")]
Private = Annotated[bool, typer.Option("--private", help="Allow plain http, loopback and private addresses.")]


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` was asked for."""

    url: Annotated[str, typer.Argument(help="The URL of an MCP server; none with --preset.")] = ""
    name: Annotated[str, typer.Option(help="Its name in the registry's form, like com.contoso/github.")] = ""
    preset: Annotated[str, typer.Option(help="A well-known server, or `list`.")] = ""
    var: Var = None
    connection: Connection = ""
    auth: Annotated[str, typer.Option(help="How mcpgov signs in: an authType, like CustomKeys.")] = ""
    header: Annotated[list[str] | None, typer.Option(help="With CustomKeys: a header; may be repeated.")] = None
    audience: Annotated[str, typer.Option(help="With a token of Entra: whom it is for.")] = ""
    title: Annotated[str, typer.Option(help="What people call it.")] = ""
    description: Annotated[str, typer.Option(help="What it is for, in up to 100 characters.")] = ""
    publisher: Annotated[str, typer.Option(help="Who offers it.")] = ""
    version: Annotated[str, typer.Option(help="One version.")] = "1.0.0"
    policy: Policy = None
    private: Private = False
    config: Config = None
    as_json: AsJson = False


@dataclass(frozen=True, slots=True)
class Imported:
    """What `import` was asked for."""

    source: Annotated[str, typer.Argument(help="A server.json, a client's mcp.json, or the URL of a registry.")]
    match: Annotated[str, typer.Option(help="Only servers called so; a pattern with * and ?.")] = "*"
    updated_since: Annotated[str, typer.Option(help="Of a registry: only what changed since 2026-11-01T00:00:00Z.")] = (
        ""
    )
    all_versions: Annotated[bool, typer.Option("--all-versions", help="Of a registry: not the latest alone.")] = False
    var: Var = None
    connection: Connection = ""
    namespace: Annotated[str, typer.Option(help="Of an mcp.json: what stands before the /.")] = NAMESPACE
    local: Annotated[bool, typer.Option("--local", help="Allow servers that are started on this machine.")] = False
    policy: Policy = None
    private: Private = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the files instead of writing them.")] = False
    config: Config = None


@dataclass(frozen=True, slots=True)
class Adoption:
    """What `adopt` was asked for."""

    file: Annotated[Path, typer.Argument(help="The JSON of a project connection.")]
    name: Annotated[str, typer.Option(help="Its name in the registry's form. Default: foundry/NAME.")] = ""
    var: Var = None
    connection: Connection = ""
    client_auth: Annotated[str, typer.Option(help="How agents sign in here: an authType.")] = "CustomKeys"
    client_audience: Annotated[str, typer.Option(help="Whom their token is for, like api://GUID.")] = ""
    private: Private = False
    config: Config = None


def add_adding(catalog: typer.Typer, open_registry: OpenRegistry) -> None:
    """Add the verbs that write entries."""
    catalog.command(
        "add",
        epilog="Examples:  mcpgov catalog add https://mcp.contoso.com/mcp --name com.contoso/orders --auth CustomKeys"
        " --header X-Api-Key  ·  mcpgov catalog add --preset github  ·  mcpgov catalog add --preset list"
        "  ·  mcpgov catalog add --preset functions --var app=contoso-tools",
    )(with_options(Added, add))
    catalog.command(
        "import",
        epilog="Examples:  mcpgov catalog import server.json  ·  mcpgov catalog import .vscode/mcp.json --local"
        "  ·  mcpgov catalog import https://registry.contoso.com --match 'com.contoso/*'"
        "  ·  mcpgov catalog import https://center.data.westeurope.azure-apicenter.ms/workspaces/default",
    )(with_options(Imported, lambda wanted: import_(wanted, open_registry)))
    catalog.command(
        "adopt",
        epilog="Examples:  mcpgov catalog adopt connection.json  ·  mcpgov catalog adopt connection.json"
        " --client-auth AgenticIdentityToken --client-audience api://GUID > rewritten.json",
    )(with_options(Adoption, adopt_))


def add(wanted: Added) -> None:
    """Write an entry for a server, by its URL or as one of the platform's well-known ones."""
    if wanted.preset == LIST:
        show_presets(as_json=wanted.as_json)
        return
    read = load_catalog(wanted.config)
    choice = Choice(wanted.connection, wanted.private, False, variables_in(wanted.var), read.connections)
    try:
        kind = auth_type(wanted.auth) if wanted.auth else None
        draft = drafted(wanted.preset, choice, kind, wanted.name) if wanted.preset else by_url(wanted, choice, kind)
    except Unfit as unfit:
        fail(f"{printable(repeated(wanted.preset or wanted.url or '--name'))} {unfit} ({unfit.mend})", MISUSED)
    origin = f"--preset {wanted.preset}" if wanted.preset else wanted.url.partition("?")[0]
    count, refused = keep(read, [governed(draft, wanted.policy)], f"mcpgov catalog add {origin}")
    tell(refused)
    if not count:
        raise typer.Exit(FAILED)


def by_url(wanted: Added, choice: Choice, kind: AuthType | None) -> Draft:
    """The entry of a server that is named by its URL. Raises Unfit."""
    if not wanted.url or not wanted.name:
        raise Unfit("is missing", "say URL --name com.contoso/NAME, or --preset NAME")
    check_url(wanted.url, private=choice.private)
    document: dict[str, Json] = {"name": wanted.name, "title": wanted.title, "version": wanted.version}
    document |= {"description": wanted.description, "publisher": wanted.publisher, "upstream": wanted.url}
    document |= {"private": True} if wanted.private else {}
    connection = choice.connection or free_name(document, choice.taken)
    kind = kind or (AuthType.CUSTOM_KEYS if wanted.header else AuthType.NONE)
    said: dict[str, Json] = {"authType": kind.value}
    if kind is AuthType.OAUTH2:
        raise Unfit(
            "is signed in to with an application of yours", "write its file, with oauth: as docs/catalog.md says"
        )
    if kind is AuthType.CUSTOM_KEYS:
        said["keys"] = {name: key_of(connection, name) for name in wanted.header or ["Authorization"]}
    said |= {"audience": wanted.audience} if wanted.audience else {}
    if "agentIdentity" in choice.variables:
        said["agentIdentity"] = choice.variables["agentIdentity"]
    document["connections"] = {connection: said}
    return Draft({key: value for key, value in document.items() if value != ""})


def key_of(connection: str, header: str) -> str:
    """The reference for a key in a header."""
    scheme = "Bearer " if header.lower() == "authorization" else ""
    return f"{scheme}{reference(connection, header)}"


def import_(wanted: Imported, open_registry: OpenRegistry) -> None:
    """Write an entry for each server of a file or a registry. What is refused is named, and hides no other.

    Sources are a server.json, the mcp.json of VS Code, Claude or Cursor, a registry that speaks the MCP registry's API,
    and an Azure API Center.
    """
    read = load_catalog(wanted.config)
    try:
        page = found_in(wanted, open_registry)
    except Unfit as unfit:
        fail(f"{repeated(wanted.source)} {printable(str(unfit))} ({printable(unfit.mend)})")
    except InvalidConfiguration as invalid:
        fail(printable_lines(str(invalid)))
    known = {f"{entry.name} {entry.version}" for entry in read.entries}
    drafts, refused, taken = list[Draft](), list(page.refused), read.connections
    for one in page.found:
        if not fnmatchcase(one.label.partition(" ")[0], wanted.match):
            continue
        choice = Choice(wanted.connection, wanted.private, wanted.local, variables_in(wanted.var), taken)
        try:
            draft = one.draft(choice)
        except Unfit as unfit:
            refused.append(Refused(one.label, f"{unfit} ({unfit.mend})"))
            continue
        if draft.label in known:
            typer.echo(f"kept   {printable(draft.label)}, which is there already")
            continue
        drafts.append(governed(draft, wanted.policy))
        connections = draft.document["connections"]
        taken |= frozenset(connections) if isinstance(connections, dict) else frozenset()
    count, unfit_ones = keep(read, drafts, f"mcpgov catalog import {wanted.source}", dry_run=wanted.dry_run)
    wrong = [one for one in (*refused, *unfit_ones) if fnmatchcase(one.label.partition(" ")[0], wanted.match)]
    tell(wrong)
    if wrong and not count:
        raise typer.Exit(FAILED)


def found_in(wanted: Imported, open_registry: OpenRegistry) -> Page:
    """What a source lists. Raises Unfit, InvalidConfiguration."""
    if wanted.source.startswith(("https://", "http://")):
        check_url(wanted.source, private=wanted.private)
        asked = Asked(wanted.source, wanted.updated_since, wanted.all_versions)
        return asyncio.run(from_registry(asked, open_registry(wanted.config, private=wanted.private)))
    text = read_text(Path(wanted.source))
    tree = read_relaxed(text)
    if is_client_file(tree):
        return read_client_file(text, wanted.source, wanted.namespace)
    if isinstance(tree, dict) and isinstance(tree.get("servers"), list):
        return read_page(text.encode(), Asked(wanted.source, every=wanted.all_versions))
    document = parse_server_json(text, wanted.source)
    label = f"{document.get('name', '')} {document.get('version', '')}"
    return Page((Found(label, lambda choice: reached(document, choice)),), ())


def adopt_(wanted: Adoption) -> None:
    """Write the entry of a server that a Foundry connection leads to, and print that connection as it leads here."""
    read = load_catalog(wanted.config)
    choice = Choice(wanted.connection, wanted.private, False, variables_in(wanted.var), read.connections)
    try:
        clients = Clients(auth_type(wanted.client_auth), wanted.client_audience)
        adopted = adopt(read_text(wanted.file), choice, clients, wanted.name)
        base_of(read.with_texts({}).settings)
    except (Unfit, InvalidConfiguration, NotOffered) as error:
        mend = f" ({printable(error.mend)})" if isinstance(error, Unfit) else ""
        fail(f"{wanted.file} {printable_lines(str(error))}{mend}")
    count, refused = keep(read, [adopted.draft], f"mcpgov catalog adopt {wanted.file.name}")
    tell(refused)
    if not count:
        raise typer.Exit(FAILED)
    offer = offered(loaded(wanted.config), adopted.connection)
    typer.echo(json.dumps(rewritten(adopted, offer), indent=2))
    if not offer.url.startswith("https://"):
        typer.echo("note: the platform reaches https alone: set public_url in mcpgov.yaml", err=True)
    if clients.auth_type is AuthType.CUSTOM_KEYS:
        key = f"mcpgov keys create NAME --connection {adopted.connection}"
        typer.echo(f"note: put a gateway key in its place: {key}", err=True)


def keep(read: Catalog, drafts: Sequence[Draft], origin: str, *, dry_run: bool = False) -> tuple[int, list[Refused]]:
    """Write those of the entries that fit; how many that are, and what is wrong with the others.

    Ends the verb where it is the files that are there already that are wrong.
    """
    texts: dict[Path, str] = {}
    by_place: dict[str, Draft] = {}
    for draft in drafts:
        place = read.free_place(file_name(draft), texts)
        texts[place] = yaml_text(ordered(draft.document), (f"Written by {origin}", *draft.notes))
        by_place[str(place)] = draft
    try:
        fit, unfit = fitting(read, texts)
    except InvalidConfiguration as invalid:
        fail(f"{printable_lines(str(invalid))}\nNothing was written: this is to be mended first.")
    for place, text in fit.items():
        if dry_run:
            typer.echo(f"# {place}\n{text}")
        else:
            written(place, text, by_place[str(place)])
    return len(fit), [Refused(by_place[str(place)].label, reason(problems)) for place, problems in unfit.items()]


def reason(problems: Iterable[Problem]) -> str:
    """What is wrong with a file that is not there yet, in a line."""
    said = (f"{problem.message} ({problem.mend})" if problem.mend else problem.message for problem in problems)
    return "; ".join(said)


def written(place: Path, text: str, draft: Draft) -> None:
    """Write one file, and say what is to be known of it."""
    try:
        write_new(place, text)
    except OSError as error:
        fail(f"{place} cannot be written: {error.strerror}")
    connections = draft.document.get("connections")
    paths = ", ".join(f"/mcp/{name}" for name in connections) if isinstance(connections, dict) else ""
    typer.echo(f"wrote  {place}: {printable(draft.label)}, served at {printable(paths)}", err=True)
    for note in draft.notes:
        typer.echo(f"note   {printable(note)}", err=True)
    for name in variables(dict(draft.document)):
        if not os.environ.get(name, "").strip():
            typer.echo(f"set    {name}, for mcpgov, before it is served", err=True)


def governed(draft: Draft, policies: Sequence[str] | None) -> Draft:
    """The entry with these policies on each of its connections, in place of none."""
    connections = draft.document.get("connections")
    if not policies or not isinstance(connections, dict):
        return draft
    named: list[Json] = [*policies]
    made: dict[str, Json] = {
        name: {**one, "policies": named} if isinstance(one, dict) and "policies" not in one else one
        for name, one in connections.items()
    }
    return replace(draft, document={**draft.document, "connections": made})


def file_name(draft: Draft) -> str:
    """What its file is called: as its first connection is."""
    connections = draft.document.get("connections")
    return next((slug(name) for name in connections), "server") if isinstance(connections, dict) else "server"


def ordered(document: Mapping[str, Json]) -> dict[str, Json]:
    """The keys in the order of the documentation; a tool that nobody has approved waits for it."""
    said = {"pin": "require", **document}
    return {key: said[key] for key in dict.fromkeys((*ORDER, *said)) if key in said}


def tell(refused: Iterable[Refused]) -> None:
    """Say which servers were refused, and why."""
    for one in refused:
        typer.echo(f"refused {printable(one.label)}: {printable(one.why)}", err=True)


def show_presets(*, as_json: bool) -> None:
    """Print the well-known servers, and what each needs."""
    rows = [
        {
            "preset": name,
            "title": preset.title,
            "url": preset.url,
            "authType": [str(kind) for kind in preset.choices],
            "audience": preset.audience,
            "headers": list(preset.keys),
            "variables": list(variables_of(preset)),
            "notes": list(preset.notes),
        }
        for name, preset in PRESETS.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = [("PRESET", "SERVER", "AUTHTYPE", "NEEDS")]
    for name, preset in PRESETS.items():
        needs = " ".join(f"--var {variable}=…" for variable in variables_of(preset))
        table.append((name, preset.title, " | ".join(preset.choices), needs))
    for line in in_columns(table):
        typer.echo(line)


def auth_type(word: str) -> AuthType:
    """An authType. Raises Unfit."""
    if word not in set(AuthType):
        raise Unfit(f"has no way to sign in that is called {word}", nearest(word, AuthType))
    return AuthType(word)


def variables_in(given: Sequence[str] | None) -> dict[str, str]:
    """NAME=VALUE pairs, or the end of the verb."""
    pairs = [one.partition("=") for one in given or ()]
    for name, equals, _ in pairs:
        if not name or not equals:
            fail(f"--var {repeated(name)} is not NAME=VALUE", MISUSED)
    return {name: value for name, _, value in pairs}


def printable_lines(text: str) -> str:
    """A text of several lines, none of which can do anything to a terminal."""
    return "\n".join(printable(line) for line in text.splitlines())
