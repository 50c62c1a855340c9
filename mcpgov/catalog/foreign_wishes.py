"""What an entry that somebody else wrote would have us do with what is ours: tokens, programs, trust. Pure.

Rules: the gateway lists a new server by itself, so a token of ours is with a stranger's URL seconds after the file is
written. Whoever takes the entry over says first that it may have that; what is said is the audience and the place,
which the stranger chose both. What is to be started is told with every argument and variable, and a variable that
changes what a program loads, or where it is fetched from, is not taken over at all. Refuses to know: how the person
says so, and what a header or a variable holds (foreign_values.py).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, cast

from mcpgov.catalog.withheld import REFERENCE, names_a_secret
from mcpgov.credential.references import Unfit
from mcpgov.models import AuthType
from mcpgov.pinning.mode import PinMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcpgov.models import Json

    Document = Mapping[str, Json]

_TOKENS: Final = frozenset({AuthType.PROJECT_MANAGED_IDENTITY, AuthType.AGENTIC_IDENTITY, AuthType.USER_ENTRA})
_OAUTH: Final = ("tokenUrl", "refreshUrl", "revocationUrl", "authorizationUrl")
# Variables by which a dynamic linker, an interpreter or what fetches packages finds its code, in capitals.
_LOADING: Final = frozenset(
    {"PATH", "HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "BASH_ENV", "GLIBC_TUNABLES", "GCONV_PATH"}
    | {"NODE_OPTIONS", "NODE_PATH", "NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED", "SSL_CERT_FILE"}
    | {"SSL_CERT_DIR", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "RUBYOPT", "RUBYLIB"}
    | {"PERL5OPT", "PERL5LIB"}
)
_LOADING_SORTS: Final = ("LD_", "DYLD_", "NPM_CONFIG_", "PIP_", "UV_", "PYTHON", "DOCKER_", "DOTNET_", "NUGET_")
_LOADING_NOTHING: Final = frozenset({"PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE"})


def permitted(document: Document, *, tokens: bool) -> tuple[str, ...]:
    """A line about each token that an entry has us get and send. Raises Unfit where nobody said that it may."""
    lines = tuple(
        line
        for connection in _mapping(document.get("connections")).values()
        for line in _sent(_mapping(connection), _where(document, _mapping(connection)))
    )
    if lines and not tokens:
        raise Unfit("; ".join(lines), "say --tokens if it may have that")
    return lines


def is_private(document: Document) -> bool:
    """Whether an entry leads to private addresses, or signs in at some."""
    oauth = (_mapping(_mapping(one).get("oauth")) for one in _mapping(document.get("connections")).values())
    return bool(document.get("private")) or any(bool(one.get("private")) for one in oauth)


def eased(document: Document) -> Iterator[str]:
    """A line about each thing that an entry says to be trusted with, beyond what one that is imported is."""
    pin = document.get("pin", PinMode.REQUIRE.value)
    if pin != PinMode.REQUIRE:
        yield f"says pin: {pin}, so that its tools do not wait until somebody approved them"
    for name, connection in _mapping(document.get("connections")).items():
        if others := _backends(_mapping(connection)):
            yield f"{name} leads to {' and '.join(others)} too"
        if addresses := _mapping(connection).get("resolve"):
            yield f"{name} is reached at addresses that the file names: {addresses}"


def started(document: Document) -> tuple[str, ...]:
    """The line about the program that an entry starts; none where it starts none.

    Raises Unfit for a variable that changes what the program loads.
    """
    if "command" not in document:
        return ()
    command, env = document["command"], _mapping(document.get("env"))
    for name in env:
        if changes_what_is_loaded(name):
            said = f"would be started with {name}, which changes what the program loads"
            raise Unfit(said, "write its file yourself if it is to have that")
    words = shlex.join(map(str, command)) if isinstance(command, list) else str(command)
    given = f" with {' '.join(_shown(name, str(value)) for name, value in env.items())}" if env else ""
    folder = f" in {shlex.quote(str(document['cwd']))}" if document.get("cwd") else ""
    return (f"starts on this machine: {words}{given}{folder}",)


def changes_what_is_loaded(name: str) -> bool:
    """Whether a variable of the environment decides which code a program runs, or where that is fetched from."""
    capitals = name.upper()  # npm reads its own in any case
    return capitals in _LOADING or (capitals.startswith(_LOADING_SORTS) and capitals not in _LOADING_NOTHING)


def _shown(name: str, value: str) -> str:
    if REFERENCE.fullmatch(value):
        return f"{name}={value}"
    return f"{name}={'…' if names_a_secret(name) else shlex.quote(value)}"


def _sent(connection: Document, where: str) -> Iterator[str]:
    if connection.get("authType") in list(_TOKENS):
        yield f"sends a token for {connection.get('audience')} to {where}"
    if caller := _mapping(connection.get("callerToken")):
        yield f"sends a token for {caller.get('audience')} to {where}"
    if connection.get("authType") == AuthType.OAUTH2 and (oauth := _mapping(connection.get("oauth"))):
        places = dict.fromkeys(_plain(str(oauth[key])) for key in _OAUTH if oauth.get(key))
        yield f"signs in as {oauth.get('clientId')} at {' and '.join(places)}, and sends what it gets to {where}"


def _where(document: Document, connection: Document) -> str:
    """Where a connection leads: the upstream and its other backends."""
    return " and ".join((_plain(str(document.get("upstream", "a program"))), *_backends(connection)))


def _backends(connection: Document) -> tuple[str, ...]:
    said = connection.get("backends")
    listed = said if isinstance(said, list) else list(_mapping(said).values())
    return tuple(_plain(str(url)) for url in listed)


def _plain(url: str) -> str:
    """A URL without its query, in which a secret may stand."""
    return url.partition("#")[0].partition("?")[0]


def _mapping(value: Json) -> Document:
    return cast("Document", value) if isinstance(value, dict) else {}
