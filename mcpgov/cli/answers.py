"""What the admin plane asks of the files: catalog, policies, an explanation. By the same functions as the verbs.

Nothing here reads a secret: references stand for themselves, and what policies drew in is hidden.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from mcpgov.admin.parts import InvalidQuestion, Policy, ServedConnection, Server
from mcpgov.audit.record import timestamp
from mcpgov.catalog.entries import parse_entry
from mcpgov.cli.explained import as_json, explain_request, left_out, lines_of
from mcpgov.cli.hiding import Hiding
from mcpgov.cli.policy import elements_of, in_force, scopes_of
from mcpgov.cli.question import Question, annotations_of, context_of
from mcpgov.cli.replayed import replayed
from mcpgov.destinations import origin
from mcpgov.errors import InvalidConfiguration
from mcpgov.health import NOTHING_KNOWN
from mcpgov.models import LocalUpstream, PrincipalKind
from mcpgov.reload import read_files
from mcpgov.settings_file import lookup_for, read_text, stand_ins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcpgov.audit.reader import Record
    from mcpgov.catalog.entries import ConnectionEntry, Entry
    from mcpgov.health import ConnectionHealth
    from mcpgov.models import Connection
    from mcpgov.reload import Reading
    from mcpgov.snapshot import Snapshot

# What a form has in lines, and the option that may be given several times.
LISTS: Final = {"headers": "header", "annotations": "annotation", "roles": "role", "scopes": "scope"}
PORTS: Final = {"https": 443, "http": 80}


def unasked(connection: str) -> ConnectionHealth:
    """What is known of a server that nobody asks."""
    del connection
    return NOTHING_KNOWN


class FileAnswers:
    """The Answers of a running gateway. Titles and texts are read from the files; what is decided by is in force."""

    def __init__(
        self,
        current: Callable[[], Snapshot],
        config: Path | None,
        health: Callable[[str], ConnectionHealth] = unasked,
    ) -> None:
        self._current = current
        self._config = config
        self._health = health

    def stamp(self) -> str:
        """The digest over every file of the generation in force."""
        return self._current().stamp

    def servers(self) -> Sequence[Server]:
        """The catalog in force; of a file that was changed and refused since, what is in force of it."""
        snapshot, reading = self._current(), read_files(self._config)
        served = (server_of(entry, snapshot, self._health) for entry in entries_of(reading))
        return [server for server in served if server.connections]

    def policies(self) -> Sequence[Policy]:
        """Every policy of the generation in force."""
        snapshot, reading = self._current(), read_files(self._config)
        try:
            scopes = tuple(scopes_of(reading, snapshot))
        except InvalidConfiguration:
            scopes = ()
        found: list[Policy] = []
        for name, document in sorted(snapshot.documents.items()):
            where = in_force(document, scopes, snapshot)
            size = elements_of(document)
            one = Policy(name, document.file, document.mode, document.digest, size, tuple(where["scopes"]))
            found.append(replace(one, left_out=tuple(where["left_out"]), text=text_of(document.file)))
        return found

    def explain(self, question: Mapping[str, str]) -> tuple[Mapping[str, Any], Sequence[str]]:
        """What the policies in force make of a request. Raises InvalidQuestion."""
        snapshot = self._current()
        asked = question_of(question)
        try:
            context = context_of(asked, snapshot)
            policy, annotations = snapshot.policy(asked.connection), annotations_of(asked)
        except typer.BadParameter as error:
            raise InvalidQuestion(error.message) from None
        gone = tuple(left_out(policy, context, snapshot.documents))
        explained = replace(explain_request(policy, context, annotations), left_out=gone)
        hiding = Hiding.of((*snapshot.secrets, *explained.secrets))
        return as_json(explained, hiding), tuple(lines_of(explained, hiding))

    def replay(self, record: Record) -> Sequence[str]:
        """How the decision of a record comes about."""
        return tuple(replayed(record, self._current()))


def question_of(question: Mapping[str, str]) -> Question:
    """A question as `policy explain` asks it."""
    texts = {name: value for name, value in question.items() if name != "kind" and value}
    kind = PrincipalKind(question.get("kind") or PrincipalKind.KEY)
    lists = {option: lines_in(texts.pop(name, "")) for name, option in LISTS.items()}
    asked = replace(Question(texts.pop("connection", "")), kind=kind, **texts)
    return replace(asked, **lists)


def lines_in(text: str) -> list[str]:
    """The lines of a text in which something stands."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def entries_of(reading: Reading) -> list[Entry]:
    """The files of the catalog that can be read."""
    lookup = lookup_for(reading.settings_text, reading.place, os.environ, stand_ins)
    found: list[Entry] = []
    for place, text in reading.catalog.items():
        try:
            found.append(parse_entry(text, str(place), lookup))
        except InvalidConfiguration:
            continue  # what is in force of it is another text
    return found


def server_of(entry: Entry, snapshot: Snapshot, health: Callable[[str], ConnectionHealth] = unasked) -> Server:
    """A server, with those of its connections that are in force."""
    connections = tuple(
        served_as(one, snapshot.connections[one.connection.name], health(one.connection.name))
        for one in entry.connections
        if one.connection.name in snapshot.connections
    )
    pin = next((snapshot.connections[one.name].pin.value for one in connections), "")  # an entry has one
    about = (entry.name, entry.title, entry.version, entry.description)
    listing = entry.listing
    return Server(
        *(*about, entry.policies, connections, pin, listing.status.value),
        *(listing.publisher, listing.categories, listing.registry, listing.environments, listing.owner),
        *(listing.contacts, entry.source.file),
    )


def served_as(
    entry: ConnectionEntry, connection: Connection, health: ConnectionHealth = NOTHING_KNOWN
) -> ServedConnection:
    """A connection as operators see it."""
    return ServedConnection(
        *(connection.name, connection.server, place_of(connection), connection.auth_type.value),
        *(connection.client_auth_type.value, connection.timeout, entry.policies, tuple(entry.tools.items())),
        *(health.state.value, health.problem, health.why, timestamp(health.since) if health.since else ""),
    )


def place_of(connection: Connection) -> str:
    """Where a connection leads; the rest of a URL or of a command may hold a key."""
    if isinstance(connection.upstream, LocalUpstream):
        return f"local: {connection.upstream.command[0]}"
    there = origin(connection.upstream.url)
    if there is None:
        return ""
    scheme, host, port = there
    return f"{scheme}://{host}" + ("" if port == PORTS[scheme] else f":{port}")


def text_of(file: str) -> str:
    """What a policy's file says now; nothing where it is gone."""
    try:
        return read_text(Path(file))
    except InvalidConfiguration:
        return ""
