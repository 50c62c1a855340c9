"""mcpgov.yaml: one frozen Settings, every key optional, all errors at once with file, line, column and mend.

Decides what each key means and its default. Rules: a key or value that belongs to a later version is refused by name,
never ignored, so that nobody believes in a protection that is not there. Anonymous callers only where no stranger can
reach us. A secret that is weak or a placeholder is refused. Relative paths start from the folder of the file.
Refuses to know: what is done with the settings.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from pydantic import ValidationInfo as Info

from mcpgov.aggregate_settings import Aggregate
from mcpgov.audit_settings import SQLITE, Audit
from mcpgov.catalog.urls import check_url
from mcpgov.credential.references import (
    EnvironmentAndFiles,
    Lookup,
    Unfit,
    has_reference,
)
from mcpgov.credential.strength import check_material
from mcpgov.database_settings import Counters, by_token
from mcpgov.endpoint.limits import is_loopback
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.frozen import frozen
from mcpgov.identity_settings import Azure, Identity, contradictions
from mcpgov.limit_settings import Limits
from mcpgov.log_settings import Log
from mcpgov.logger_settings import EventHub, LoggerName
from mcpgov.models import Secret
from mcpgov.shapes import TEXT, Flag, PolicyNames, Shape, Written, read_model, resolved_text
from mcpgov.tls_settings import Tls
from mcpgov.yaml_source import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.yaml_source import Source


_LISTEN: Final = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")
_EVERY: Final = re.compile(r"([1-9][0-9]{0,4})([smh])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}
_VALUE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,256}")
_SERVERS: Final = re.compile(r"[A-Za-z0-9._/*?-]{1,200}")
_SEEN: Final = {"anyOf": [{"enum": ["none", "all"]}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


@frozen
class Address:
    """Where to listen: an IP address or localhost, and a port; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _listen(value: object) -> Address:
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    mend = "write ADDRESS:PORT, like 127.0.0.1:8080, or 0.0.0.0:8080 for every interface"
    if match is None or int(match["port"]) > 65_535:
        raise Unfit("is not an address to listen on", mend)
    host = (match["v6"] or match["host"]).lower()
    try:
        return Address(host if host == "localhost" else str(ipaddress.ip_address(host)), int(match["port"]))
    except ValueError:
        raise Unfit("is not an IP address and port", mend) from None


def _network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(value if isinstance(value, str) else "", strict=False)
        ipaddress.ip_network(str(value))
    except ValueError:
        raise Unfit(
            "is not a network", "write one like 10.0.0.0/8 or 10.1.2.3, with no bits set after the prefix"
        ) from None
    if network.prefixlen == 0:
        raise Unfit(
            "trusts everyone, so that every caller could choose its own address", "name the proxies' own networks"
        )
    return network


def _folder(value: object) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise Unfit("is not the path of a folder", "write one like ./catalog")
    return Path(value)


def _public_url(url: str) -> str:
    try:
        check_url(url, private=True)
    except Unfit as unfit:  # its mend is for the URL of an upstream
        raise Unfit(str(unfit), "write https://host, like https://mcp.contoso.com") from None
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise Unfit("is plain http, which shows keys and tokens to the network", "write https://mcp.contoso.com")
    if re.search(r"[/?]", url.partition("://")[2].removesuffix("/")):
        raise Unfit("has a path or a query", "write only the scheme and the host, like https://mcp.contoso.com")
    return url.removesuffix("/")


def _secret_key(value: object, info: Info) -> Secret:
    secret = resolved_text(value, info)
    try:
        material = _decoded(secret)
    except binascii.Error:
        raise Unfit("is not base64", "make one with: openssl rand -base64 32") from None
    check_material(secret.reveal(), material)
    return secret


def _value_name(name: str) -> str:
    if not _VALUE_NAME.fullmatch(name):
        raise Unfit("is not the name of a value", "use 1 to 256 letters, digits, dots, dashes and underscores")
    return name


def _named_value(value: object, info: Info) -> str | Secret:
    secret = resolved_text(value, info)
    return secret if has_reference(str(value)) else secret.reveal()


def _decoded(secret: Secret) -> bytes:
    """The bytes of base64 text, in the standard or the URL alphabet, padded or not."""
    text = secret.reveal().strip().translate(str.maketrans("-_", "+/")).rstrip("=")
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), validate=True)


