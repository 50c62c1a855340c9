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
import os
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)
from pydantic import ValidationInfo as Info

from mcpgov.catalog.urls import check_url
from mcpgov.credential.references import (
    UNFETCHED,
    EnvironmentAndFiles,
    Fetch,
    Lookup,
    Unfit,
    has_reference,
    unfetched,
)
from mcpgov.credential.strength import check_material
from mcpgov.endpoint.limits import is_loopback
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.identity_settings import Azure, Identity, contradictions
from mcpgov.models import Secret
from mcpgov.shapes import NUMBER, TEXT, NotYet, PolicyNames, Shape, Written, count, one_of, read_model, resolved_text
from mcpgov.yaml_source import MAX_BYTES, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcpgov.yaml_source import Source

Vaults = Callable[[Azure], Fetch]  # how Key Vault is asked by whom `azure:` says that mcpgov is, for one load

DEFAULT_FILE: Final = "mcpgov.yaml"
SQLITE: Final = "sqlite:///"
_LISTEN: Final = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")
_DATABASE: Final = re.compile(r"/?|/[0-9]{1,4}")
_PRINTABLE: Final = re.compile(r"[!-~]+")
_VALUE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,256}")


@dataclass(frozen=True, slots=True)
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


def _store(url: str) -> str:
    if url.startswith("postgresql"):
        raise Unfit("asks for PostgreSQL, which is not supported yet", "write sqlite:///FILE")
    if not url.startswith(SQLITE) or not url.removeprefix(SQLITE) or re.search(r"[?#]|:memory:", url):
        raise Unfit("is not a store that outlives the process", "write sqlite:///FILE, like sqlite:///mcpgov.db")
    return url


def _redis_url(value: object, info: Info) -> Secret:
    url = resolved_text(value, info)
    if not url.reveal().startswith(UNFETCHED):
        _check_redis_url(url.reveal())
    return url


def _check_redis_url(url: str) -> None:
    """Raise Unfit unless it leads to one database. It may hold a password: no message quotes it."""
    mend = "write redis://HOST:6379, or rediss://USER:PASSWORD@HOST:6379/0 with a password's / as %2F, its # as %23"
    no_redis = Unfit("is not the URL of a Redis", mend)
    try:
        parts = urlsplit(url if _PRINTABLE.fullmatch(url) else "")
        leads_somewhere = parts.hostname and parts.port != 0
    except ValueError:
        raise no_redis from None
    if parts.scheme not in {"redis", "rediss"} or not leads_somewhere:
        raise no_redis
    if parts.query or parts.fragment or not _DATABASE.fullmatch(parts.path):
        raise Unfit("has more behind the host than the number of a database", mend)


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


class Audit(Shape):
    """Where the ledger is, and when a record counts as written."""

    store: Annotated[str, AfterValidator(_store)] = "sqlite:///mcpgov.db"
    durability: Annotated[str, AfterValidator(one_of("durable", "os-cache"))] = "durable"
    outcome: NotYet = None


class Counters(Shape):
    """Where limits are counted: in memory, or in the Redis at `url`; `when_down` says what happens while that is down.

    `counters: redis://…` and `counters: memory` are the short forms.
    """

    url: Annotated[Secret, PlainValidator(_redis_url), TEXT] | None = None
    when_down: Literal["deny", "local"] = "deny"

    @model_validator(mode="before")
    @classmethod
    def _written_short(cls, value: object) -> object:
        if isinstance(value, str):
            return {} if value == "memory" else {"url": value}
        if not isinstance(value, dict | Counters):
            raise Unfit("must be memory, a URL or a mapping", "write memory, or redis://HOST:6379")
        return cast("object", value)

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.url is None and self.model_fields_set:
            raise Unfit("has no url", "add url: redis://HOST:6379")
        return self


class Limits(Shape):
    """What a request may be at most: its body in bytes, its nesting, its keys, its longest text in bytes."""

    body_bytes: Annotated[int, count("bytes", 1024, 64 * 1024 * 1024), NUMBER] = 4 * 1024 * 1024
    depth: Annotated[int, count("levels", 4, 256), NUMBER] = 64
    keys: Annotated[int, count("keys", 16, 100_000), NUMBER] = 10_000
    string_bytes: Annotated[int, count("bytes", 1024, 64 * 1024 * 1024), NUMBER] = 1024 * 1024


class Secrets(Shape):
    """`key` seals session ids and keys the digests of arguments; base64 of at least 32 random bytes."""

    key: Annotated[Secret, PlainValidator(_secret_key), TEXT] | None = None

    @property
    def material(self) -> bytes | None:
        """The bytes of `key`; None where none is set."""
        return _decoded(self.key) if self.key else None


class Experimental(Shape):
    """What may change or go without notice. Nothing at present."""


class Settings(Shape):
    """Everything that mcpgov.yaml says. Paths are usable as they stand: the file's folder is in them."""

    listen: Listen = Address("127.0.0.1", 8080)
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    admin: NotYet = None
    catalog: Folder = Path("catalog")
    policies: Folder = Path("policies")
    global_policies: PolicyNames = ()
    identity: Identity = Identity()
    azure: Annotated[Azure | None, Written] = None
    audit: Audit = Audit()
    counters: Counters = Counters()
    named_values: dict[Annotated[str, AfterValidator(_value_name)], NamedValue] = Field(default_factory=dict)
    registry: NotYet = None
    trusted_proxies: tuple[Network, ...] = ()
    limits: Limits = Limits()
    secrets: Secrets = Secrets()
    experimental: Experimental = Experimental()

    @property
    def is_local(self) -> bool:
        """Whether only this machine can call, and no proxy brings in others."""
        return self.listen.loopback and not self.public_url and not self.trusted_proxies


