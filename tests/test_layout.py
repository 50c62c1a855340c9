"""Where things stand: tests mirror the source, docs/design.md draws the tree on disk, what is declared is locked."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Tests that belong to no single source file.
OWN_FOLDERS = {
    *(
        "benchmarks",
        "contract",
        "flows",
        "conformance",
        "deploy",
        "faults",
        "fuzz",
        "hostile",
        "mutation",
        "peers",
        "soak",
        "supply",
    ),
}
OWN_FILES = {
    *("test_architecture.py", "test_budgets.py", "test_layout.py", "test_docs.py", "test_invariants.py"),
    *("test_execution.py", "test_security_page.py"),
}


def modules() -> set[Path]:
    """Every module of mcpgov but __init__ and __main__, relative to the package."""
    found = (file.relative_to(ROOT / "mcpgov") for file in (ROOT / "mcpgov").rglob("*.py"))
    return {file for file in found if not file.name.startswith("__")}


def mirrored() -> set[Path]:
    """The modules that the mirrored tests are named after."""
    found = {file.relative_to(ROOT / "tests") for file in (ROOT / "tests").rglob("test_*.py")}
    named = {file for file in found if file.parts[0] not in OWN_FOLDERS and file.as_posix() not in OWN_FILES}
    return {file.with_name(file.name.removeprefix("test_")) for file in named}


def test_every_module_has_its_test_file() -> None:
    assert sorted(map(str, modules() - mirrored())) == []


def test_every_test_file_has_its_module() -> None:
    assert sorted(map(str, mirrored() - modules())) == []


TREE = """\
mcpgov/
  models.py      the values that travel
  endpoint/*     1 · wire in, wire out      asgi, inbound*,
                                            reply*
  cli/           verbs
policies/  a library of ready policies
"""


def drawn(tree: str) -> Iterator[str]:
    """The paths that a tree block names: folders end in /, files of a folder stand in its last column, * means pure."""
    folder = ""
    for line in tree.splitlines()[1:]:
        indent = len(line) - len(line.lstrip())
        name, *columns = re.split(r"\*?\s{2,}", line.strip())
        if indent > 2:  # the last column of the folder above goes on
            yield from named_in(folder, name)
        elif indent == 2:
            folder = f"mcpgov/{name}" if name.endswith("/") else ""
            yield folder or f"mcpgov/{name}"
            yield from named_in(folder, columns[-1] if len(columns) > 1 else "")
        elif name:
            yield from (part for part in name.split() if part.endswith("/"))


def named_in(folder: str, column: str) -> Iterator[str]:
    """`asgi, inbound*` of endpoint/ -> mcpgov/endpoint/asgi.py, mcpgov/endpoint/inbound.py."""
    for item in filter(None, re.split(r",\s*", column)) if folder else ():
        yield f"{folder}{item.removesuffix('*')}.py"


def test_the_tree_block_is_read_as_it_is_written() -> None:
    in_endpoint = ["mcpgov/endpoint/asgi.py", "mcpgov/endpoint/inbound.py", "mcpgov/endpoint/reply.py"]
    assert list(drawn(TREE)) == ["mcpgov/models.py", "mcpgov/endpoint/", *in_endpoint, "mcpgov/cli/", "policies/"]


def test_the_design_draws_the_tree_that_is_on_disk() -> None:
    block = re.search(
        r"^```\w*\n(mcpgov/\n.*?)^```", (ROOT / "docs" / "design.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert block, "docs/design.md has no code block that begins with the line mcpgov/"
    paths = set(drawn(block[1]))
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []
    files = {f"mcpgov/{module.as_posix()}" for module in modules()}
    assert sorted(files - paths) == []


def test_npm_locks_name_no_host() -> None:
    assert (ROOT / ".npmrc").read_text("utf-8") == "omit-lockfile-registry-resolved=true\n"
    for lock in (ROOT / "tests").rglob("package-lock.json"):
        assert '"resolved"' not in lock.read_text("utf-8"), lock


def test_every_declared_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = [item for extra in project["project"]["optional-dependencies"].values() for item in extra]
    others = {item for item in extras if not item.startswith("mcpgov[")}  # what an extra takes from extras
    groups = {"runtime": project["project"]["dependencies"], "all": others, **project["dependency-groups"]}
    for group, declared in groups.items():
        locked = set(
            re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / f"{group}.txt").read_text("utf-8"), re.MULTILINE)
        )
        assert {re.split(r"[<>=;]", item)[0].lower() for item in declared} - locked == set()