Listen = Annotated[Address, PlainValidator(_listen), PlainSerializer(str, return_type=str), TEXT]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, PlainValidator(_network), TEXT]
Folder = Annotated[Path, PlainValidator(_folder), TEXT]
NamedValue = Annotated[str | Secret, PlainValidator(_named_value), TEXT]


def _url(listen: Address, tls: Tls | None) -> str:
    return f"{'https' if tls else 'http'}://{listen}"


class Admin(Shape):
    """Where operators come in: the console and the admin API. `public_url` is where browsers reach them."""

    listen: Listen = Address("127.0.0.1", 8081)
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    tls: Annotated[Tls | None, Written] = None

    @property
    def url(self) -> str:
        """Where operators come in: scheme and host."""
        return self.public_url or _url(self.listen, self.tls)


class Secrets(Shape):
    """`key` seals session ids and keys the digests of arguments; base64 of at least 32 random bytes. `former_keys` are
    those that stood there before, the newest first: digests that were made with them are still found.
    """

    key: Annotated[Secret, PlainValidator(_secret_key), TEXT] | None = None
    former_keys: tuple[Annotated[Secret, PlainValidator(_secret_key), TEXT], ...] = ()

    @property
    def material(self) -> bytes | None:
        """The bytes of `key`; None where none is set."""
        return _decoded(self.key) if self.key else None

    @property
    def former_materials(self) -> tuple[bytes, ...]:
        """The bytes of each of `former_keys`."""
        return tuple(map(_decoded, self.former_keys))

    @model_validator(mode="after")
    def _former_to_something(self) -> Self:
        if self.former_keys and not self.key:
            raise Unfit("has former_keys and no key", "add key: ${env:NAME}")
        return self


def _seen(value: object) -> tuple[str, ...]:
    mend = "write none, all, or names of servers like [com.contoso/*]"
    if value in ("none", "all"):
        return ("*",) if value == "all" else ()
    names = cast("list[object]", value) if isinstance(value, list) else []
    found = tuple(name for name in names if isinstance(name, str) and _SERVERS.fullmatch(name))
    if not names or len(found) < len(names):
        raise Unfit("is neither none nor all, nor a list of names of servers", mend)
    return found


def _shown(seen: tuple[str, ...]) -> str | list[str]:
    return list(seen) or "none"


class Registry(Shape):
    """Who sees the registry. `anonymous`: the servers that callers without a credential see, as names and patterns."""

    anonymous: Annotated[tuple[str, ...], PlainValidator(_seen), PlainSerializer(_shown), WithJsonSchema(_SEEN)] = ()


def _every(value: object) -> float | None:
    if value == "off":
        return None
    match = _EVERY.fullmatch(value) if isinstance(value, str) else None
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 10 <= seconds <= 86_400:
        raise Unfit("is no time from 10s to 24h", "write it like 5m, or off")
    return float(seconds)


class Health(Shape):
    """How often servers are asked whether they are there, in seconds; None is never."""

    every: Annotated[float | None, PlainValidator(_every), TEXT] = 300.0


class Experimental(Shape):
    """What may change or go without notice. `server_cards`: MCP server cards, and the AI catalog that lists them.
    `upstream_client`: which HTTP client speaks to remote servers.
    """

    server_cards: Flag = False
    upstream_client: Literal["own", "aiohttp"] = "own"


