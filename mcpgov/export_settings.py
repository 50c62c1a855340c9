"""The `audit.exports:` part of mcpgov.yaml: the places that every record is exported to, and in which format.

Decides what each key means and its default. Rules: a place is reached over TLS, unless it is in a network of one's own;
what is lost unseen (UDP) is refused. Refuses to know: how records get there.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator
from pydantic import ValidationInfo as Info

from mcpgov.credential.references import UNFETCHED, Unfit
from mcpgov.destinations import origin
from mcpgov.models import Secret
from mcpgov.shapes import TEXT, Filled, Flag, Shape, resolved_text

FILES: Final = ("jsonl", "csv", "parquet", "cloudevents", "ocsf")
# The formats that go to each kind of place; the first is the one that is meant where none is written.
EXPORT_FORMATS: Final = {
    "file": FILES,
    "https": ("otlp", "cloudevents", "ocsf", "jsonl", "azure-monitor"),
    "http": ("otlp", "cloudevents", "ocsf", "jsonl", "azure-monitor"),
    "syslog+tls": ("syslog",),
    "syslog+tcp": ("syslog",),
}
_EXPORT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# A stream of a data collection rule (Logs Ingestion API), and the clouds whose endpoints are Azure's own.
_STREAM: Final = re.compile(
    r"https?://[^/]+/dataCollectionRules/dcr-[0-9a-f]{32}/streams/Custom-[A-Za-z0-9_]{1,63}\?api-version=2023-01-01"
)
_AZURE: Final = re.compile(r"https://[a-z0-9-]+(?:\.[a-z0-9-]+)*\.ingest\.monitor\.azure\.(com|cn|us)/.+")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLACES: Final = re.compile(
    r"(?P<scheme>file):///[!-~]+|(?P<web>https?)://[^/?#@\s]+(?:[/?][!-~]*)?|"
    rf"(?P<syslog>syslog\+t(?:ls|cp))://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{{1,5}}|{re.escape(UNFETCHED)}.*"
)


def _export_name(name: str) -> str:
    if not _EXPORT_NAME.fullmatch(name):
        raise Unfit("is no name of an export", "write small letters, digits and dashes, like: siem")
    return name


def _to(value: object, info: Info) -> Secret:
    place = resolved_text(value, info)
    if place.reveal().startswith("syslog+udp:"):
        raise Unfit("asks for syslog over UDP, which loses records unseen", "write syslog+tls://HOST:6514")
    found = _PLACES.fullmatch(place.reveal())
    if not found or (found["web"] and origin(place.reveal()) is None):
        mend = "write file:///FOLDER, https://HOST/PATH, syslog+tls://HOST:PORT or syslog+tcp://HOST:PORT"
        raise Unfit("is no place for exports", mend)
    return place


def _header_value(value: object, info: Info) -> Secret:
    text = resolved_text(value, info)
    if not re.fullmatch(r"[ -~]+", text.reveal()):
        raise Unfit("cannot be sent in a header", "write printable ASCII on one line")
    return text


def _header_name(name: str) -> str:
    if not _HEADER.fullmatch(name) or name.lower() in {"host", "content-type", "content-length", "transfer-encoding"}:
        raise Unfit("is no header that can be set here", "write a name such as Authorization")
    return name


_HeaderName = Annotated[str, AfterValidator(_header_name)]
_HeaderValue = Annotated[Secret, PlainValidator(_header_value), TEXT]


class ExportSettings(Shape):
    """A place that every record is exported to. `name` is that of its cursor: another name begins anew."""

    name: Annotated[str, AfterValidator(_export_name)]
    to: Annotated[Secret, PlainValidator(_to), TEXT]
    format: str = ""
    headers: dict[_HeaderName, _HeaderValue] = Field(default_factory=dict[str, Secret])
    private: Flag = False
    close_notify: Flag = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        fit = EXPORT_FORMATS.get(self.scheme)
        if fit and self.format and self.format not in fit:
            raise Unfit(f"cannot be sent as {self.format} to {self.scheme}:", f"write format: {' or '.join(fit)}")
        if self.scheme in {"http", "syslog+tcp"} and not self.private:
            mend = "write https: or syslog+tls:, or private: true for a network of your own"
            raise Unfit("goes over the network in the clear", mend)
        if self.headers and self.scheme not in {"https", "http", ""}:
            raise Unfit("has headers, which only http has", "remove headers:")
        if not self.close_notify and self.scheme not in {"syslog+tls", ""}:
            raise Unfit("has close_notify, which only syslog+tls has", "remove close_notify:")
        if self.format == "azure-monitor":
            self._fits_azure_monitor()
        return self

    def _fits_azure_monitor(self) -> None:
        """Our own token goes where this says. Raises Unfit."""
        place = self.to.reveal()
        if self.headers:
            raise Unfit("has headers, and azure-monitor has its own", "remove headers:")
        if not self.scheme:
            return
        if not _STREAM.fullmatch(place):
            mend = "write https://DCE.ingest.monitor.azure.com/dataCollectionRules/dcr-…/streams/Custom-McpGov_CL"
            raise Unfit("is no stream of a data collection rule", f"{mend}?api-version=2023-01-01")
        if not _AZURE.fullmatch(place) and not self.private:
            raise Unfit("is no ingestion endpoint of Azure, which alone gets mcpgov's token", "look at the host")

    @property
    def scope(self) -> str:
        """What a token for Azure Monitor is asked for, in the cloud of the place."""
        found = _AZURE.fullmatch(self.to.reveal())
        return f"https://monitor.azure.{found[1] if found else 'com'}/.default"

    @property
    def scheme(self) -> str:
        """What kind of place it is; empty where only a running gateway knows."""
        found = _PLACES.fullmatch(self.to.reveal())
        return found.group("scheme") or found.group("web") or found.group("syslog") or "" if found else ""

    @property
    def written_as(self) -> str:
        """The format that is meant."""
        return self.format or EXPORT_FORMATS.get(self.scheme, ("",))[0]


def _once(exports: tuple[ExportSettings, ...]) -> tuple[ExportSettings, ...]:
    names = [export.name for export in exports]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Unfit(f"has two that are called {twice[0]}", "give each a name of its own")
    return exports


Exports = Annotated[tuple[ExportSettings, ...], Filled, AfterValidator(_once)]
