"""One file of the catalog to one Entry: a server, and the connections under which it is exposed. Pure.

Rules: a connection has exactly one way to its server. Nothing here falls back: keys without authType CustomKeys, or
CustomKeys without keys, are errors. What an upstream may be sent to is in the file and nowhere else. Every error of a
file is told at once, with its place, and no message quotes a key.
Refuses to know: which policies exist, and what the other files say (snapshot.py joins them).
"""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Final, cast

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema
from pydantic import ValidationInfo as Info

from mcpgov.catalog.listing import Listing, ListingShape, Status, unfit_members
from mcpgov.catalog.server_shape import LONGEST_LINE, LONGEST_NAME, Version, one_line, server_name
from mcpgov.catalog.sign_in import SignInShape, contradictions
from mcpgov.catalog.urls import check_fixed, check_url, parse_fixed
from mcpgov.credential.references import Lookup, Unfit, has_reference
from mcpgov.credential.strength import check_filled
from mcpgov.errors import InvalidConfiguration
from mcpgov.frozen import frozen
from mcpgov.models import AuthType, Connection, LocalUpstream, RemoteUpstream, Secret
from mcpgov.shapes import TEXT, Filled, Flag, PolicyNames, Seconds, Shape, key_header, read_model, resolved_text
from mcpgov.yaml_source import Source, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mcpgov.errors import Problem

_CONNECTION_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_BACKEND_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")  # RFC 9110 section 5.5, ASCII only


@frozen
class ConnectionEntry:
    """A connection, with the names of the policies of its own scope and of each tool's."""

    connection: Connection
    policies: tuple[str, ...]
    tools: Mapping[str, tuple[str, ...]]


@frozen
class Entry:
    """One version of a server. `policies` are those of server scope; one that is deleted has no connections."""

    name: str
    title: str
    version: str
    description: str
    policies: tuple[str, ...]
    connections: tuple[ConnectionEntry, ...]
    listing: Listing
    source: Source = field(repr=False, compare=False)  # for saying where something stands; may hold keys


def parse_entry(text: str, file: str, lookup: Lookup) -> Entry:
    """The entry that `text` holds, its references resolved. Raises InvalidConfiguration with every problem."""
    return read_entry(parse_yaml(text, file), lookup)


def read_entry(source: Source, lookup: Lookup) -> Entry:
    """The same of a file that was parsed already."""
    shape = read_model(EntryShape, source, lookup)
    if problems := tuple(_contradictions(shape, source)):
        raise InvalidConfiguration(problems)
    folder = lookup.folder
    return Entry(
        name=shape.name,
        title=shape.title,
        version=shape.version,
        description=shape.description,
        policies=shape.policies,
        connections=tuple(
            ConnectionEntry(
                _connection(name, shape, folder),
                one.policies,
                {tool: rule.policies for tool, rule in one.tools.items()},
            )
            for name, one in shape.connections.items()
            if shape.status is not Status.DELETED
        ),
        listing=shape.listing(),
        source=source,
    )


def _connection(name: str, shape: EntryShape, folder: str) -> Connection:
    one = shape.connections[name]
    upstream: RemoteUpstream | LocalUpstream
    if shape.command:
        directory = str(PurePath(folder, shape.cwd)) if shape.cwd else ""
        upstream = LocalUpstream(shape.command, tuple(shape.env.items()), directory)
    else:
        named = tuple((key, url) for key, url in one.backends.items() if isinstance(key, str))
        upstream = RemoteUpstream(shape.upstream, shape.private, tuple(one.backends.values()), named, one.resolve)
    return Connection(
        name,
        shape.name,
        upstream,
        one.auth_type,
        tuple(one.keys.items()),
        one.timeout,
        one.sign_in(),
        one.client_auth_type,
        one.client_audience,
        shape.pin,
    )


def _contradictions(shape: EntryShape, source: Source) -> Iterator[Problem]:
    """What each key allows and all of them together do not."""
    if shape.upstream and shape.command:
        yield source.problem(("command",), "a server has an upstream or a command, not both", "remove one", at_key=True)
    if not shape.upstream and not shape.command:
        yield source.problem(
            (), "nothing says where the server is", "add upstream: URL, or command: [PROGRAM, ARGUMENT]"
        )
    for key in ("env", "cwd") if shape.upstream else ("private",) if shape.command else ():
        if key in shape.model_fields_set:
            needs = "a command" if shape.upstream else "an upstream"
            yield source.problem((key,), f"{key} belongs to {needs}", "remove it", at_key=True)
    yield from unfit_members(shape, source)
    yield from _unfit_url(shape.upstream, shape, source, ("upstream",))
    for name, one in shape.connections.items():
        yield from _contradictions_of(one, shape, source, ("connections", name))


def _contradictions_of(
    one: ConnectionShape, shape: EntryShape, source: Source, at: tuple[str, ...]
) -> Iterator[Problem]:
    yield from contradictions(one, tuple(one.keys), source, at)
    if shape.command:
        yield from _of_remote_servers(one, source, at)
    for key, url in one.backends.items():
        yield from _unfit_url(url, shape, source, (*at, "backends", key))
    if shape.upstream:
        yield from _unfit_addresses(one, shape, source, (*at, "resolve"))


def _of_remote_servers(one: ConnectionShape, source: Source, at: tuple[str, ...]) -> Iterator[Problem]:
    for key, said in (("authType", one.auth_type is not AuthType.NONE), ("callerToken", one.caller_token)):
        if said:
            mend = "hand a secret over in env:, and remove it here"
            yield source.problem((*at, key), "a local server reads no headers", mend, at_key=True)
    for key, said in (("backends", one.backends), ("resolve", one.resolve)):
        if said:
            yield source.problem((*at, key), f"a local server has no {key}", "remove it", at_key=True)


