"""What the admin plane is given: where it reads, where keys are kept, who answers what only the files know.

Values and Protocols; app.py hands in what fills them.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mcpgov.admin.access import AdminKeyStore, Note
    from mcpgov.audit.exported import ExportState
    from mcpgov.audit.reader import Record
    from mcpgov.audit.review import ReviewReader
    from mcpgov.catalog.listing import Contact
    from mcpgov.identity.api_key import KeyStore
    from mcpgov.pinning.approval import DecidedPins


@frozen
class ServedConnection:
    """A connection as operators see it: no key, no query of a URL. `tools` are those with policies of their own.

    `health` is what is known of its server, `problem` and `why` what is wrong, `since` when that was first found.
    """

    name: str
    server: str
    upstream: str
    auth_type: str
    client_auth_type: str
    timeout: float
    policies: tuple[str, ...] = ()
    tools: tuple[tuple[str, tuple[str, ...]], ...] = ()
    health: str = "unknown"
    problem: str = ""
    why: str = ""
    since: str = ""


@frozen
class Server:
    """A version of a server of the catalog, and the connections it is served as. `pin` is how its tools come to be
    trusted, `file` what says all this.
    """

    name: str
    title: str
    version: str
    description: str
    policies: tuple[str, ...]
    connections: tuple[ServedConnection, ...]
    pin: str = ""
    status: str = "active"
    publisher: str = ""
    categories: tuple[str, ...] = ()
    registry: str = ""
    environments: tuple[str, ...] = ()
    owner: str = ""
    contacts: tuple[Contact, ...] = ()
    file: str = ""


@frozen
class Policy:
    """A policy, and where it is in force. `text` is the file as it is written: references, never what they lead to."""

    name: str
    file: str
    mode: str
    digest: str
    elements: int
    scopes: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    text: str = field(default="", repr=False)


class InvalidQuestion(ValueError):
    """A question about a policy that cannot be asked. The text says what to write instead."""


class Answers(Protocol):
    """What only the files of the catalog and the policies tell. Every method blocks; call it from a thread."""

    def stamp(self) -> str:
        """The digest over every file of the generation in force; it stands in each record."""
        ...

    def servers(self) -> Sequence[Server]:
        """The catalog in force."""
        ...

    def policies(self) -> Sequence[Policy]:
        """Every policy, in force or not."""
        ...

    def explain(self, question: Mapping[str, str]) -> tuple[Mapping[str, Any], Sequence[str]]:
        """What the policies make of a request that is never made: as `policy explain` says it, for machines and in
        lines of text. Raises InvalidQuestion.
        """
        ...

    def replay(self, record: Record) -> Sequence[str]:
        """How the decision of a record comes about, in lines of text."""
        ...


@frozen
class AdminParts:
    """Everything that the admin plane works with. `note` writes down who does what, before it is done; it raises
    StoreUnavailable.
    """

    review: ReviewReader
    answers: Answers
    keys: KeyStore
    admin_keys: AdminKeyStore
    note: Note
    now: Callable[[], datetime]
    choose: Callable[[str], str]  # one character of an alphabet, unpredictably
    version: str
    pins: DecidedPins
    exports: Callable[[], Sequence[ExportState]] = tuple  # blocks
    failed_sinks: Callable[[], Mapping[str, datetime]] = dict  # since when
