"""An MCP server that writes every call into a ledger of its own, on the disk, before it answers.

python -m tests.faults.ledger_upstream LEDGER [CONNECTION]    prints its port, then serves until it is ended

CONNECTION is the one that leads here; with it, the credential in `x-key` is written down too.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

WORK = 0.002  # seconds that a call takes once it is written down


class Upstream:
    """Answers POST with JSON, one request after the other on each connection."""

    def __init__(self, ledger: Path, connection: str) -> None:
        self._connection = connection
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other side has gone."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                message = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.note(message["id"], headers)
                await asyncio.sleep(WORK)
                result = {"content": [{"type": "text", "text": "done"}], "isError": False, "resultType": "complete"}
                body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def note(self, request_id: str, headers: Mapping[str, str]) -> None:
        """Write one call down; returns when it is on the disk."""
        entry = {"id": request_id, "ts": f"{datetime.now(UTC).isoformat(timespec='microseconds')[:-6]}Z"}
        entry |= {"correlation_id": headers.get("x-correlation-id", "")}
        entry |= {"connection": self._connection, "credential": headers.get("x-key", "")} if self._connection else {}
        os.write(self._ledger, json.dumps(entry).encode() + b"\n")
        os.fdatasync(self._ledger)


async def main() -> None:
    """Serve on a free port of loopback."""
    server = await asyncio.start_server(Upstream(Path(sys.argv[1]), "".join(sys.argv[2:])).serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
