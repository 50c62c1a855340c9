"""One immutable generation of catalog, policies and settings. Reload swaps it whole; a call keeps what it began with.

assemble() joins what was read file by file, and finds what no single file can show: a name used twice, a policy that
does not exist, a backend that the connection does not list.
"""

from __future__ import annotations

from dataclasses import field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason, Reply
from mcpgov.errors import InvalidConfiguration, Refusal
from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.glob import compile_wildcards
from mcpgov.registry.pages import Shelf
from mcpgov.settings import Settings
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path, PurePath

    from mcpgov.catalog.entries import ConnectionEntry, Entry
    from mcpgov.entry_files import EntryFile
    from mcpgov.errors import Problem
    from mcpgov.models import Connection, Principal, RequestHead, Secret
    from mcpgov.policy.compiled import ConnectionPolicy
    from mcpgov.policy.document import PolicyDocument
    from mcpgov.yaml_source import Source

_NO_CONNECTION: Final = "There is no such connection."


@frozen
class Snapshot:
    """What is in force. `stamp` is a digest over every file it was made from; it stands in each audit record.

    `documents` are all policies there are, in force or not; `secrets` what they drew in, which no explanation may show;
    `registry` the servers as they are shown to who may see them; `files` what the next reload need not read again.
    """

    stamp: str
    connections: Mapping[str, Connection]
    policies: Mapping[str, ConnectionPolicy]
    settings: Settings = field(default=Settings())
    documents: Mapping[str, PolicyDocument] = field(default_factory=dict[str, "PolicyDocument"], repr=False)
    secrets: tuple[Secret, ...] = ()
    registry: Shelf = field(default=Shelf(), repr=False)
    files: Mapping[Path, EntryFile] = field(default_factory=dict["Path", "EntryFile"], repr=False)

    def connection(self, name: str, principal: Principal) -> Connection:
        """The connection exposed at /mcp/{name}: never "all of them".

        Raises Refusal: unknown-connection, or connection-denied where the caller's scope leaves it out, which the
        caller cannot tell apart.
        """
        if name not in self.connections:
            raise Refusal(Reason.UNKNOWN_CONNECTION, _NO_CONNECTION)
        if not _may_reach(principal, name):
            raise Refusal(Reason.CONNECTION_DENIED, _NO_CONNECTION, detail="the scope of the key leaves it out")
        return self.connections[name]

    def answer_preflight(self, head: RequestHead) -> None:
        """Raise Refusal (preflight) with the reply, where a browser asks and a policy has something to say.

        Where some policy has, the preflight of any other connection, and of one that there is not, gets the answer of
        an origin that may not call: nobody learns without a key which connections exist.
        """
        asks = head.http_method == "OPTIONS" and {"origin", "access-control-request-method"} <= head.headers.names
        if not asks or not any(policy.answers_preflights for policy in self.policies.values()):
            return
        if head.connection in self.policies:
            self.policies[head.connection].answer_preflight(head)
        detail = "not matched"
        raise Refusal(Reason.PREFLIGHT, "A preflight was answered.", detail=detail, reply=Reply(200, body=b""))

    def origins(self, head: RequestHead, principal: Principal) -> Collection[str]:
        """The origins of browsers that the policies of the connection let in; none where the caller may not know that
        there is such a connection.
        """
        policy = self.policies.get(head.connection) if _may_reach(principal, head.connection) else None
        return policy.origins(head) if policy and "origin" in head.headers else ()

    def policy(self, connection: str) -> ConnectionPolicy:
        """The compiled policy of a connection."""
        return self.policies[connection]


def _may_reach(principal: Principal, connection: str) -> bool:
    scope = principal.scope.connections
    return scope is None or connection in compile_wildcards(scope)


def assemble(
    stamp: str, settings: Settings, entries: Sequence[Entry], documents: Mapping[str, PolicyDocument]
) -> Snapshot:
    """One generation of what was read without a problem. Raises InvalidConfiguration for what does not fit together."""
    connections: dict[str, Connection] = {}
    policies: dict[str, ConnectionPolicy] = {}
    problems: list[Problem] = []
    for entry in entries:
        for served in entry.connections:
            name = served.connection.name
            connections[name] = served.connection
            policies[name] = compile_policy(
                [documents[policy] for policy in settings.global_policies],
                [documents[policy] for policy in entry.policies],
                [documents[policy] for policy in served.policies],
                {tool: [documents[policy] for policy in names] for tool, names in served.tools.items()},
                (*settings.identity.caller_headers, *_own_headers(served.connection)),
            )
            problems += policies[name].foreign_backends(served.connection)
    providers = [name for name, connection in connections.items() if connection.auth_type is AuthType.OAUTH2]
    unknown = {problem: None for policy in policies.values() for problem in policy.unknown_providers(providers)}
    unknown |= {problem: None for policy in policies.values() for problem in policy.unknown_loggers(settings.loggers)}
    problems += unknown
    if problems:
        raise InvalidConfiguration(tuple(problems))
    served, in_force = MappingProxyType(connections), MappingProxyType(policies)
    return Snapshot(stamp, served, in_force, settings, MappingProxyType(dict(documents)))


def _own_headers(connection: Connection) -> Iterator[str]:
    """The headers of the connection's own credential: a caller's value has no place there, also where none follows."""
    yield from (name for name, _ in connection.keys)
    if connection.sign_in.caller_token is not None:
        yield connection.sign_in.caller_token.header


def clashes(entries: Sequence[Entry], policies: Collection[str], folder: PurePath) -> Iterator[Problem]:
    """What the entries say against each other, and every policy they name that is not among `policies` of `folder`."""
    yield from _twice((f"{entry.name} {entry.version}", _server_place(entry)) for entry in entries)
    yield from _twice(
        (served.connection.name, _connection_place(entry, served)) for entry in entries for served in entry.connections
    )
    for entry in entries:
        for at, names in _scopes(entry):
            yield from unknown_policies(entry.source, at, names, policies, folder)


def unknown_policies(
    source: Source, at: tuple[str, ...], names: Sequence[str], policies: Collection[str], folder: PurePath
) -> Iterator[Problem]:
    """Each of `names`, which stand in the list at `at`, that is not among `policies`, the files of `folder`."""
    for number, name in enumerate(names):
        if name not in policies:
            mend = nearest(name, policies) if policies else f"write {folder / name}.yaml"
            yield source.problem((*at, number), f"there is no policy {name}", mend)


def _server_place(entry: Entry) -> Problem:
    said = f"the server {entry.name} {entry.version} is also in"
    return entry.source.problem(("name",), said, "keep one of the two, or give one another version")


def _connection_place(entry: Entry, served: ConnectionEntry) -> Problem:
    name = served.connection.name
    return entry.source.problem(("connections", name), f"the connection {name} is also in", "rename one", at_key=True)


def _twice(named: Iterable[tuple[str, Problem]]) -> Iterator[Problem]:
    """A problem for each name that came before, naming both places."""
    first: dict[str, str] = {}
    for name, here in named:
        if name in first:
            yield replace(here, message=f"{here.message} {first[name]}")
        first.setdefault(name, f"{here.file}:{here.line}:{here.column}")


def _scopes(entry: Entry) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every list of policies in an entry: where it stands, and its names."""
    yield ("policies",), entry.policies
    for served in entry.connections:
        at = ("connections", served.connection.name)
        yield (*at, "policies"), served.policies
        for tool, names in served.tools.items():
            yield (*at, "tools", tool, "policies"), names
