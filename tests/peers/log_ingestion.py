"""The Logs Ingestion API of Azure Monitor, with its limits: one stream of one data collection rule, and its table."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import jwt
from starlette.responses import Response

from mcpgov.audit.formats.azure_monitor import COLUMNS, STREAM
from tests.peers.entra import Entra
from tests.peers.web_peer import Asked, WebPeer, json_answer

RULE: Final = "dcr-" + "0a" * 16
PATH: Final = f"/dataCollectionRules/{RULE}/streams/{STREAM}"
MONITOR: Final = "https://monitor.azure.com"
MOST: Final = 1_000_000  # bytes of a call
LONGEST: Final = 65_536  # bytes of a value; Azure cuts what is longer
KINDS: Final[dict[str, Callable[[Any], bool]]] = {
    "datetime": lambda value: datetime.fromisoformat(value).tzinfo is not None,
    "string": lambda value: isinstance(value, str) and len(value.encode()) <= LONGEST,
    "int": lambda value: isinstance(value, int) and -(1 << 31) <= value < 1 << 31,
    "long": lambda value: isinstance(value, int) and -(1 << 63) <= value < 1 << 63,
    "dynamic": lambda value: isinstance(value, dict) and len(json.dumps(value).encode()) <= LONGEST,
}


@dataclass
class LogIngestion(WebPeer):
    """What Azure has. `publishers` are the object ids with the role Monitoring Metrics Publisher; None is everybody.

    `rows` is the table. `most` is how many bytes a call may have before they are compressed.
    """

    entra: Entra = field(default_factory=Entra)
    publishers: frozenset[str] | None = None
    most: int = MOST
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def answer(self, asked: Asked) -> Response:
        if asked.method != "POST" or asked.path != PATH or asked.query.get("api-version") != "2023-01-01":
            return _failed(404, "NotFound")
        caller = self._caller(asked)
        if caller is None:
            return _failed(401, "AuthenticationFailed")
        if self.publishers is not None and caller not in self.publishers:
            return _failed(403, "OperationFailed")
        if asked.headers.get("content-encoding") != "gzip" or asked.headers.get("content-type") != "application/json":
            return _failed(400, "InvalidContent")
        body = gzip.decompress(asked.body)
        if len(body) > self.most:
            return _failed(413, "ContentLengthLimitExceeded")
        return self._take(json.loads(body))

    def _take(self, rows: list[dict[str, Any]]) -> Response:
        """The rows, if each value is one of its column: whatever else there is Azure drops without a word."""
        kinds = {column.name: KINDS[column.type] for column in COLUMNS}
        if not all(name in kinds and kinds[name](value) for row in rows for name, value in row.items()):
            return _failed(400, "InvalidRow")
        self.rows += rows
        return Response(status_code=204)

    def _caller(self, asked: Asked) -> str | None:
        """The object id of the token that was shown; None where it is not one of this tenant for Azure Monitor."""
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        try:
            return self.entra.tokens.keys.claims(token, MONITOR)["oid"] if kind == "Bearer" else None
        except jwt.InvalidTokenError:
            return None


def _failed(status: int, code: str) -> Response:
    return json_answer(status, {"error": {"code": code, "message": code}})
