"""The `loggers:` part of mcpgov.yaml: the event hubs that policies may send to, by the name that policies know.

Rules: over TLS to Azure's own namespaces, unless it is in a network of one's own, because mcpgov's own token or the
signature of its key goes along; a connection string is one of this very event hub. Refuses to know: what is sent there.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, PlainValidator, model_validator
from pydantic import ValidationInfo as Info

from mcpgov.credential.references import UNFETCHED, Unfit
from mcpgov.frozen import frozen
from mcpgov.models import Secret
from mcpgov.shapes import TEXT, Flag, Shape, resolved_text

_HUB: Final = re.compile(
    r"(?P<scheme>sb|https?)://(?P<host>[A-Za-z0-9.-]+(?::[0-9]{1,5})?)/(?P<hub>[A-Za-z0-9][A-Za-z0-9._-]{0,255})(?:/messages)?/?"
)
_AZURE: Final = re.compile(r"[a-z0-9-]+\.servicebus\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)")
_ENDPOINT: Final = re.compile(r"(?:sb|https?)://(?P<place>[A-Za-z0-9.-]+(?::[0-9]{1,5})?)/?")
_SIGNS: Final = ("sharedaccesskeyname", "sharedaccesskey")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_MEND: Final = "write https://NAMESPACE.servicebus.windows.net/EVENTHUB"


@frozen
class SharedKey:
    """A shared access key, and its name."""

    name: str
    key: Secret = field(repr=False)


def _event_hub(url: str) -> str:
    found = _HUB.fullmatch(url)
    if found is None:
        raise Unfit("is not the URL of an event hub", _MEND)
    scheme = "http" if found["scheme"] == "http" else "https"
    return f"{scheme}://{found['host'].lower()}/{found['hub']}"


def _connection_string(value: object, info: Info) -> Secret:
    text = resolved_text(value, info)
    if text.reveal().startswith(UNFETCHED):
        return text
    named = _parts(text)
    signs = all(re.fullmatch(r"[!-~]+", named.get(name, "")) for name in _SIGNS)
    if not signs or not _ENDPOINT.fullmatch(named.get("endpoint", "")):
        raise Unfit("is no connection string", "copy it whole: Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…")
    return text


def _parts(connection_string: Secret) -> dict[str, str]:
    pairs = (part.partition("=") for part in connection_string.reveal().strip().split(";") if "=" in part)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


class EventHub(Shape):
    """An event hub. Without a `connection_string` it is written to by mcpgov's own identity."""

    to: Annotated[str, AfterValidator(_event_hub)]
    connection_string: Annotated[Secret, PlainValidator(_connection_string), TEXT] | None = None
    private: Flag = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        place = urlsplit(self.to)
        if not self.private and (place.scheme != "https" or not _AZURE.fullmatch(place.netloc)):
            raise Unfit("is no event hub of Azure", f"{_MEND}, or say private: true in a network of your own")
        named = _parts(self.connection_string) if self.connection_string else {}
        found, hub = _ENDPOINT.fullmatch(named.get("endpoint", "")), place.path[1:]
        if found and (found["place"].lower(), named.get("entitypath", hub)) != (place.netloc, hub):
            raise Unfit("is another event hub than that of its connection_string", "look at both")
        return self

    @property
    def shared_key(self) -> SharedKey | None:
        """The key of the connection string; None where mcpgov's own identity is used."""
        if self.connection_string is None:
            return None
        named = _parts(self.connection_string)
        return SharedKey(named.get("sharedaccesskeyname", ""), Secret(named.get("sharedaccesskey", "")))


def _logger_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Unfit("is not the name of a logger", "use letters, digits, dots, dashes and underscores, like: events")
    return name


LoggerName = Annotated[str, AfterValidator(_logger_name)]
