"""Whoever follows a page: types what it shows after `$`, writes the files it names, in order, in a fresh folder.

A block of `console` is typed, line by line, and what the page shows of the answers is compared; of a block that shows
no answer only that each line succeeds. A block whose first line is a comment with a file's name becomes that file,
there where it stands. Anything else is only read.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import Final, Self

import structlog
from typer.testing import CliRunner

from mcpgov.app import build_cli
from tests.peers.process import free_port, running, wait_until_answers

# The pages that are followed whole.
TUTORIAL: Final = "docs/tutorial.md"
FOLLOWED: Final = ("README.md", TUTORIAL, "docs/publish.md", "docs/migrate-apim.md")
SECONDS: Final = 60
KEY: Final = re.compile(r"mcpgov_\w{46}")
SHOWN_KEY: Final = "mcpgov_…"
LISTEN: Final = "127.0.0.1:8080"
SERVER_LISTEN: Final = "127.0.0.1:9000"
SERVER, SERVE, INIT = "python -m mcpgov.demo.city_server ", "mcpgov serve", "mcpgov init "
FAILS: Final = re.compile(r"FAILED|does not load")
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILE: Final = re.compile(r"(?:#|<!--) ([\w./-]+\.(?:yaml|py|xml|json))\b")


def steps(page: Path) -> Iterator[tuple[str, str]]:
    """What is typed and what the page shows of the answer; for a file, nothing and its text."""
    for language, block in BLOCK.findall(page.read_text("utf-8")):
        if language == "console":
            typed = [part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
            silent = not any(printed for _, _, printed in typed)
            yield from ((line, "…" if silent else printed) for line, _, printed in typed)
        elif FILE.match(block):
            yield "", block


def looks_like(shown: str, printed: str) -> bool:
    """Whether something was printed as a page shows it: … alone on a line is any lines, elsewhere any text of one.

    How wide columns are depends on ports and times, and does not matter.
    """
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    patterns = (r"(?:.*\n)*?" if line == "…" else ".*?".join(map(re.escape, line.split("…"))) + r"\n" for line in lines)
    text = "".join(" ".join(line.split()) + "\n" for line in printed.splitlines())
    return re.fullmatch("".join(patterns), text) is not None


class Reader:
    """Somebody at a shell. Addresses are the machine's own, and read as those of the page.

    `installed` is where a wheel was unpacked: then verbs are run from there, each in a process of its own.
    """

    def __init__(self, folder: Path, installed: Path | None = None) -> None:
        self.folder = folder
        self._installed = installed
        self.real = {one: f"127.0.0.1:{free_port()}" for one in (LISTEN, SERVER_LISTEN)}
        self.env = {**os.environ, "COLUMNS": "80", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        if installed:
            self.env |= {"PYTHONPATH": str(installed), "PYTHONUNBUFFERED": "1"}
        self._programs = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.close()
        structlog.reset_defaults()  # verbs that open a gateway say how it logs

    def follow(self, page: Path) -> None:
        """Do all that a page says, and see what it shows. A verb ends with 1 where the page shows that it failed."""
        for typed, shown in steps(page):
            if typed:
                printed = self.type(typed, (1,) if FAILS.search(shown) else (0,))
                assert looks_like(shown, printed), f"$ {typed}\n{printed}"
            else:
                self.write(shown)

    def write(self, text: str) -> None:
        """Write the file that a block is."""
        named = FILE.match(text)
        assert named
        file = self.folder / named[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(text), "utf-8")

    def type(self, typed: str, codes: tuple[int, ...] = (0,)) -> str:
        """What a line prints, as the page would show it; it ends with one of the codes."""
        typed = re.sub(r"  +# .*", "", self.here(typed))
        first, _, rest = typed.partition(" ")
        if first == "cd":
            self.folder /= rest
            return ""
        if first == "export":
            name, _, value = rest.partition("=")
            self.env[name] = value
            return ""
        if typed.startswith(SERVER):
            return self.shown(self._start_server())
        if typed == SERVE:
            self._serve()
            return ""
        printed = self.shown(self._run(typed, codes))
        if typed.startswith(INIT):
            settings = self.folder / typed.removeprefix(INIT) / "mcpgov.yaml"
            settings.write_text(self.here(settings.read_text("utf-8")), "utf-8")
        return printed

    def here(self, text: str) -> str:
        """A text of the page with the addresses and the key of this machine."""
        for shown, real in self.real.items():
            text = text.replace(shown, real)
        return text

    def shown(self, printed: str) -> str:
        """With the addresses of the page. The key that is shown once is remembered as the page writes it."""
        if found := KEY.search(printed):
            self.real[SHOWN_KEY] = found[0]
        for shown, real in self.real.items():
            printed = printed.replace(real, shown)
        return printed

    def _start_server(self) -> str:
        port = self.real[SERVER_LISTEN].rpartition(":")[2]
        command = [sys.executable, *shlex.split(SERVER)[1:], port]
        program = self._programs.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, env=self.env, text=True)
        )
        self._programs.callback(program.terminate)
        assert program.stdout
        return program.stdout.readline()

    def _serve(self) -> None:
        log, command = self.folder / "gateway.log", [sys.executable, "-m", *shlex.split(SERVE)]
        program = self._programs.enter_context(running(command, log, env=self.env, cwd=self.folder))
        wait_until_answers(f"http://{self.real[LISTEN]}/readyz", program, log)

    def _run(self, typed: str, codes: tuple[int, ...]) -> str:
        if self._installed or not typed.startswith("mcpgov "):
            return self._run_program(re.sub(r"^mcpgov ", "python -m mcpgov ", typed), codes)
        line, _, file = typed.partition(" > ")
        with chdir(self.folder):
            done = CliRunner(env=self.env).invoke(build_cli(), shlex.split(line)[1:])
        assert done.exit_code in codes, f"{typed}\n{done.output}"
        if not file:
            return done.output
        (self.folder / file).write_text(done.stdout, "utf-8")
        return done.stderr

    def _run_program(self, typed: str, codes: tuple[int, ...]) -> str:
        done = subprocess.run(
            ["bash", "-c", typed],
            check=False,
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode in codes, f"{typed}\n{done.stdout}"
        return done.stdout
