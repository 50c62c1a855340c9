"""What every peer of the identity world is: an HTTP server on a real socket that writes down what it was asked.

Each can be told to fail (once, several times, or until it is mended), to hang, and to go away and come back at the
same address. The ledger is the witness in tests.
"""

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from mcpgov.endpoint.server import GatewayServer
from tests.peers.tls import Tls

PATIENCE: Final = 10  # seconds that a test waits for a request before it fails

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived. Header names are in lower case; of a repeated parameter the last one counts."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def parameters(self) -> Mapping[str, str]:
        """Those of the query and those of the form."""
        return {**self.query, **self.form}


Fault = Callable[[], Response]


@dataclass
class _Standing:
    """A fault that is in force: `left` more times, None for ever."""

    path: str
    fault: Fault
    left: int | None


def json_answer(status: int, body: JSON, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer that nobody may cache (RFC 6749 section 5.1)."""
    return JSONResponse(body, status, {"cache-control": "no-store", **(headers or {})})


def oauth_error(status: int, error: str, description: str = "") -> Response:
    """An error of a token endpoint (RFC 6749 section 5.2)."""
    return json_answer(status, {"error": error, "error_description": description or error})


def page(title: str, form: str) -> Response:
    """A small HTML page."""
    return HTMLResponse(f"<!doctype html><html lang=en><title>{title}</title><h1>{title}</h1>{form}</html>")


def redirect(url: str) -> Response:
    """302 to the URL, exactly as it is."""
    return RedirectResponse(url, 302)


class PeerServer(GatewayServer):
    """Ends as soon as it is told to; uvicorn's own loop would look only ten times a second."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.told_to_end = asyncio.Event()

    async def main_loop(self) -> None:
        await self.told_to_end.wait()


@dataclass
class WebPeer(ABC):
    """A server; `answer` is what each kind of peer adds. `url` has no slash at its end, and is empty before `open`.

    While `hold` is there and not set, every request is written down and then waits for it.
    """

    tls: Tls | None = None
    ledger: list[Asked] = field(default_factory=list[Asked])
    hold: asyncio.Event | None = None
    _faults: list[_Standing] = field(default_factory=list[_Standing])
    _server: PeerServer | None = None
    _running: asyncio.Task[None] | None = None
    _port: int = 0

    @abstractmethod
    async def answer(self, asked: Asked) -> Response:
        """What is answered when nothing is wrong."""

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._port}" if self._port else ""

    def asked(self, path: str) -> list[Asked]:
        """The requests whose path ends so."""
        return [asked for asked in self.ledger if asked.path.endswith(path)]

    async def arrived(self, path: str, count: int = 1) -> None:
        """Return once so many requests for the path have arrived. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while len(self.asked(path)) < count:
                await asyncio.sleep(0)

    def fail(self, path: str, answer: Response | Fault, times: int | None = 1) -> None:
        """Answer so where the path ends so: the next `times` times, or (None) until mended."""
        self._faults.append(_Standing(path, answer if not isinstance(answer, Response) else lambda: answer, times))

    def mend(self) -> None:
        """No fault is left, and nothing is held."""
        self._faults.clear()
        if self.hold is not None:
            self.hold.set()
        self.hold = None

    async def open(self) -> None:
        """Listen; the second time at the same address as the first."""
        self._server = PeerServer(self)
        if self.tls is not None:
            self._server.config.ssl_certfile = str(self.tls.certificate_file)
            self._server.config.ssl_keyfile = str(self.tls.key_file)
        sock = socket.create_server(("127.0.0.1", self._port))
        self._port = sock.getsockname()[1]
        self._running = asyncio.create_task(self._server.serve_on(sock))
        while not self._server.started and not self._running.done():
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Go away: open connections end, new ones are refused."""
        if self._server is not None and self._running is not None:
            self._server.should_exit = self._server.force_exit = True
            self._server.told_to_end.set()
            await self._running
        self._server = self._running = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = await _read(Request(scope, receive))
        self.ledger.append(asked)
        if self.hold is not None:
            await self.hold.wait()
        response = self._fault(asked.path) or await self.answer(asked)
        await response(scope, receive, send)

    def _fault(self, path: str) -> Response | None:
        for standing in self._faults:
            if path.endswith(standing.path):
                if standing.left is not None:
                    standing.left -= 1
                    if standing.left == 0:
                        self._faults.remove(standing)
                return standing.fault()
        return None


async def _read(request: Request) -> Asked:
    body = await request.body()
    kind = request.headers.get("content-type", "")
    form = dict(parse_qsl(body.decode(), keep_blank_values=True)) if "x-www-form-urlencoded" in kind else {}
    return Asked(request.method, request.url.path, dict(request.query_params), form, dict(request.headers), body)


def printed(asked: Asked) -> str:
    """Everything of a request as one text, to search for what must not be in it."""
    return json.dumps([asked.path, dict(asked.query), dict(asked.headers), asked.body.decode(errors="replace")])
