"""`mcpgov catalog add`, `import` and `adopt`: write entries, each into a file of its own, commented.

Nothing is written that does not fit with all other files, nothing that is there is changed, and no file holds a secret:
what is one is named as a variable of the environment, and told.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

from mcpgov.catalog.adopt import Clients, adopt, rewritten
from mcpgov.catalog.client_files import NAMESPACE, is_client_file, read_client_file, read_relaxed
from mcpgov.catalog.importers import Asked, Found, Page, Refused, from_registry, read_page
from mcpgov.catalog.listed import OURS
from mcpgov.catalog.newcomers import Newcomers
from mcpgov.catalog.presets import PRESETS, drafted, variables_of
from mcpgov.catalog.server_json import STAMP, parse_server_json
from mcpgov.catalog.urls import check_url
from mcpgov.catalog.ways import Choice, Draft, free_name, reached
from mcpgov.catalog.withheld import reference
from mcpgov.catalog_files import load_catalog
from mcpgov.cli.catalog import FAILED, MISUSED, AsJson, fail
from mcpgov.cli.catalog_write import governed, keep, mended, printable_lines, shown, tell
from mcpgov.cli.check import in_columns
from mcpgov.cli.offered import base_of, loaded, offered
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.credential.references import Unfit
from mcpgov.errors import InvalidConfiguration
from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.publish.offer import NotOffered
from mcpgov.settings_file import read_text
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.catalog.importers import Fetch
    from mcpgov.models import Json


class OpenRegistry(Protocol):
    """Gives what asks registries. Raises InvalidConfiguration."""

    def __call__(self, config: Path | None, *, private: bool) -> Fetch:
        """With `private`, one of one's own too."""
        ...


LIST: Final = "list"
INTERRUPTED: Final = 130  # exit code: 128 + SIGINT
URL_ONLY: Final = ("header", "audience", "title", "description", "publisher", "version")  # a preset says these itself
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110 section 5.6.2)

Var = Annotated[list[str] | None, typer.Option(help="A value that the server needs, NAME=VALUE; may be repeated.")]
Connection = Annotated[str, typer.Option(help="What it is served as: /mcp/CONNECTION. Default: made of its name.")]
Policy = Annotated[list[str] | None, typer.Option(help="A policy of the connections; may be repeated.")]
Private = Annotated[bool, typer.Option("--private", help="Allow plain http, loopback and private addresses.")]
Tokens = Annotated[bool, typer.Option("--tokens", help="Allow that it is sent the tokens that it says.")]
OtherHost = Annotated[
    bool, typer.Option("--other-host", help="Allow a version of a server that leads elsewhere than those before.")
]


@frozen
class Added:
    """What `add` was asked for."""

    url: Annotated[str, typer.Argument(help="The URL of an MCP server; none with --preset.")] = ""
    name: Annotated[str, typer.Option(help="Its name in the registry's form, like com.contoso/github.")] = ""
    preset: Annotated[str, typer.Option(help="A well-known server, or `list`.")] = ""
    var: Var = None
    connection: Connection = ""
    auth: Annotated[str, typer.Option(help="How mcpgov signs in: an authType, like CustomKeys.")] = ""
    header: Annotated[
        list[str] | None, typer.Option(help="With CustomKeys: the name of a header; may be repeated.")
    ] = None
    audience: Annotated[str, typer.Option(help="With a token of Entra: whom it is for.")] = ""
    title: Annotated[str, typer.Option(help="What people call it.")] = ""
    description: Annotated[str, typer.Option(help="What it is for, in up to 100 characters.")] = ""
    publisher: Annotated[str, typer.Option(help="Who offers it.")] = ""
    version: Annotated[str, typer.Option(help="One version. Default: 1.0.0.")] = ""
    policy: Policy = None
    private: Private = False
    other_host: OtherHost = False
    config: Config = None
    as_json: AsJson = False


@frozen
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
    own: Annotated[
        bool, typer.Option("--own", help="Of a server.json that mcpgov exported for you: all that it says.")
    ] = False
    policy: Policy = None
    private: Private = False
    other_host: OtherHost = False
    tokens: Tokens = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the files instead of writing them.")] = False
    config: Config = None


