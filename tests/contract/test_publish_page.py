"""docs/publish.md, from its first command to its last: a real server, a real gateway, the client that was generated."""

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
from tests.test_docs import ROOT, blocks

PAGE: Final = ROOT / "docs" / "publish.md"
SECONDS: Final = 60
KEY: Final = re.compile(r"mcpgov_\w{46}")
SHOWN_KEY: Final = "mcpgov_…"
LISTEN: Final = "127.0.0.1:8080"
SERVER, SERVE, INIT = "python -m mcpgov.demo.city_server", "mcpgov serve", "mcpgov init gateway"


def steps() -> Iterator[tuple[str, str]]:
    """What is typed, and what the page shows of the answer."""
    for block in blocks(PAGE, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            typed, _, printed = part.partition("\n")
            yield typed, printed


def looks_like(shown: str, printed: str) -> bool:
    """Whether something was printed as a page shows it: … alone on a line is any lines, elsewhere any text of one.

    How wide columns are depends on ports and times, and does not matter.
    """
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    patterns = (r"(?:.*\n)*?" if line == "…" else ".*?".join(map(re.escape, line.split("…"))) + r"\n" for line in lines)
    text = "".join(" ".join(line.split()) + "\n" for line in printed.splitlines())
    return re.fullmatch("".join(patterns), text) is not None


class Shell:
    """The shell of whoever follows the page. Addresses are the machine's own, and read as those of the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.real = {LISTEN: f"127.0.0.1:{free_port()}"}
        self.env = {**os.environ, "COLUMNS": "80", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self._programs = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.close()
        structlog.reset_defaults()  # verbs that open a gateway say how it logs

    def type(self, typed: str, codes: tuple[int, ...] = (0,)) -> str:
        """What a line prints, as the page would show it; it ends with one of the codes."""
        for shown, real in self.real.items():
            typed = typed.replace(shown, real)
        first, _, rest = typed.partition(" ")
        if first == "cd":
            self.folder /= rest
            return ""
        if first == "export":
            name, _, value = rest.partition("=")
            self.env[name] = value
            return ""
        if typed == SERVER:
            return self.shown(self._start_server())
        if typed == SERVE:
            self._serve()
            return ""
        return self.shown(self._run(typed, codes))

    def shown(self, printed: str) -> str:
        """With the addresses of the page. The key that is shown once is remembered as the page writes it."""
        if found := KEY.search(printed):
            self.real[SHOWN_KEY] = found[0]
        for shown, real in self.real.items():
            printed = printed.replace(real, shown)
        return printed

    def _start_server(self) -> str:
        command = [sys.executable, *shlex.split(SERVER)[1:]]
        program = self._programs.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, env=self.env, text=True)
        )
        self._programs.callback(program.terminate)
        assert program.stdout
        line = program.stdout.readline()
        self.real["http://127.0.0.1:9000/mcp"] = line.strip()
        return line

    def _serve(self) -> None:
        log, command = self.folder / "gateway.log", [sys.executable, "-m", *shlex.split(SERVE)]
        program = self._programs.enter_context(running(command, log, env=self.env, cwd=self.folder))
        wait_until_answers(f"http://{self.real[LISTEN]}/readyz", program, log)

    def _run(self, typed: str, codes: tuple[int, ...]) -> str:
        if not typed.startswith("mcpgov "):
            return self._run_program(typed)
        line, _, file = typed.partition(" > ")
        with chdir(self.folder):
            done = CliRunner(env=self.env).invoke(build_cli(), shlex.split(line)[1:])
        assert done.exit_code in codes, f"{typed}\n{done.output}"
        if not file:
            return done.output
        (self.folder / file).write_text(done.stdout, "utf-8")
        return done.stderr

    def _run_program(self, typed: str) -> str:
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
        assert done.returncode == 0, f"{typed}\n{done.stdout}"
        return done.stdout


def test_the_whole_page_can_be_followed(tmp_path: Path) -> None:
    [program] = blocks(PAGE, "python")
    with Shell(tmp_path) as shell:
        for typed, shown in steps():
            printed = shell.type(typed, (1,) if "FAILED" in shown else (0,))
            assert looks_like(shown, printed), f"$ {typed}\n{printed}"
            if typed == INIT:
                folder = tmp_path / "gateway"
                (folder / "call.py").write_text(program.replace(LISTEN, shell.real[LISTEN]), "utf-8")
                settings = folder / "mcpgov.yaml"
                settings.write_text(settings.read_text("utf-8").replace(LISTEN, shell.real[LISTEN], 1), "utf-8")
        assert len(list((tmp_path / "gateway").glob(".vscode/mcp.json"))) == 1


def test_what_looks_otherwise_is_noticed() -> None:
    assert looks_like("a  b\n…\nlast\n", "a b\nmore\nand more\nlast\n")
    assert looks_like("took …\n…\n", "took   3 ms\n")
    assert not looks_like("a\n", "a\nb\n")
    assert not looks_like("took … ms\n", "took 3 s\n")
