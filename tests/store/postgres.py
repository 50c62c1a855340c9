"""A real PostgreSQL of a test's own: on a free port of the loopback, stopped, killed and started when told."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mcpgov.models import Secret
from tests.peers.process import free_port

APT_SECONDS: Final = 300
SECONDS: Final = 60
PATIENCE: Final = 20.0  # seconds for an answer, on a machine that does other tests as well
PASSWORD: Final = "hunter/2"
LEFT_OUT: Final = "left out: what needs a PostgreSQL; there is none here, and it cannot be installed"


def programs() -> Path | None:
    """The folder of the newest server's programs; Debian has them beside the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    elsewhere = shutil.which("pg_ctl")
    return found[-1].parent if found else Path(elsewhere).resolve().parent if elsewhere else None


def has_postgres() -> bool:
    """Whether there is a server, after trying to install it where that is allowed (root on Debian)."""
    if programs() is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", "-qq", *words], check=False, capture_output=True, timeout=APT_SECONDS)
    return programs() is not None


def account() -> tuple[int, int]:
    """As whom the server runs, which refuses to be root."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    user = pwd.getpwnam("postgres")
    return user.pw_uid, user.pw_gid


class PostgresServer:
    """The server, whose one user `gateway` has a password and may make databases."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._data = folder / "data"
        self._log = folder / "server.log"

    def make(self, *settings: str) -> None:
        """Make its files."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        for path in (self._folder, password):
            os.chown(path, *account())
        self._run("initdb", "--username=gateway", f"--pwfile={password}", "--auth=scram-sha-256", "--no-sync",
                  "--encoding=UTF8", "--locale=C.UTF-8", f"--pgdata={self._data}")  # fmt: skip
        own = (f"port={self.port}", f"unix_socket_directories='{self._folder}'", "listen_addresses='127.0.0.1'")
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write("\n".join([*own, "max_connections=200", *settings, ""]))

    def start(self) -> None:
        """Start it; returns when it takes connections."""
        self._run("pg_ctl", "start", "--wait", f"--pgdata={self._data}", f"--log={self._log}", "--silent")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` says goodbye, `immediate` is a crash."""
        self._run("pg_ctl", "stop", "--wait", f"--pgdata={self._data}", f"--mode={mode}", "--silent")

    def url(self, database: str, *, password: str = PASSWORD) -> Secret:
        """Where a database is reached."""
        return Secret(f"postgresql://gateway:{password.replace('/', '%2F')}@127.0.0.1:{self.port}/{database}")

    def database(self, options: str = "") -> Secret:
        """A new, empty database, made with these options."""
        name = f"test_{secrets.token_hex(6)}"
        self._run("psql", "--quiet", f"--command=CREATE DATABASE {name} {options}", self.url("postgres").reveal())
        return self.url(name)

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to one of its processes."""
        os.kill(pid, number)

    def _run(self, program: str, *words: str) -> None:
        folder, (user, group) = programs(), account()
        assert folder is not None
        as_other = {} if user == os.geteuid() else {"user": user, "group": group}
        silent = program == "pg_ctl"  # the server that it starts would keep them open
        ran = subprocess.run(
            [str(folder / program), *words],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if silent else subprocess.PIPE,
            stderr=subprocess.DEVNULL if silent else subprocess.PIPE,
            cwd=self._folder,
            timeout=SECONDS,
            user=as_other.get("user"),
            group=as_other.get("group"),
            extra_groups=[] if as_other else None,
        )
        assert ran.returncode == 0, ran.stderr


@contextmanager
def postgres_server(*settings: str) -> Generator[PostgresServer]:
    """A running server, in a folder that its user can reach."""
    with tempfile.TemporaryDirectory(prefix="mcpgov-postgres-", ignore_cleanup_errors=True) as name:
        server = PostgresServer(Path(name))
        server.make(*settings)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
