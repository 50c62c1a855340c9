"""What a catalog says of a server besides how it is served: who offers it, where it is listed, how far it is trusted.

Pure. Rules: none of it changes what a call may do, except `status: deleted`, which serves nothing, and `pin`, which
says whether a changed tool waits for a person. The words are those of the platform's catalog (publisher, category,
registry) and of the MCP registry (status). Refuses to know: connections, and who may see the list.
"""

from __future__ import annotations

import re
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from mcpgov.catalog.server_shape import ServerShape, members, one_line, web_address, wrong_with
from mcpgov.credential.references import Unfit
from mcpgov.frozen import frozen
from mcpgov.pinning.mode import PinMode
from mcpgov.shapes import Filled, Shape
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcpgov.errors import Problem
    from mcpgov.models import Json
    from mcpgov.yaml_source import Source

LONGEST_WORD: Final = 100
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[A-Za-z0-9.-]{1,190}")


class Status(StrEnum):
    """How far a version of a server still counts; the words of the MCP registry."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"  # served, and marked
    DELETED = "deleted"  # served no more, and still listed to who asks for it


@frozen
class Contact:
    """Whom to ask about a server."""

    name: str
    email: str = ""
    url: str = ""


@frozen
class Listing:
    """What a list of servers shows of one. `server` holds the members of server.json that are kept as they are."""

    status: Status = Status.ACTIVE
    publisher: str = ""
    categories: tuple[str, ...] = ()
    registry: str = ""
    owner: str = ""
    contacts: tuple[Contact, ...] = ()
    environments: tuple[str, ...] = ()
    pin: PinMode = PinMode.TRUST_ON_FIRST_USE
    server: Mapping[str, Json] = field(default_factory=dict[str, "Json"], hash=False)


def _word_of(words: type[StrEnum]) -> BeforeValidator:
    def check(value: object) -> StrEnum:
        if not isinstance(value, str) or value not in set(words):
            raise Unfit(f"is none of {', '.join(words)}", nearest(str(value), words))
        return words(value)

    return BeforeValidator(check)


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise Unfit("is not an e-mail address", "write one like platform@contoso.com")
    return text


def _differing(words: tuple[str, ...]) -> tuple[str, ...]:
    if len({word.lower() for word in words}) < len(words):
        raise Unfit("names one twice", "keep one of them")
    return words


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unfit("must be a mapping", "write the members of server.json below it")
    return cast("dict[str, Any]", value)


Word = Annotated[str, Field(min_length=1, max_length=LONGEST_WORD), AfterValidator(one_line)]
Words = Annotated[tuple[Word, ...], AfterValidator(_differing)]


class ContactShape(Shape):
    """Whom to ask."""

    name: Word
    email: Annotated[str, AfterValidator(_email)] = ""
    url: Annotated[str, AfterValidator(web_address)] = ""


class ListingShape(Shape):
    """The keys of an entry that say what a list of servers shows."""

    status: Annotated[Status, _word_of(Status)] = Status.ACTIVE
    publisher: Word = ""
    categories: Words = ()
    registry: Word = ""
    owner: Word = ""
    contacts: tuple[ContactShape, ...] = ()
    environments: Words = ()
    pin: Annotated[PinMode, _word_of(PinMode)] = PinMode.TRUST_ON_FIRST_USE
    server: Annotated[dict[str, Any], BeforeValidator(_mapping), Filled, WithJsonSchema({"type": "object"})] = Field(
        default_factory=dict[str, Any]
    )

    def listing(self) -> Listing:
        """The value that travels with the entry."""
        contacts = tuple(Contact(one.name, one.email, one.url) for one in self.contacts)
        words = (self.status, self.publisher, self.categories, self.registry, self.owner)
        return Listing(*words, contacts, self.environments, self.pin, self.server)


def unfit_members(shape: ListingShape, source: Source) -> Iterator[Problem]:
    """What is written under `server` and may not be."""
    for name in sorted(members(shape.server)):
        said = f"{name} belongs to the entry itself"
        yield source.problem(("server", name), said, "move it up, out of server:", at_key=True)
    if shape.server:
        yield from wrong_with(ServerShape, shape.server, source, ("server",))