def _unfit_addresses(one: ConnectionShape, shape: EntryShape, source: Source, at: tuple[str, ...]) -> Iterator[Problem]:
    for number, fixed in enumerate(one.resolve):
        place = (*at, number)
        try:
            check_fixed(fixed, (shape.upstream, *one.backends.values()), private=shape.private)
        except Unfit as unfit:
            yield source.problem(place, f"the entry {unfit}", unfit.mend)
        if fixed[0] in [host for host, _ in one.resolve[:number]]:
            yield source.problem(place, f"{fixed[0]} has an address already", "keep one of them")


def _unfit_url(url: str, shape: EntryShape, source: Source, at: tuple[str | int, ...]) -> Iterator[Problem]:
    try:
        if url:
            check_url(url, private=shape.private)
    except Unfit as unfit:
        yield source.problem(at, f"the URL {unfit}", unfit.mend)


def _matches(pattern: re.Pattern[str], message: str, mend: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise Unfit(message, mend)
        return value

    return AfterValidator(check)


def _url(value: str) -> str:
    check_url(value, private=True)  # whether it must be public is asked when `private` is known
    return value


def _word(value: str) -> str:
    if not value:
        raise Unfit("is empty", "write the program and each argument as text")
    if has_reference(value):
        raise Unfit("holds a reference, and a command line can be read by everyone", "put the secret into env:")
    return value


def _path(value: str) -> str:
    if not value:
        raise Unfit("is not the path of a folder", "write one, or remove the key")
    return value


def _by_name(value: object) -> object:
    """A list of backends as a mapping too: by their numbers, which are no names."""
    if not isinstance(value, list | dict):
        raise Unfit("is neither a list nor a mapping", "write [https://host], or { name: https://host }")
    return dict(enumerate(cast("list[object]", value))) if isinstance(value, list) else cast("object", value)


def _backend_key(value: object) -> int | str:
    if isinstance(value, str) and not _BACKEND_NAME.fullmatch(value):
        raise Unfit("is not the name of a backend", "use A-Z a-z 0-9 . _ -, at most 80 of them")
    return cast("int | str", value)


def _fixed(value: object) -> tuple[str, str]:
    if not isinstance(value, str):
        raise Unfit("must be text", "put it in quotes")
    return parse_fixed(value)


def _resolved(fit: Callable[[str], bool], message: str, mend: str) -> PlainValidator:
    """A text whose references are resolved; the outcome is never shown."""

    def check(value: object, info: Info) -> Secret:
        secret = resolved_text(value, info)
        if not fit(secret.reveal()):
            raise Unfit(message, mend)
        return secret

    return PlainValidator(check)


def _fits_a_header(value: str) -> bool:
    return _HEADER_VALUE.fullmatch(value) is not None


def _filled(secret: Secret) -> Secret:
    check_filled(secret.reveal())
    return secret


def _fits_a_variable(value: str) -> bool:
    return "\x00" not in value


Url = Annotated[str, AfterValidator(_url)]
Line = Annotated[str, AfterValidator(one_line)]
ToolName = Annotated[
    str, _matches(_TOOL_NAME, "is not the name of a tool", "use A-Z a-z 0-9 _ . -, at most 128 of them")
]
VariableName = Annotated[str, _matches(_VARIABLE_NAME, "is not the name of a variable", "write one like API_KEY")]
ConnectionName = Annotated[
    str,
    _matches(_CONNECTION_NAME, "is not the name of a connection", "use a-z 0-9 and -, at most 63 of them"),
]
BackendKey = Annotated[int | str, PlainValidator(_backend_key), WithJsonSchema({"type": "string"})]
HeaderValue = Annotated[
    Secret,
    _resolved(_fits_a_header, "is not one line of plain ASCII", "remove line breaks and spaces at its ends"),
    AfterValidator(_filled),
    TEXT,
]
VariableValue = Annotated[Secret, _resolved(_fits_a_variable, "holds a NUL", "remove it"), TEXT]


class ToolShape(Shape):
    """What is said of one tool."""

    policies: PolicyNames = ()


class ConnectionShape(SignInShape):
    """What is said of one connection."""

    keys: dict[Annotated[str, AfterValidator(key_header)], HeaderValue] = Field(default_factory=dict[str, Secret])
    timeout: Seconds = 90.0
    backends: Annotated[dict[BackendKey, Url], BeforeValidator(_by_name)] = Field(default_factory=dict[int | str, str])
    resolve: tuple[Annotated[tuple[str, str], PlainValidator(_fixed), TEXT], ...] = ()
    policies: PolicyNames = ()
    tools: dict[ToolName, ToolShape] = Field(default_factory=dict[str, ToolShape])


class EntryShape(ListingShape):
    """What is said of one server."""

    name: Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(server_name)]
    title: Annotated[Line, Field(max_length=LONGEST_LINE)] = ""
    version: Version = "0.0.0"
    description: Annotated[Line, Field(max_length=LONGEST_LINE)] = ""
    upstream: Url = ""
    private: Flag = False
    command: tuple[Annotated[str, AfterValidator(_word)], ...] = ()
    env: dict[VariableName, VariableValue] = Field(default_factory=dict[str, Secret])
    cwd: Annotated[str, AfterValidator(_path)] = ""
    policies: PolicyNames = ()
    connections: Annotated[dict[ConnectionName, ConnectionShape], Filled]
