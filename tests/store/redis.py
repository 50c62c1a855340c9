"""A real Redis of a test's own: on a free port of the loopback, without persistence, stopped and started when told."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from redis import Redis

from mcpgov.models import Secret
from tests.peers.process import NotStarted, free_port

APT_SECONDS: Final = 120
STOP_SECONDS: Final = 10
LEFT_OUT: Final = "left out: what needs a Redis; there is no redis-server here, and it cannot be installed"


def has_redis() -> bool:
    """Whether `redis-server` is there, after trying to install it where that is allowed (root on Debian)."""
    if shutil.which("redis-server") is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "redis-server"]):
            subprocess.run(["apt-get", "-qq", *words], check=False, capture_output=True, timeout=APT_SECONDS)
    return shutil.which("redis-server") is not None


class RedisServer:
    """The server, and where it is reached. `options` are those of redis-server, such as --requirepass x."""

    def __init__(self, folder: Path, *options: str, credentials: str = "", tls: bool = False) -> None:
        self.port = free_port()
        port = ("--port", "0", "--tls-port", str(self.port)) if tls else ("--port", str(self.port))
        self._command = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *port, *options]
        self._program: subprocess.Popen[bytes] | None = None
        self.url = Secret(f"{'rediss' if tls else 'redis'}://{credentials}127.0.0.1:{self.port}/0")

    def start(self) -> None:
        """Start it, empty; returns when it takes connections. Raises NotStarted."""
        self._program = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._program.stdout is not None
        said: list[bytes] = []
        while b"Ready to accept connections" not in (line := self._program.stdout.readline()):
            said.append(line)
            if not line:
                raise NotStarted(b"".join(said).decode(errors="replace"))

    def stop(self) -> None:
        """Stop it, with everything it held."""
        if self._program is not None:
            self._program.terminate()
            self._program.communicate(timeout=STOP_SECONDS)
            self._program = None

    def ask(self, *command: str | float) -> Any:
        """What it answers to one command."""
        client: Any = Redis(port=self.port, decode_responses=True)  # whose methods have no types
        with closing(client):
            return client.execute_command(*command)


@contextmanager
def redis_server(folder: Path, *options: str, credentials: str = "", tls: bool = False) -> Generator[RedisServer]:
    """A running server."""
    server = RedisServer(folder, *options, credentials=credentials, tls=tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()