@frozen
class Adoption:
    """What `adopt` was asked for."""

    file: Annotated[Path, typer.Argument(help="The JSON of a project connection.")]
    name: Annotated[str, typer.Option(help="Its name in the registry's form. Default: foundry/NAME.")] = ""
    var: Var = None
    connection: Connection = ""
    client_auth: Annotated[str, typer.Option(help="How agents sign in here: an authType.")] = "CustomKeys"
    client_audience: Annotated[str, typer.Option(help="Whom their token is for, like api://GUID.")] = ""
    tokens: Tokens = False
    private: Private = False
    other_host: OtherHost = False
    config: Config = None


def add_adding(catalog: typer.Typer, open_registry: OpenRegistry) -> None:
    """Add the verbs that write entries."""

    def import_each(wanted: Imported) -> None:
        """Write an entry for each server of a server.json, an mcp.json, a registry or an Azure API Center.

        What is refused is named with its reason, and hides no other.
        """
        import_(wanted, open_registry)

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
    )(with_options(Imported, import_each))
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
    if not wanted.preset and not (wanted.url and wanted.name):
        missing = "--name" if wanted.url else "The URL"
        fail(f"{missing} is missing (say URL --name com.contoso/NAME, or --preset NAME)", MISUSED)
    read = load_catalog(wanted.config)
    choice = Choice(wanted.connection, wanted.private, False, variables_in(wanted.var), read.connections)
    try:
        kind = auth_type(wanted.auth) if wanted.auth else None
        draft = by_preset(wanted, choice, kind) if wanted.preset else by_url(wanted, choice, kind)
        let_in(Newcomers(read.entries, other_host=wanted.other_host), draft, versions=not wanted.preset)
    except Unfit as unfit:
        fail(f"{shown(wanted.preset or wanted.url)} {printable(str(unfit))} ({printable(mended(unfit))})", MISUSED)
    origin = f"--preset {wanted.preset}" if wanted.preset else shown(wanted.url)
    count, refused = keep(read, [governed(draft, wanted.policy)], f"mcpgov catalog add {origin}")
    tell(refused)
    if not count:
        raise typer.Exit(FAILED)


def let_in(newcomers: Newcomers, draft: Draft, *, versions: bool) -> None:
    """Raise Unfit unless a draft may stand beside what is there. `versions`: there is an option for its version."""
    if newcomers.has(draft.document):
        mend = "say --name com.contoso/NAME for another server"
        mend += ", or --version for another version of this one" if versions else ""
        raise Unfit(f"is in the catalog already, as {draft.label}", mend)
    newcomers.let_in(draft.document)


def by_preset(wanted: Added, choice: Choice, kind: AuthType | None) -> Draft:
    """The entry of a well-known server. Raises Unfit."""
    if unused := ["URL"] * bool(wanted.url) + [f"--{name}" for name in URL_ONLY if getattr(wanted, name)]:
        raise Unfit(f"is a preset, which goes without {', '.join(unused)}", "leave it out, and edit what is written")
    return drafted(wanted.preset, choice, kind, wanted.name)


def by_url(wanted: Added, choice: Choice, kind: AuthType | None) -> Draft:
    """The entry of a server that is named by its URL. Raises Unfit."""
    check_url(wanted.url, private=choice.private)
    document: dict[str, Json] = {"name": wanted.name, "title": wanted.title, "version": wanted.version or "1.0.0"}
    document |= {"description": wanted.description, "publisher": wanted.publisher, "upstream": wanted.url}
    document |= {"private": True} if wanted.private else {}
    connection = choice.connection or free_name(document, choice.taken)
    kind = kind or (AuthType.CUSTOM_KEYS if wanted.header else AuthType.NONE)
    said: dict[str, Json] = {"authType": kind.value}
    if wanted.header and kind is not AuthType.CUSTOM_KEYS:
        raise Unfit(f"is sent no --header with --auth {kind}", "leave one of the two out")
    if not all(map(_HEADER.fullmatch, wanted.header or ())):  # which is not repeated: a key may stand in it
        said_so = "say its name alone, like --header X-Api-Key: its value becomes a variable of the environment"
        raise Unfit("is to be sent a --header that is not the name of one", said_so)
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
    """Write an entry for each server of a file or a registry."""
    read = load_catalog(wanted.config)
    try:
        page = found_in(wanted, open_registry)
    except Unfit as unfit:
        fail(f"{shown(wanted.source)} {printable(str(unfit))} ({printable(mended(unfit))})")
    except InvalidConfiguration as invalid:
        fail(printable_lines(str(invalid)))
    newcomers = Newcomers(read.entries, other_host=wanted.other_host)
    drafts, refused, taken = list[Draft](), list(page.refused), read.connections
    for one in page.found:
        if not fnmatchcase(one.label.partition(" ")[0], wanted.match):
            continue
        choice = Choice(wanted.connection, wanted.private, wanted.local, variables_in(wanted.var), taken, wanted.tokens)
        try:
            draft = one.draft(choice)
            if newcomers.has(draft.document):
                typer.echo(f"kept   {printable(draft.label)}, which is there already")
                continue
            newcomers.let_in(draft.document)
        except Unfit as unfit:
            refused.append(Refused(one.label, f"{unfit} ({mended(unfit)})"))
            continue
        drafts.append(governed(draft, wanted.policy))
        connections = draft.document["connections"]
        taken |= frozenset(connections) if isinstance(connections, dict) else frozenset()
    count, unfit_ones = keep(read, drafts, f"mcpgov catalog import {shown(wanted.source)}", dry_run=wanted.dry_run)
    wrong = [one for one in (*refused, *unfit_ones) if fnmatchcase(one.label.partition(" ")[0], wanted.match)]
    tell(wrong)
    if wrong and not count:
        raise typer.Exit(FAILED)


