"""An event hub of Azure Event Hubs, over REST: checks a shared access signature, or a token, as the service does."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import jwt
from starlette.responses import Response

from tests.peers.entra import Entra
from tests.peers.web_peer import Asked, WebPeer

AUDIENCE: Final = "https://eventhubs.azure.net"
KEY_NAME: Final = "send"
KEY: Final = base64.b64encode(b"k" * 32).decode()
MOST: Final = 262_144  # bytes of a request in the smallest tier


@dataclass(frozen=True, slots=True)
class Received:
    """An event as consumers read it."""

    body: str
    partition_id: str = ""
    partition_key: str = ""


@dataclass
class EventHubPeer(WebPeer):
    """One namespace with the hub `events`, and one key that may send. `senders` are the object ids that may, too."""

    entra: Entra = field(default_factory=Entra)
    senders: frozenset[str] = frozenset()
    clock: float = 0.0
    events: list[Received] = field(default_factory=list[Received])

    @property
    def hub(self) -> str:
        """The URL of the hub."""
        return f"{self.url}/events"

    @property
    def connection_string(self) -> str:
        """What the portal shows."""
        return f"Endpoint={self.url}/;SharedAccessKeyName={KEY_NAME};SharedAccessKey={KEY};EntityPath=events"

    async def answer(self, asked: Asked) -> Response:
        parts = asked.path.strip("/").split("/")
        partition = parts[2] if len(parts) == 4 and parts[1] == "partitions" else ""
        if asked.method != "POST" or parts[0] != "events" or parts[-1] != "messages" or len(parts) not in (2, 4):
            return Response(status_code=404)
        if not self._may_send(asked):
            return Response(status_code=401)
        if len(asked.body) > MOST:
            return Response(status_code=413)
        self.events += self._read(asked, partition)
        return Response(status_code=201)

    def _read(self, asked: Asked, partition: str) -> list[Received]:
        if asked.headers["content-type"] == "application/vnd.microsoft.servicebus.json":  # headers do not count here
            return [Received(one["Body"], partition) for one in json.loads(asked.body)]
        broker = json.loads(asked.headers.get("brokerproperties", "{}"))
        return [Received(asked.body.decode(), partition, broker.get("PartitionKey", ""))]

    def _may_send(self, asked: Asked) -> bool:
        kind, _, shown = asked.headers.get("authorization", "").partition(" ")
        if kind == "Bearer":
            try:
                return self.entra.tokens.keys.claims(shown, AUDIENCE)["oid"] in self.senders
            except jwt.InvalidTokenError:
                return False
        return kind == "SharedAccessSignature" and self._is_signed(shown)

    def _is_signed(self, shown: str) -> bool:
        """Whether the signature is of the key, over this hub, and has not expired."""
        fields = dict(part.split("=", 1) for part in shown.split("&"))
        signed = f"{fields['sr']}\n{fields['se']}".encode()
        made = base64.b64encode(hmac.digest(KEY.encode(), signed, hashlib.sha256)).decode()
        names_it = self.hub.lower().startswith(unquote(fields["sr"]))
        return (unquote(fields["sig"]), fields["skn"], names_it, int(fields["se"]) > self.clock) == (
            made,
            KEY_NAME,
            True,
            True,
        )
