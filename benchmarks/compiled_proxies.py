"""Targets that are no gateways for MCP: no proxy at all, and two compiled ones that only swap a header."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from benchmarks.machine import said
from benchmarks.processes import DidNotStartError, free_port
from benchmarks.targets import Ground, Plan, Recipe
from benchmarks.venvs import environment_of

if TYPE_CHECKING:
    from pathlib import Path

NGINX: Final = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  upstream bench {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Bench-Key k1;
      proxy_buffering off;
      proxy_read_timeout 1h;
    }}
  }}
}}
"""
ENVOY: Final = """\
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          generate_request_id: false
          route_config:
            virtual_hosts:
            - name: bench
              domains: ["*"]
              request_headers_to_add: [{{ header: {{ key: X-Bench-Key, value: k1 }} }}]
              routes: [{{ match: {{ prefix: / }}, route: {{ cluster: bench, timeout: 0s }} }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: bench
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: bench
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address:
        {{ socket_address: {{ address: 127.0.0.1, port_value: {upstream} }} }} }} }}] }}]
"""


def written(ground: Ground, name: str, text: str) -> tuple[int, Path]:
    """A configuration with a free port and the upstream filled in, and that port."""
    folder = ground.folder / name.partition(".")[0]
    folder.mkdir(exist_ok=True)
    port, file = free_port(), folder / name
    file.write_text(text.format(folder=folder, port=port, upstream=ground.upstream.port))
    return port, file


def direct(ground: Ground) -> Plan:
    """The upstream itself."""
    return Plan((), ground.upstream.port)


def nginx(ground: Ground) -> Plan:
    """One worker, connections kept to the upstream, a header set, nothing buffered of the answer."""
    if (program := shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")) is None:
        raise DidNotStartError("nginx is not installed, and could not be")
    port, file = written(ground, "nginx.conf", NGINX)
    return Plan((program, "-c", str(file), "-e", str(file.with_name("early.log"))), port)


def envoy_program() -> Path:
    """The binary, out of its wheel."""
    return environment_of("envoy") / "bin" / "envoy"


def envoy(ground: Ground) -> Plan:
    """One thread, a header set."""
    port, file = written(ground, "envoy.yaml", ENVOY)
    return Plan((str(envoy_program()), "--config-path", str(file), "--concurrency", "1", "-l", "error"), port)


def envoy_version() -> str:
    """Without its commit."""
    text = subprocess.run((str(envoy_program()), "--version"), check=True, capture_output=True, text=True).stdout
    found = re.search(r"/(\d+\.\d+\.\d+)[^/]*/", text)
    return found[1] if found else text.strip()


RECIPES: Final = (
    Recipe("direct", lambda: "C, one thread", direct, streams=True),
    Recipe("nginx", lambda: said("nginx", "-v").rpartition("/")[2], nginx, streams=True),
    Recipe("envoy", envoy_version, envoy, streams=True),
)
