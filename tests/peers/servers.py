"""Real MCP servers that others wrote, each with one tool to call and a word that its answer holds.

The exact versions are in package.json (npm) and in the locked development dependencies (PyPI).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.peers.gateway import Upstream
from tests.peers.node import NODE

APT_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Peer:
    """A server as the gateway reaches it, and one call that shows it works."""

    upstream: Upstream
    tool: str
    arguments: Mapping[str, Any]
    answer: str


def npm_servers(programs: Path, folder: Path, everything_url: str) -> list[Peer]:
    """The three npm servers: one over HTTP, two local ones."""
    files = folder / "files"
    files.mkdir()
    (files / "hello.txt").write_text("hello from a file")
    memory_file = f"MEMORY_FILE_PATH={folder / 'memory.jsonl'}"
    return [
        Peer(Upstream("everything", url=everything_url), "echo", {"message": "hi"}, "hi"),
        Peer(
            Upstream("filesystem", command=(str(NODE), str(programs / "mcp-server-filesystem"), str(files))),
            "read_text_file",
            {"path": str(files / "hello.txt")},
            "hello from a file",
        ),
        Peer(
            Upstream("memory", command=("/usr/bin/env", memory_file, str(NODE), str(programs / "mcp-server-memory"))),
            "search_nodes",
            {"query": "anything"},
            "entities",
        ),
    ]


def time_server() -> Peer:
    """PyPI's mcp-server-time."""
    command = (str(python_program("mcp-server-time")), "--local-timezone", "UTC")
    return Peer(Upstream("time", command=command), "get_current_time", {"timezone": "UTC"}, "UTC")


def git_server(folder: Path) -> Peer:
    """PyPI's mcp-server-git on a new repository; `git` must be there."""
    repository = folder / "repository"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(repository)], check=True)
    command = (str(python_program("mcp-server-git")), "--repository", str(repository))
    return Peer(Upstream("git", command=command), "git_status", {"repo_path": str(repository)}, "main")


def python_program(name: str) -> Path:
    """A console script of this Python's environment."""
    return Path(sys.executable).with_name(name)


def has_git() -> bool:
    """Whether `git` is there, after trying to install it where that is allowed (root on Debian)."""
    if shutil.which("git") is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "git"]):
            subprocess.run(["apt-get", "-qq", *words], check=False, capture_output=True, timeout=APT_SECONDS)
    return shutil.which("git") is not None