def found_in(wanted: Imported, open_registry: OpenRegistry) -> Page:
    """What a source lists. Raises Unfit, InvalidConfiguration."""
    if wanted.source.startswith(("https://", "http://")):
        check_url(wanted.source, private=wanted.private)
        asked = Asked(wanted.source, wanted.updated_since, wanted.all_versions)
        fetch = with_progress(open_registry(wanted.config, private=wanted.private))
        try:
            return asyncio.run(from_registry(asked, fetch))
        except KeyboardInterrupt:
            fail("\nStopped. Nothing was written.", INTERRUPTED)
    text = read_text(Path(wanted.source))
    tree = read_relaxed(text)
    if is_client_file(tree):
        return read_client_file(text, wanted.source, wanted.namespace)
    if isinstance(tree, dict) and isinstance(tree.get("servers"), list):
        return read_page(text.encode(), Asked(wanted.source, every=wanted.all_versions))
    return Page((of_server_json(text, wanted, tree),), ())


def with_progress(fetch: Fetch) -> Fetch:
    """The same, which tells somebody at a terminal that it goes on."""
    if not sys.stderr.isatty():
        return fetch
    pages = itertools.count(1)

    async def told(url: str) -> bytes:
        read = await fetch(url)
        typer.echo(f"\rread   {next(pages)} pages", err=True, nl=False)
        return read

    return told


def of_server_json(text: str, wanted: Imported, tree: Json) -> Found:
    """The server of a server.json. What it says of our own keys may be a stranger's, and is taken over with --own."""
    document = parse_server_json(text, wanted.source, ours=wanted.own)
    meta = tree.get("_meta") if isinstance(tree, dict) else None
    ours = meta.get(OURS) if isinstance(meta, dict) else None
    left = isinstance(ours, dict) and STAMP not in ours and not wanted.own
    mend = f"say --own if mcpgov exported it for you: what it says under {OURS} was left out" if left else ""

    def draft(choice: Choice) -> Draft:
        try:
            made = reached(document, choice)
        except Unfit as unfit:
            raise Unfit(str(unfit), "; ".join(filter(None, (unfit.mend, mend)))) from None
        return replace(made, notes=(*made.notes, *filter(None, (mend,))))

    return Found(f"{document.get('name', '')} {document.get('version', '')}", draft)


def adopt_(wanted: Adoption) -> None:
    """Write the entry of a server that a Foundry connection leads to, and print that connection as it leads here."""
    read = load_catalog(wanted.config)
    said = variables_in(wanted.var)
    choice = Choice(wanted.connection, wanted.private, False, said, read.connections, wanted.tokens)
    try:
        clients = Clients(auth_type(wanted.client_auth), wanted.client_audience)
        adopted = adopt(read_text(wanted.file), choice, clients, wanted.name)
        let_in(Newcomers(read.entries, other_host=wanted.other_host), adopted.draft, versions=False)
        base_of(read.with_texts({}).settings)
    except Unfit as unfit:
        fail(f"{wanted.file} {printable(str(unfit))} ({printable(mended(unfit))})")
    except InvalidConfiguration as invalid:
        fail(printable_lines(str(invalid)))
    except NotOffered as error:
        fail(f"{wanted.file} {printable_lines(str(error))}")
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
