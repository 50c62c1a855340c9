"""A real nginx in front of several servers: each request goes to the next one, whoever sent it and whatever it is."""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.faults.tools import installed
from tests.peers.process import free_port, running, wait_until_answers

# One process of nginx, so that the turns are exact. Only what could not be connected to is asked again elsewhere.
CONF: Final = """\
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path bodies;
  proxy_temp_path answers;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream servers { SERVERS keepalive 64; }
  server {
    listen 127.0.0.1:PORT;
    location = /front/livez { return 204; }
    location / {
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffering off;
      proxy_connect_timeout 3s;
      proxy_read_timeout 3600s;
      proxy_next_upstream error;
    }
  }
}
"""


def has_nginx() -> bool:
    """Whether nginx is there, after trying to install it where that is allowed (root on Debian)."""
    return installed("nginx", "nginx-light") is not None


@contextmanager
def nginx(folder: Path, conf: str, alive: str) -> Generator[None]:
    """An nginx that runs with this configuration, in this folder; `alive` is a URL that it answers by itself."""
    place, log = folder / "nginx.conf", folder / "nginx.log"
    place.write_text(conf)
    user = " user root;" if os.geteuid() == 0 else ""  # the folder of a test is its user's alone
    command = ["nginx", "-p", str(folder), "-c", str(place), "-g", f"daemon off;{user}"]
    with running(command, log, cwd=folder) as program:
        wait_until_answers(alive, program, log)
        yield


@contextmanager
def balancer(folder: Path, ports: Sequence[int]) -> Generator[str]:
    """A balancer in front of these ports of the loopback; gives its URL."""
    front = free_port()
    servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
    conf = CONF.replace("SERVERS", servers).replace("PORT", str(front))
    with nginx(folder, conf, f"http://127.0.0.1:{front}/front/livez"):
        yield f"http://127.0.0.1:{front}"
