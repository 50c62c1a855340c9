"""A real HAProxy in front of several servers, from which one is taken out before it is restarted.

What was sent to a server stays there, what comes goes to the others: so an operator restarts one without a caller that
notices. A balancer that is not told learns it from a connection that is refused.
"""

import csv
import socket
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.tools import installed
from tests.peers.process import free_port, running, wait_until_answers

LOOK: Final = 0.05  # seconds between two looks at what the balancer says
DRAINED: Final = 30.0  # seconds in which calls that were sent to a server have their answers
# Only what could not be connected to is asked again elsewhere.
CONF: Final = """\
global
  stats socket ipv4@127.0.0.1:ADMIN level admin
defaults
  mode http
  timeout connect 3s
  timeout client 3600s
  timeout server 3600s
  timeout check 30s
  retry-on conn-failure
  option redispatch
frontend front
  bind 127.0.0.1:PORT
  http-request return status 200 if { path /front/livez }
  default_backend gateways
backend gateways
  balance roundrobin
  option httpchk GET /readyz
  default-server check inter 200ms fall 1 rise 1
SERVERS
"""


def has_haproxy() -> bool:
    """Whether HAProxy is there, after trying to install it where that is allowed (root on Debian)."""
    return installed("haproxy", "haproxy") is not None


@dataclass(frozen=True, slots=True)
class HAProxy:
    """One that runs. `url` is where it is called, `admin` the port on which it is told."""

    url: str
    admin: int

    def told(self, command: str) -> str:
        """What it answers to a command of its runtime API."""
        with socket.create_connection(("127.0.0.1", self.admin)) as asked:
            asked.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: asked.recv(65536), b"")).decode()

    @contextmanager
    def without(self, number: int) -> Generator[None]:
        """Send a server nothing in this block, where all is answered that was sent; at its end it is ready again."""
        self.told(f"set server gateways/replica-{number} state drain")
        self._until(number, "scur", "0")
        yield
        self.told(f"set server gateways/replica-{number} state ready")
        self._until(number, "status", "UP")

    def _until(self, number: int, column: str, value: str) -> None:
        deadline = time.monotonic() + DRAINED
        while (now := self._stat(number)[column]) != value:
            if time.monotonic() > deadline:
                raise TimeoutError(f"replica-{number} has {column} {now}, not {value}")
            time.sleep(LOOK)

    def _stat(self, number: int) -> Mapping[str, str]:
        rows = csv.DictReader(self.told("show stat").removeprefix("# ").splitlines())
        (found,) = [row for row in rows if (row["pxname"], row["svname"]) == ("gateways", f"replica-{number}")]
        return found


@contextmanager
def haproxy(folder: Path, ports: Sequence[int]) -> Generator[HAProxy]:
    """A balancer in front of these ports of the loopback, all of which answer."""
    front, admin = free_port(), free_port()
    servers = "\n".join(f"  server replica-{number} 127.0.0.1:{port}" for number, port in enumerate(ports))
    place, log = folder / "haproxy.cfg", folder / "haproxy.log"
    place.write_text(CONF.replace("ADMIN", str(admin)).replace("PORT", str(front)).replace("SERVERS", servers))
    with running(["haproxy", "-db", "-f", str(place)], log, cwd=folder) as program:
        wait_until_answers(f"http://127.0.0.1:{front}/front/livez", program, log)
        yield HAProxy(f"http://127.0.0.1:{front}", admin)
