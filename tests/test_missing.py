"""What a configuration names is looked for on this machine; nothing is made by looking."""

from pathlib import Path

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.missing import away, missing
from mcpgov.reload import load_generation
from mcpgov.settings import Settings, parse_settings
from mcpgov.yaml_source import Source, parse_yaml

PLACES = """\
audit:
  sinks: ["sqlite:///{0}/second.db", "postgresql://mcpgov@db.contoso.com/mcpgov"]
  checkpoints: ["file://{0}/a%20b/notes", "sqlite:///{0}/notes.db", "https://worm.contoso.com/notes"]
  exports:
    - {{ name: files, to: "file://{0}/exported" }}
    - {{ name: siem, to: "https://siem.contoso.com/v1/logs" }}
secrets: {{ key: qk3v0nJ1b8mW5xT7yR2uPzLcGdHsAeFj9iKoQwXtMaY= }}
"""


def written(folder: Path, text: str) -> tuple[Source, Settings]:
    place = str(folder / "mcpgov.yaml")
    return parse_yaml(text, place), parse_settings(text, place)


def told(folder: Path, text: str) -> list[tuple[int, str, str]]:
    """Line, words and mend of what cannot be there, the way to the folder left out."""
    found = away(*written(folder, text))
    return [(one.line, one.message.replace(f"{folder}/", ""), one.mend.replace(f"{folder}/", "")) for one in found]


def test_folders_that_are_there_or_can_be_made_are_right_and_are_not_made(tmp_path: Path) -> None:
    assert told(tmp_path, PLACES.format(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_made_are_told_each_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    may = "file is not a folder that mcpgov may"
    assert told(tmp_path, PLACES.format(tmp_path / "file")) == [
        (2, f"{may} enter", "name another"),
        (3, f"{may} write to", "make file/a b/notes for mcpgov's user, or name another"),
        (3, f"{may} write to", "name another"),
        (5, f"{may} write to", "make file/exported for mcpgov's user, or name another"),
    ]


def test_a_further_store_needs_its_folder(tmp_path: Path) -> None:
    (problem,) = told(tmp_path, "audit: { sinks: ['sqlite:///no/second.db'] }")
    assert problem == (1, "the folder no is not there", f"mkdir -p {tmp_path}/no".replace(f"{tmp_path}/", ""))


def test_a_start_goes_on_without_what_is_tried_again_and_needs_its_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text(PLACES.format(tmp_path / "file"))
    assert load_generation(tmp_path / "mcpgov.yaml", {}).connections == {}
    with pytest.raises(InvalidConfiguration) as caught:
        load_generation(tmp_path / "mcpgov.yaml", {}, thorough=True)
    assert len(caught.value.problems) == 4
    (problem,) = missing(*written(tmp_path, "audit: { store: 'sqlite:///no/mcpgov.db' }"), (), None)
    assert problem.message == f"the folder {tmp_path}/no is not there"
