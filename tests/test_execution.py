"""Nothing that comes from outside becomes a program: no text is run as code, and who may start a process stands here.

The rules are like those of test_architecture: functions from modules to complaints, run on the package and on a breach.
What really happens while calls are served is watched in tests/flows/test_no_process.py.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.test_architecture import Modules, Rule, called_name, imports, is_in, nodes, package, room

# Builtins that make code of text, and modules that make objects or memory of bytes.
CODE_FROM_TEXT: Final = frozenset({"eval", "exec", "compile", "__import__", "execfile"})
# As dataclasses does: the text of an `__init__` of the names of our own fields (decisions 35, 47).
MAY_WRITE_CODE: Final = "frozen"
CODE_FROM_BYTES: Final = ("pickle", "marshal", "shelve", "dill", "ctypes", "code", "codeop", "runpy", "cffi")
UNSAFE_YAML: Final = frozenset({"load", "load_all", "full_load", "unsafe_load", "Loader", "FullLoader", "UnsafeLoader"})
# Local servers (a command from a file on disk, as a list), the workers of `serve --workers`, and the demo.
MAY_START_PROCESSES: Final = ("upstream.stdio_process", "supervisor", "demo.run")
STARTERS: Final = ("subprocess", "multiprocessing", "pty", "asyncio.subprocess", "asyncio.create_subprocess_exec")
OF_OS: Final = ("exec", "spawn", "posix_spawn", "fork", "popen", "system", "startfile")


def text_never_becomes_code(modules: Modules) -> Iterator[str]:
    """No eval, exec or pickle, and YAML only by the loader that makes plain values. One module writes constructors."""
    for name, tree in modules.items():
        allowed = {"exec"} if room(name) == MAY_WRITE_CODE else frozenset[str]()
        yield from (f"{name} imports {item}" for item in imports(tree) if is_in(item, CODE_FROM_BYTES))
        for node in nodes(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in CODE_FROM_TEXT - allowed
            ):
                yield f"{name} calls {node.func.id}()"
            if isinstance(node, ast.Attribute) and node.attr in UNSAFE_YAML and ast.unparse(node.value) == "yaml":
                yield f"{name} uses yaml.{node.attr}"


def processes_start_in_three_places(modules: Modules) -> Iterator[str]:
    """Who calls over a network starts nothing; who may start something hands over a list, and no line for a shell."""
    for name, tree in modules.items():
        for node in nodes(tree):
            if shell_in(node):
                yield f"{name} asks a shell: {ast.unparse(node)}"
            if not is_in(room(name), MAY_START_PROCESSES) and starts(node):
                yield f"{name} starts a process: {ast.unparse(node)}"
        if not is_in(room(name), MAY_START_PROCESSES):
            yield from (f"{name} imports {item}" for item in imports(tree) if is_in(item, STARTERS))


def shell_in(node: ast.AST) -> bool:
    """Whether a call goes through a shell."""
    asked = isinstance(node, ast.keyword) and node.arg == "shell" and ast.unparse(node.value) != "False"
    return asked or called_name(node) in {"create_subprocess_shell", "subprocess_shell", "getoutput", "getstatusoutput"}


def starts(node: ast.AST) -> bool:
    """Whether a node names what starts or becomes a process: asyncio's, or os's under any of its names."""
    if not isinstance(node, ast.Attribute):
        return False
    of_os = node.attr.startswith(OF_OS) and ast.unparse(node.value) == "os"
    return of_os or node.attr.startswith("create_subprocess_")


BREACHES: Final[Mapping[Rule, tuple[str, ...]]] = {
    text_never_becomes_code: (
        "eval(text)",
        "exec(text)",
        "compile(text, '', 'exec')",
        "import pickle",
        "from marshal import loads",
        "yaml.load(text, Loader)",
        "yaml.compose(text, yaml.UnsafeLoader)",
    ),
    processes_start_in_three_places: (
        "import subprocess",
        "from subprocess import run",
        "from asyncio import create_subprocess_exec",
        "os.system(text)",
        "os.execvp(text, [])",
        "os.posix_spawn(text, [], {})",
        "run(text, shell=True)",
        "run(text, shell=loud)",
        "asyncio.create_subprocess_exec(text)",
        "asyncio.create_subprocess_shell(text)",
    ),
}


@pytest.mark.parametrize("rule", BREACHES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(package())) == []


@pytest.mark.parametrize(
    ("rule", "breach"), [(rule, breach) for rule, breaches in BREACHES.items() for breach in breaches]
)
def test_a_breach_of_the_rule_is_reported(rule: Rule, breach: str) -> None:
    assert list(rule({"mcpgov.admin.keys": ast.parse(breach)})) != []


def test_not_even_who_may_start_a_process_asks_a_shell() -> None:
    for starter in MAY_START_PROCESSES:
        modules = {f"mcpgov.{starter}": ast.parse("import subprocess\nsubprocess.run(['x'])")}
        assert list(processes_start_in_three_places(modules)) == []
        loud = {f"mcpgov.{starter}": ast.parse("subprocess.run('x', shell=True)")}
        assert list(processes_start_in_three_places(loud)) != []


def test_every_place_that_may_start_a_process_is_there() -> None:
    assert {f"mcpgov.{place}" for place in MAY_START_PROCESSES} <= set(package())