class _Ahead(Shape):
    """What has to be known before a Key Vault can be asked."""

    model_config = ConfigDict(extra="ignore")

    azure: Annotated[Azure | None, Written] = None


class _Stored(Shape):
    """Where the store is, whatever else the file says."""

    model_config = ConfigDict(extra="ignore")

    audit: Audit = Audit()


def stand_ins(_: Azure) -> Fetch:
    """The Vaults of verbs that connect nowhere, and for which it does not matter what a secret is."""
    return unfetched


def no_vaults(_: Azure) -> Fetch:
    """The Vaults of those who were given none: they refuse, because a stand-in must never be served with."""

    def fetch(url: str) -> str:
        raise Unfit(f"names {url}, and no Key Vault is asked here", "write ${env:NAME} or ${file:PATH}")

    return fetch


def stood_in(variables: Mapping[str, str]) -> Mapping[str, str]:
    """The environment of verbs for which it does not matter what a secret is: one that is not set has a stand-in."""
    return defaultdict(lambda: unfetched(""), {name: value for name, value in variables.items() if value.strip()})


def load_settings(path: Path | None) -> Settings:
    """What a file, or else ./mcpgov.yaml, says of `audit`; all other settings have their defaults.

    For verbs that need the store alone. A key is revoked and a record read also while a secret is not set, or the file
    is wrong elsewhere; only an unknown key where there is no `audit` may be that one misspelt. Raises
    InvalidConfiguration.
    """
    place = path or Path(DEFAULT_FILE)
    if path is None and not os.path.lexists(place):
        return Settings()
    source, lookup = parse_yaml(read_text(place), str(place)), EnvironmentAndFiles({}, folder_of(place))
    stored = read_model(_Stored, source, lookup)
    if not stored.model_fields_set and set(cast("dict[str, object]", source.value)) - Settings.model_fields.keys():
        read_model(Settings, source, EnvironmentAndFiles(stood_in(os.environ), folder_of(place), unfetched))
    return _rooted(Settings(audit=stored.audit), place.parent)


def lookup_for(text: str, place: Path, variables: Mapping[str, str], vaults: Vaults) -> EnvironmentAndFiles:
    """Where the references in the settings that `text` holds, and in the files beside them, find their values.

    `azure:` is read ahead of all else. Where it is wrong nothing is fetched, and nothing will be put in force.
    """
    folder = folder_of(place)
    try:
        azure = read_model(_Ahead, parse_yaml(text, str(place)), EnvironmentAndFiles(variables, folder)).azure
    except InvalidConfiguration:
        return EnvironmentAndFiles(variables, folder, unfetched)
    return EnvironmentAndFiles(variables, folder, vaults(azure) if azure else None)


def parse_settings(text: str, file: str, lookup: Lookup | None = None) -> Settings:
    """The settings that `text` holds. Raises InvalidConfiguration with every problem."""
    source = parse_yaml(text, file)
    settings = read_model(Settings, source, lookup or EnvironmentAndFiles({}, str(Path(file).parent)))
    if unsafe := tuple(_unsafe(settings, source)):
        raise InvalidConfiguration(unsafe)
    return _rooted(settings, Path(file).parent)


def folder_of(place: Path) -> str:
    """The folder of a file: in full, because messages name what is in it, unless where we are was deleted."""
    try:
        return str(place.parent.absolute())
    except FileNotFoundError:
        return str(place.parent)


def _unsafe(settings: Settings, source: Source) -> Iterator[Problem]:
    """What each setting allows and all of them together do not."""
    if settings.identity.allow_anonymous:
        at, mend = ("identity", "allow_anonymous"), "remove it, and make keys with: mcpgov keys create NAME"
        if not settings.listen.loopback:
            yield source.problem(at, f"strangers can reach {settings.listen}, and would need no key", mend)
        if settings.public_url or settings.trusted_proxies:
            yield source.problem(at, "strangers come in through the proxy, and would need no key", mend)
    for path, message, mend in contradictions(settings.identity, settings.azure):
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
        said = f"clients would be told that this is http://{settings.listen}, where they cannot call"
        yield source.problem(at, said, mend, at_key=True)
    for at in settings.identity.sign_ins:
        yield source.problem(at, "browsers have no URL to come back to", mend, at_key=True)


def _rooted(settings: Settings, folder: Path) -> Settings:
    """The settings with every relative path starting from `folder`."""
    store = SQLITE + str(folder / settings.audit.store.removeprefix(SQLITE))
    paths = {"catalog": folder / settings.catalog, "policies": folder / settings.policies}
    return settings.model_copy(update={**paths, "audit": settings.audit.model_copy(update={"store": store})})


def read_text(place: Path) -> str:
    """The text of a regular file. Raises InvalidConfiguration."""
    try:
        if place.exists() and not place.is_file():  # a pipe or a device would hold up the load, or never end
            raise InvalidConfiguration((Problem(str(place), 0, 0, "this is not a file"),))
        with place.open("rb") as opened:
            return opened.read(MAX_BYTES + 1).decode("utf-8")
    except OSError as error:
        raise InvalidConfiguration((Problem(str(place), 0, 0, f"cannot be read: {error.strerror}"),)) from None
    except UnicodeDecodeError:
        raise InvalidConfiguration((Problem(str(place), 0, 0, "this is not text", "save it as UTF-8"),)) from None
