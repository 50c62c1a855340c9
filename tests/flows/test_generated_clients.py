"""What is printed for clients works: the Python program and Inspector's command line list tools through a gateway."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.peers.gateway import write_config
from tests.peers.node import NODE, RegistryUnreachable, environment, install
from tests.peers.process import running, wait_until_answers
from tests.peers.servers import time_server

SECONDS = 60


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway that wants a key, its settings file, and such a key."""

    config: Path
    key: str

    def printed(self, client: str) -> str:
        """What `mcpgov connect` prints for a client."""
        return mcpgov(self.config, "connect", "time", "--client", client)


def mcpgov(config: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mcpgov", *arguments, "--config", str(config)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS).stdout


def printed_by(command: Sequence[str], env: Mapping[str, str]) -> str:
    """What a program prints that has to end well."""
    done = subprocess.run(
        command, check=False, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """The gateway in front of a real server, with a key that reaches it and nothing else."""
    folder = tmp_path_factory.mktemp("generated")
    config, port = write_config(folder, [time_server().upstream], None)
    config.write_text(yaml.safe_dump({"listen": f"127.0.0.1:{port}"}))
    found = re.search(r"mcpgov_\w{46}", mcpgov(config, "keys", "create", "ci", "--connection", "time"))
    assert found
    log = folder / "gateway.log"
    command = [sys.executable, "-m", "mcpgov", "serve", "--config", str(config)]
    with running(command, log, cwd=folder) as program:
        wait_until_answers(f"http://127.0.0.1:{port}/readyz", program, log)
        yield Served(config, found[0])


def test_the_python_program_runs(served: Served, tmp_path: Path) -> None:
    program = tmp_path / "time.client.py"
    program.write_text(served.printed("python"), "utf-8")
    env = {**os.environ, "MCPGOV_GATEWAY_KEY": served.key}
    assert "get_current_time: " in printed_by([sys.executable, str(program)], env)


def test_the_command_line_of_inspector_runs(served: Served, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    try:
        programs = install(Path(__file__).parents[1] / "peers")
    except RegistryUnreachable as error:
        pytestconfig.get_terminal_writer().line(f"left out: the client inspector: {error}")
        return
    npx, package, *typed = shlex.split(served.printed("inspector").replace("$MCPGOV_GATEWAY_KEY", served.key))
    assert (npx, package) == ("npx", "@modelcontextprotocol/inspector")
    command = [str(NODE), str(programs / "mcp-inspector"), *typed]
    assert "get_current_time" in printed_by(command, environment(tmp_path))
