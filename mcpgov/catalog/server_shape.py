"""What a server.json may say: the rules of the MCP registry's schema of 2025-12-11. Pure.

Only the members that have a rule are named; what is unknown is kept as it is and never judged, because registries and
later schemas add members of their own. Nothing is repaired. Refuses to know: which of it a catalog entry uses.
Source: https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json; the registry's API documentation
for the 4 KB of what a publisher adds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mcpgov.catalog.listed import OURS
from mcpgov.credential.references import Unfit
from mcpgov.shapes import Flag
from mcpgov.strict_json import dumps
from mcpgov.yaml_source import problems_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcpgov.errors import Problem
    from mcpgov.models import Json
    from mcpgov.yaml_source import Path, Source

SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
PUBLISHED: Final = "io.modelcontextprotocol.registry/publisher-provided"
MOST_PUBLISHED: Final = 4096  # bytes
LONGEST_NAME: Final = 200
LONGEST_LINE: Final = 100  # of a title, and of a description
LONGEST_VERSION: Final = 255
_NAME: Final = re.compile(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+")
_VERSION: Final = re.compile(r"(?!latest$)[0-9A-Za-z](?:[0-9A-Za-z.+_-]*[0-9A-Za-z])?")
_WILDCARD: Final = re.compile(r"(?:^|\.)[xX](?:\.|$)")  # 1.x is a range
_TEMPLATE: Final = re.compile(r"https?://\S+|\{[a-zA-Z_][a-zA-Z0-9_]*\}\S*")
_SIZE: Final = re.compile(r"[0-9]+x[0-9]+|any")
_SHA256: Final = re.compile(r"[a-f0-9]{64}")


def server_name(name: str) -> str:
    """A name of the MCP registry. Raises Unfit."""
    if not _NAME.fullmatch(name):
        raise Unfit("is not a server name of the MCP registry", "write one like com.contoso/github")
    return name


def one_version(version: str) -> str:
    """One version, in any notation. Raises Unfit for a range."""
    if not _VERSION.fullmatch(version) or _WILDCARD.search(version):
        raise Unfit("is not one version", "write one like 1.0.0, not a range")
    return version


def one_line(text: str) -> str:
    """A text without line breaks and control characters. Raises Unfit."""
    if not text.isprintable():
        raise Unfit("holds a line break or a control character", "write it in one line")
    return text


def web_address(url: str) -> str:
    """An http or https URL for people; nothing connects to it. Raises Unfit."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        fits = False
    if not fits or not url.isprintable() or " " in url:
        raise Unfit("is not a URL", "write it as https://host/path")
    return url


def _https(url: str) -> str:
    if not url.lower().startswith("https://"):
        raise Unfit("is not an https URL", "write it as https://host/path")
    return web_address(url)