class Settings(Shape):
    """Everything that mcpgov.yaml says. Paths are usable as they stand: the file's folder is in them."""

    listen: Listen = Address("127.0.0.1", 8080)
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    tls: Annotated[Tls | None, Written] = None
    admin: Annotated[Admin | None, Written] = None
    catalog: Folder = Path("catalog")
    policies: Folder = Path("policies")
    global_policies: PolicyNames = ()
    identity: Identity = Identity()
    azure: Annotated[Azure | None, Written] = None
    audit: Audit = Audit()
    counters: Counters = Counters()
    named_values: dict[Annotated[str, AfterValidator(_value_name)], NamedValue] = Field(default_factory=dict)
    health: Health = Health()
    loggers: dict[LoggerName, EventHub] = Field(default_factory=dict[str, EventHub])
    aggregate: Annotated[Aggregate | None, Written] = None
    registry: Annotated[Registry, Written] = Registry()
    trusted_proxies: tuple[Network, ...] = ()
    limits: Limits = Limits()
    log: Log = Log()
    secrets: Secrets = Secrets()
    experimental: Experimental = Experimental()

    @property
    def url(self) -> str:
        """Where callers reach us: scheme and host, without a slash at its end."""
        return self.public_url or _url(self.listen, self.tls)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can call, and no proxy brings in others."""
        return self.listen.loopback and not self.public_url and not self.trusted_proxies


def parse_settings(text: str, file: str, lookup: Lookup | None = None) -> Settings:
    """The settings that `text` holds. Raises InvalidConfiguration with every problem."""
    source = parse_yaml(text, file)
    settings = read_model(Settings, source, lookup or EnvironmentAndFiles({}, str(Path(file).parent)))
    if unsafe := tuple(_unsafe(settings, source)):
        raise InvalidConfiguration(unsafe)
    return rooted(settings, Path(file).parent)


def _unsafe(settings: Settings, source: Source) -> Iterator[Problem]:
    """What each setting allows and all of them together do not."""
    if settings.identity.allow_anonymous:
        at, mend = ("identity", "allow_anonymous"), "remove it, and make keys with: mcpgov keys create NAME"
        if not settings.listen.loopback:
            yield source.problem(at, f"strangers can reach {settings.listen}, and would need no key", mend)
        if settings.public_url or settings.trusted_proxies:
            yield source.problem(at, "strangers come in through the proxy, and would need no key", mend)
    for path, message, mend in (
        *contradictions(settings.identity, settings.azure),
        *_keyless(settings),
        *_without_azure(settings),
        *by_token(settings.audit, settings.counters, settings.azure),
        *_one_listener(settings),
    ):
        yield source.problem(path, message, mend)
    if settings.identity.proxy and not settings.trusted_proxies:
        at, mend = ("identity", "proxy"), "list the proxy's network in trusted_proxies"
        yield source.problem(at, "no proxy is trusted, so that nobody could come in this way", mend, at_key=True)
    if not settings.public_url:
        yield from _without_public_url(settings, source)


def _without_public_url(settings: Settings, source: Source) -> Iterator[Problem]:
    """What clients and browsers are told a URL of ours for, and cannot be where nobody says which it is."""
    mend = "add public_url, like https://mcp.contoso.com"
    for at in () if settings.is_local else settings.identity.token_issuers:
        said = f"clients would be told that this is {settings.url}, where they cannot call"
        yield source.problem(at, said, mend, at_key=True)
    for at in settings.identity.sign_ins:
        yield source.problem(at, "browsers have no URL to come back to", mend, at_key=True)


def _keyless(settings: Settings) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is missing beside a store that is no file."""
    if isinstance(settings.audit.store, Secret) and not settings.secrets.key:
        mend = "add secrets: { key: ${env:NAME} }, the same for every gateway of this store"
        yield ("audit", "store"), "no file lies beside a PostgreSQL that could hold the key of digests", mend


def _without_azure(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """What mcpgov has no identity of its own for."""
    if settings.azure is not None:
        return
    for number, one in enumerate(settings.audit.exports):
        if one.format == "azure-monitor":
            at = ("audit", "exports", number, "format")
            yield at, "Azure Monitor asks who mcpgov is", "add azure: { tenant_id: … }"
    for name, hub in settings.loggers.items():
        if hub.connection_string is None:
            mend = "add azure: { tenant_id: … }, or a connection_string"
            yield ("loggers", name), "the event hub asks who mcpgov is", mend


def _one_listener(settings: Settings) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Where operators and agents would come in by the same door."""
    if settings.admin and settings.admin.listen.port and settings.admin.listen == settings.listen:
        yield ("admin",), f"{settings.listen} is where agents call", "give `listen` and `admin.listen` a port each"


def rooted(settings: Settings, folder: Path) -> Settings:
    """The settings with every relative path starting from `folder`."""
    store, *sinks = (
        place if isinstance(place, Secret) else SQLITE + str(folder / place.removeprefix(SQLITE))
        for place in (settings.audit.store, *settings.audit.sinks)
    )
    paths = {"catalog": folder / settings.catalog, "policies": folder / settings.policies}
    audit = settings.audit.model_copy(update={"store": store, "sinks": tuple(sinks)})
    admin = settings.admin
    if admin and admin.tls:
        admin = admin.model_copy(update={"tls": admin.tls.rooted(folder)})
    listeners = {"admin": admin, "tls": settings.tls and settings.tls.rooted(folder)}
    return settings.model_copy(update={**paths, **listeners, "audit": audit})
