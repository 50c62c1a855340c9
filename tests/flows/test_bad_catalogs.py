"""Bad entries are each told with a reason, and hide neither each other nor what is in force."""

from pathlib import Path

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.reload import Generations, ReloadResult, load_generation

GOOD = "name: com.contoso/github\nupstream: https://mcp.contoso.com/\nconnections: { github: {} }\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text("{}")
    (tmp_path / "catalog" / "github.yaml").write_text(GOOD)
    return tmp_path


async def silent(_: ReloadResult) -> None:
    """A report that nobody reads."""


def test_bad_entries_hide_neither_each_other_nor_what_is_in_force(folder: Path) -> None:
    holder, catalog = Generations(folder / "mcpgov.yaml", silent), folder / "catalog"
    good = holder.current()
    entry = "name: {}\nupstream: {}\nconnections: {{ {}: {{}} }}\n"
    bad = {
        "a-name": (entry.format("no slash", "https://a.example", "a"), "is not a server name of the MCP registry"),
        "b-connection": (entry.format("x/b", "https://a.example", "B!"), "is not the name of a connection"),
        "c-metadata": (entry.format("x/c", "https://169.254.169.254/latest", "c"), "the secrets of this machine"),
        "d-octal": (entry.format("x/d", "https://0251.0376.0251.0376/", "d"), "the secrets of this machine"),
        "e-here": (entry.format("x/e", "https://localhost/", "e"), "a name on your own network"),
        "f-plain": (entry.format("x/f", "http://a.example", "f"), "is plain http"),
        "n-twice": (entry.format("com.contoso/github", "https://a.example", "g"), "is also in"),
        "h-large": ("#" * 50_000_000, "larger than 1048576 bytes"),
        "i-deep": ("x: " + "[" * 10_000, "nested deeper than 32 levels"),
        "j-alias": ("a: &a [*a]", "an alias is not allowed"),
    }
    for name, (text, _) in bad.items():
        (catalog / f"{name}.yaml").write_text(text)
    (catalog / "k-loop.yaml").symlink_to("k-loop.yaml")
    (catalog / "l-folder.yaml").symlink_to(catalog)
    told = {Path(problem.file).stem: str(problem) for problem in holder.try_reload().problems}
    for name, said in {name: said for name, (_, said) in bad.items()}.items():
        assert said in told[name]
    assert "cannot be read" in told["k-loop"]
    assert "this is not a file" in told["l-folder"]
    assert holder.current() is good


def test_a_catalog_that_leads_to_itself_is_told(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "mcpgov.yaml").write_text("catalog: loop")
    with pytest.raises(InvalidConfiguration, match=r"the folder .*loop cannot be read"):
        load_generation(folder / "mcpgov.yaml")