def _fits(pattern: re.Pattern[str], message: str, mend: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise Unfit(message, mend)
        return text

    return AfterValidator(check)


def _not_ours(meta: dict[str, Any]) -> dict[str, Any]:
    if OURS in meta:
        raise Unfit(f"holds {OURS}, which mcpgov writes itself", "write these as keys of the entry")
    if len(dumps(meta.get(PUBLISHED, {}))) > MOST_PUBLISHED:
        raise Unfit(f"holds more than {MOST_PUBLISHED} bytes of {PUBLISHED}", "shorten it")
    if not isinstance(meta.get(PUBLISHED, {}), dict):
        raise Unfit(f"holds {PUBLISHED}, which is no mapping", "write key: value")
    return meta


Uri = Annotated[str, AfterValidator(web_address)]
Version = Annotated[str, Field(max_length=LONGEST_VERSION), AfterValidator(one_version)]
UrlTemplate = Annotated[
    str, _fits(_TEMPLATE, "is not a URL, nor a template of one", "write https://host/path or {variable}/path")
]


class Part(BaseModel):
    """A mapping of server.json: what has no rule is let be."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)


class Input(Part):
    """A value, or what is asked of a person for one."""

    choices: tuple[str, ...] = ()
    default: str = ""
    description: str = ""
    format: Literal["string", "number", "boolean", "filepath"] = "string"
    is_required: Flag = Field(default=False, alias="isRequired")
    is_secret: Flag = Field(default=False, alias="isSecret")
    placeholder: str = ""
    value: str | None = None


class InputWithVariables(Input):
    """A value in which {names} stand for others."""

    variables: dict[str, Input] = Field(default_factory=dict[str, Input])


class KeyValueInput(InputWithVariables):
    """A header, or a variable of the environment."""

    name: Annotated[str, Field(min_length=1)]


class Argument(InputWithVariables):
    """An argument of a command line."""

    type: Literal["positional", "named"]
    name: str = ""
    value_hint: str | None = Field(None, alias="valueHint")
    is_repeated: Flag = Field(default=False, alias="isRepeated")


class Transport(Part):
    """How a package is spoken to once it runs."""

    type: Literal["stdio", "streamable-http", "sse"]
    url: UrlTemplate = ""
    headers: tuple[KeyValueInput, ...] = ()


class Remote(Part):
    """Where a server is reached."""

    type: Literal["streamable-http", "sse"]
    url: UrlTemplate
    headers: tuple[KeyValueInput, ...] = ()
    variables: dict[str, Input] = Field(default_factory=dict[str, Input])


class Package(Part):
    """What is installed to run a server."""

    registry_type: Annotated[str, Field(min_length=1)] = Field(alias="registryType")
    registry_base_url: Uri = Field("", alias="registryBaseUrl")
    identifier: Annotated[str, Field(min_length=1)]
    version: Version = ""
    file_sha256: Annotated[str, _fits(_SHA256, "is not a SHA-256", "write 64 digits 0-9 a-f")] = Field(
        "", alias="fileSha256"
    )
    runtime_hint: str = Field("", alias="runtimeHint")
    transport: Transport
    runtime_arguments: tuple[Argument, ...] = Field((), alias="runtimeArguments")
    package_arguments: tuple[Argument, ...] = Field((), alias="packageArguments")
    environment: tuple[KeyValueInput, ...] = Field((), alias="environmentVariables")


class Icon(Part):
    """A picture of the server."""

    src: Annotated[str, Field(max_length=255), AfterValidator(_https)]
    mime_type: Literal["image/png", "image/jpeg", "image/jpg", "image/svg+xml", "image/webp"] = Field(
        "image/png", alias="mimeType"
    )
    sizes: tuple[Annotated[str, _fits(_SIZE, "is not a size", "write one like 48x48, or any")], ...] = ()
    theme: Literal["light", "dark"] = "light"


class Repository(Part):
    """Where the source code is."""

    url: Uri
    source: Annotated[str, Field(min_length=1)]
    id: str = ""
    subfolder: str = ""


class ServerShape(Part):
    """What server.json says besides what an entry has keys of its own for."""

    schema_: Uri = Field("", alias="$schema")
    repository: Repository | None = None
    website_url: Uri = Field("", alias="websiteUrl")
    icons: tuple[Icon, ...] = ()
    packages: tuple[Package, ...] = ()
    remotes: tuple[Remote, ...] = ()
    meta: Annotated[dict[str, Any], AfterValidator(_not_ours)] = Field(default_factory=dict[str, Any], alias="_meta")


class ServerJson(ServerShape):
    """A whole server.json. What is ours in its `_meta` has to be taken out before."""

    name: Annotated[str, Field(min_length=3, max_length=LONGEST_NAME), AfterValidator(server_name)]
    title: Annotated[str, Field(min_length=1, max_length=LONGEST_LINE), AfterValidator(one_line)] = "-"
    description: Annotated[str, Field(min_length=1, max_length=LONGEST_LINE), AfterValidator(one_line)]
    version: Version


def wrong_with(model: type[ServerShape], value: Json, source: Source, at: Path = ()) -> Iterator[Problem]:
    """Everything in `value`, which stands in a file at `at`, that `model` does not allow."""
    try:
        shape = model.model_validate(value)
    except ValidationError as error:
        yield from problems_of(error, source, None, at)
    else:
        yield from _contradictions(shape, source, at)


def _contradictions(shape: ServerShape, source: Source, at: Path) -> Iterator[Problem]:
    """What each member allows and all of them together do not."""
    for number, package in enumerate(shape.packages):
        here = (*at, "packages", number)
        if package.transport.type != "stdio" and not package.transport.url:
            yield source.problem((*here, "transport"), f"transport {package.transport.type} without url", "add url")
        for key, arguments in (
            ("runtimeArguments", package.runtime_arguments),
            ("packageArguments", package.package_arguments),
        ):
            for place, argument in enumerate(arguments):
                if argument.type == "named" and not argument.name:
                    yield source.problem((*here, key, place), "a named argument without a name", "add name")
                if argument.type == "positional" and argument.value is None and argument.value_hint is None:
                    said, mend = "a positional argument without a value", "add value, or valueHint"
                    yield source.problem((*here, key, place), said, mend)


def members(document: Mapping[str, Json]) -> frozenset[str]:
    """The members of `document` that a catalog entry has keys of its own for, and that stand under `server` wrongly."""
    return frozenset(document) & {"name", "title", "description", "version"}
