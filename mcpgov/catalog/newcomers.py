"""Whether an entry that is to be added may stand beside those that are there. Pure.

Rules: a name stands for a server, and the latest version of it is what clients are shown; so a version that leads to
another host than all versions before is refused unless a person says so, because a registry can list our name for a
server of its own. No newcomer is sent a variable that another server is sent: the connection `git` with a header
`Hub-Authorization` would name the very variable of the connection `git-hub`. Refuses to know: files, and tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from mcpgov.catalog.ways import NO_VERSION
from mcpgov.catalog.withheld import variables
from mcpgov.credential.references import Unfit
from mcpgov.destinations import origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcpgov.catalog.entries import Entry
    from mcpgov.models import Json

    Document = Mapping[str, Json]

HERE: Final = "a program on this machine"
_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}


class Newcomers:
    """What is there, and what was let in since."""

    def __init__(self, entries: Iterable[Entry], *, other_host: bool = False) -> None:
        self._other_host = other_host
        self._versions: dict[str, list[str]] = {}
        self._places: dict[str, list[str]] = {}
        self._sent: dict[str, str] = {}
        for entry in entries:
            document = cast("Document", entry.source.value)
            self._versions.setdefault(entry.name, []).append(entry.version)
            self._places.setdefault(entry.name, []).extend(places_of(document))
            self._sent |= dict.fromkeys(sent(document), entry.name)

    def has(self, document: Document) -> bool:
        """Whether this version of the server is there."""
        return _version(document) in self._versions.get(_name(document), ())

    def let_in(self, document: Document) -> None:
        """Raise Unfit unless the entry may stand beside the others; what is let in counts from now on."""
        name = _name(document)
        known = sorted(set(self._places.get(name, ())))
        strange = [place for place in places_of(document) if place not in known]
        if known and strange and not self._other_host:
            said = f"leads to {' and '.join(strange)}, and {name} in the catalog to {' and '.join(known)}"
            raise Unfit(said, "give another server another name, or say --other-host if it has moved")
        for variable in sent(document):
            if (owner := self._sent.get(variable, name)) != name:
                said = f"would be sent {variable}, which {owner} is sent"
                raise Unfit(said, "give its connection another name: --connection")
        self._sent |= dict.fromkeys(sent(document), name)


def sent(document: Document) -> Iterator[str]:
    """The variables of the environment that a server is sent, or started with."""
    yield from variables({key: document[key] for key in ("env", "connections") if key in document})


def place_of(document: Document) -> str:
    """Where an entry leads: scheme, host and port."""
    url = document.get("upstream")
    return _place(url) if isinstance(url, str) else HERE


def places_of(document: Document) -> Iterator[str]:
    """The same, and where its connections lead besides."""
    yield place_of(document)
    connections = document.get("connections")
    for one in connections.values() if isinstance(connections, dict) else ():
        backends = one.get("backends") if isinstance(one, dict) else None
        listed = (
            backends if isinstance(backends, list) else list(backends.values()) if isinstance(backends, dict) else []
        )
        yield from (_place(str(url)) for url in listed)


def _place(url: str) -> str:
    there = origin(url)
    if there is None:
        return "nowhere"  # such an entry is refused when it is read
    scheme, host, port = there
    return f"{scheme}://{host}" + ("" if port == _PORTS[scheme] else f":{port}")


def _name(document: Document) -> str:
    return str(document.get("name", ""))


def _version(document: Document) -> str:
    return str(document.get("version", NO_VERSION))
