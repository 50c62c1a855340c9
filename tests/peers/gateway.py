"""A gateway for tests: writes a config folder, starts `mcpgov serve` on it, ends it with SIGTERM."""

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.peers.process import free_port, running, wait_until_answers

ALLOW_ALL: Final[Mapping[str, Any]] = {
    "inbound": [
        {"ip-filter": {"action": "allow", "addresses": ["127.0.0.0/8", "::1"]}},
        {"rate-limit-by-key": {"calls": 100_000, "renewal-period": 60, "counter-key": "principal.id"}},
        {"set-header": {"name": "X-Harmless", "exists-action": "override", "value": "yes"}},
        {"tool-rules": {"allow": ["*"]}},
    ]
}
EVERYTHING: Final[Mapping[str, Any]] = {"connections": ["*"]}


@dataclass(frozen=True, slots=True)
class Upstream:
    """One catalog entry with one connection of the same name: a URL, or the command of a local server."""

    name: str
    url: str | None = None
    command: Sequence[str] = ()

    def entry(self, policies: Sequence[str]) -> dict[str, Any]:
        """The entry as its catalog file says it."""
        where = {"command": list(self.command)} if self.url is None else {"upstream": self.url, "private": True}
        return {
            "name": f"dev.mcpgov/{self.name}",
            "version": "1.0.0",
            "description": f"The test server {self.name}",
            **where,
            "connections": {self.name: {"authType": "None", "policies": list(policies)}},
        }


def write_config(
    folder: Path,
    upstreams: Sequence[Upstream],
    policy: Mapping[str, Any] | None,
    aggregate: Mapping[str, Any] = EVERYTHING,
) -> tuple[Path, int]:
    """Write mcpgov.yaml, catalog/ and policies/ into the folder; returns the first file and the port it names."""
    port = free_port()
    settings = {
        "listen": f"127.0.0.1:{port}",
        "identity": {"allow_anonymous": True},
        "aggregate": dict(aggregate),
    }
    catalog, policies = folder / "catalog", folder / "policies"
    catalog.mkdir(parents=True)
    policies.mkdir()
    config = folder / "mcpgov.yaml"
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    if policy is not None:
        (policies / "applied.yaml").write_text(yaml.safe_dump(dict(policy), sort_keys=False))
    for upstream in upstreams:
        entry = upstream.entry([] if policy is None else ["applied"])
        (catalog / f"{upstream.name}.yaml").write_text(yaml.safe_dump(entry, sort_keys=False))
    return config, port


@contextmanager
def gateway(
    folder: Path,
    upstreams: Sequence[Upstream],
    policy: Mapping[str, Any] | None = None,
    aggregate: Mapping[str, Any] = EVERYTHING,
) -> Generator[str]:
    """The gateway in front of these upstreams; yields its URL, to which /mcp/NAME is added, or /mcp for all."""
    config, port = write_config(folder, upstreams, policy, aggregate)
    command = [sys.executable, "-m", "mcpgov", "serve", "--config", str(config)]
    log = folder / "gateway.log"
    base = f"http://127.0.0.1:{port}"
    with running(command, log, cwd=folder) as program:
        wait_until_answers(f"{base}/readyz", program, log)
        yield base
