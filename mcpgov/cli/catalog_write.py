"""Writing entries: each that fits into a file of its own, commented, and what is to be known of it on stderr.

Nothing is written that does not fit with all other files, and nothing that is there is changed.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import typer

from mcpgov.catalog.entries import EntryShape
from mcpgov.catalog.importers import Refused
from mcpgov.catalog.listing import Status
from mcpgov.catalog.newcomers import place_of, sent
from mcpgov.catalog.ways import Draft, slug
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.catalog_files import fitting, write_new
from mcpgov.cli.catalog import fail
from mcpgov.cli.printable import printable, repeated
from mcpgov.errors import InvalidConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mcpgov.catalog_files import Catalog
    from mcpgov.credential.references import Unfit
    from mcpgov.errors import Problem
    from mcpgov.models import Json
    from mcpgov.snapshot import Snapshot

MOST_NAMED: Final = 10
ORDER: Final = ("name", "title", "version", "description", *EntryShape.model_fields)


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
    waiting: dict[str, None] = {}
    for place, text in fit.items():
        if dry_run:
            typer.echo(f"# {place}\n{text}")
        else:
            write(place, text)
        waiting |= dict.fromkeys(told(place, by_place[str(place)], "would write" if dry_run else "wrote "))
    if waiting and not dry_run:
        say_waiting(tuple(waiting))
    if fit:
        say_ungoverned(read.with_texts(fit), [by_place[str(place)] for place in fit])
    return len(fit), [Refused(by_place[str(place)].label, reason(problems)) for place, problems in unfit.items()]


def reason(problems: Iterable[Problem]) -> str:
    """What is wrong with a file that is not there yet, in a line."""
    said = (f"{problem.message} ({problem.mend})" if problem.mend else problem.message for problem in problems)
    return "; ".join(said)


def write(place: Path, text: str) -> None:
    """Write one file, or end the verb."""
    try:
        write_new(place, text)
    except OSError as error:
        fail(f"{place} cannot be written: {error.strerror}")


def told(place: Path, draft: Draft, wrote: str) -> list[str]:
    """Say what is to be known of a file that is written, or would be; the variables that are not set yet."""
    connections = draft.document.get("connections")
    paths = ", ".join(f"/mcp/{name}" for name in connections) if isinstance(connections, dict) else ""
    typer.echo(f"{wrote} {place}: {printable(draft.label)}, served at {printable(paths)}", err=True)
    for note in draft.notes:
        typer.echo(f"note   {printable(note)}", err=True)
    unset: list[str] = []
    for name in sent(draft.document):
        if os.environ.get(name, "").strip():
            where = printable(place_of(draft.document))
            typer.echo(f"note   {name} is set already, and goes to {where} from now on", err=True)
        else:
            typer.echo(f"set    {name}, for mcpgov, before it is served", err=True)
            unset.append(name)
    return unset


def say_waiting(names: Sequence[str]) -> None:
    """Say what a variable that is not set does to all servers, and the way out."""
    they = f"{some(names)} {'is' if len(names) == 1 else 'are'}"
    said = f"until {they} set, mcpgov refuses to start and refuses every reload"
    mend = "set it where mcpgov runs and restart that; to go on without, move the file out of the catalog"
    typer.echo(f"note   {said}, for all servers: {mend}", err=True)


def say_ungoverned(snapshot: Snapshot, drafts: Sequence[Draft]) -> None:
    """Say which of the new connections no policy decides about: none of all connections, of the server or their own."""
    named = [name for draft in drafts for name in connections_of(draft)]
    if bare := [f"/mcp/{name}" for name in named if not any(snapshot.policy(name).all_steps())]:
        mend = "say --policy NAME, or write policies: into the file, or global_policies: into mcpgov.yaml"
        typer.echo(f"note   no policy decides about {some(bare)}: {mend}", err=True)


def some(names: Sequence[str]) -> str:
    """Names in a line, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return printable(", ".join(names[:MOST_NAMED])) + more


def connections_of(draft: Draft) -> Iterator[str]:
    """The names of its connections that are served."""
    connections = draft.document.get("connections")
    if isinstance(connections, dict) and draft.document.get("status") != Status.DELETED:
        yield from connections


def governed(draft: Draft, policies: Sequence[str] | None) -> Draft:
    """The entry with these policies on each of its connections, in place of none."""
    connections = draft.document.get("connections")
    if not policies or not isinstance(connections, dict):
        return draft
    named: list[Json] = [*policies]
    made: dict[str, Json] = {
        name: {**one, "policies": named} if isinstance(one, dict) and not one.get("policies") else one
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


def mended(unfit: Unfit) -> str:
    """The mend of what does not fit, in the words of these verbs."""
    return unfit.mend.replace("`private: true`", "--private")


def shown(source: str) -> str:
    """What was typed, for a message or a file: of a URL neither the query nor what stands before the host."""
    if "://" not in source:
        return repeated(source)
    return repeated(re.sub(r"//[^/]*@", "//…@", re.split(r"[?#]", source, maxsplit=1)[0]))


def printable_lines(text: str) -> str:
    """A text of several lines, none of which can do anything to a terminal."""
    return "\n".join(printable(line) for line in text.splitlines())
