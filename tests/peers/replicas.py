"""Gateways as a cluster runs them: so many processes over one real PostgreSQL and one real Redis, nginx in front."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from mcpgov.models import Secret
from tests.peers.balancer import balancer, has_nginx
from tests.peers.gateway import Upstream, write_config
from tests.peers.process import free_port, running, wait_until_answers
from tests.store.postgres import has_postgres, postgres_server
from tests.store.postgres_asked import ask
from tests.store.redis import RedisServer, has_redis, redis_server

LEFT_OUT: Final = "replicas behind a balancer; nginx, a PostgreSQL or a Redis is not there, and cannot be installed"
KEY: Final = base64.b64encode(bytes(range(32))).decode()
ENDED: Final = 60  # seconds in which a gateway that is told to end has ended
RECORDS: Final = "SELECT writer, seq, call_id, record FROM records ORDER BY id"


def can_run() -> bool:
    """Whether every program is there, after trying to install what is not."""
    return has_nginx() and has_postgres() and has_redis()


@dataclass(frozen=True, slots=True)
class Fleet:
    """Replicas that run. `url` is the balancer's, to which /mcp/NAME is added; `config` is the file of the first."""

    folder: Path
    url: str
    replicas: Sequence[subprocess.Popen[bytes]]
    ports: Sequence[int]
    store: Secret
    redis: RedisServer
    stack: ExitStack  # ends what is started later

    @property
    def config(self) -> Path:
        """The settings of the first replica."""
        return self.folder / "replica-0.yaml"

    def records(self) -> list[tuple[str, int, str | None, str]]:
        """Writer, number, call and text of every record, in the order of commit."""
        return [(row[0], row[1], row[2], row[3]) for row in ask(self.store, RECORDS)]

    def of(self, event: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Writer and content of the records of one kind, in the order of commit."""
        read = [(writer, json.loads(text)) for writer, _, _, text in self.records()]
        return [(writer, record) for writer, record in read if record["event"] == event]

    def kill(self, number: int) -> None:
        """End a replica as a crash does."""
        self.replicas[number].kill()
        self.replicas[number].wait()

    def restart(self, number: int) -> int:
        """End a replica as an upgrade does, and start it again; gives its exit status, once the new one is ready."""
        former = self.replicas[number]
        former.terminate()
        status = former.wait(ENDED)
        self.stack.enter_context(replica(self.folder, number, self.ports[number]))
        return status


def write_settings(folder: Path, config: Path, shared: Mapping[str, Any], ports: Sequence[int]) -> None:
    """A settings file for each replica, which differ by their port."""
    settings: dict[str, Any] = yaml.safe_load(config.read_text())
    del settings["aggregate"]  # what it tells its clients apart by is of one process
    for number, port in enumerate(ports):
        own = {**settings, **shared, "listen": f"127.0.0.1:{port}"}
        (folder / f"replica-{number}.yaml").write_text(yaml.safe_dump(own, sort_keys=False))


@contextmanager
def replicas(
    folder: Path, upstreams: Sequence[Upstream], policy: Mapping[str, Any] | None = None, count: int = 2
) -> Generator[Fleet]:
    """So many replicas that serve these upstreams, and the balancer in front of them."""
    config, _ = write_config(folder, upstreams, policy)
    with ExitStack() as stack:
        store = stack.enter_context(postgres_server()).database()
        redis = stack.enter_context(redis_server(folder))
        shared = {"audit": {"store": store.reveal()}, "counters": redis.url.reveal(), "secrets": {"key": KEY}}
        ports = [free_port() for _ in range(count)]
        write_settings(folder, config, shared, ports)
        started = [stack.enter_context(replica(folder, number, port)) for number, port in enumerate(ports)]
        url = stack.enter_context(balancer(folder, ports))
        yield Fleet(folder, url, started, ports, store, redis, stack)


@contextmanager
def replica(folder: Path, number: int, port: int) -> Generator[subprocess.Popen[bytes]]:
    """One gateway, serving."""
    log = folder / f"replica-{number}.log"
    command = [sys.executable, "-m", "mcpgov", "serve", "--config", str(folder / f"replica-{number}.yaml")]
    with running(command, log, cwd=folder, env=dict(os.environ)) as program:
        wait_until_answers(f"http://127.0.0.1:{port}/readyz", program, log)
        yield program
