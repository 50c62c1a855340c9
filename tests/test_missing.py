"""What a configuration names is looked for on this machine; nothing is made by looking."""

import sys
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


EXTRAS = """\
azure: { tenant_id: 11111111-1111-2222-3333-444444444444 }
counters: redis://localhost
audit:
  store: postgresql://mcpgov@db.contoso.com/mcpgov
  sinks: [sqlite:///second.db, postgresql://mcpgov@db.contoso.com/second]
  checkpoints: ["https://worm.contoso.com/notes", "postgresql://mcpgov@worm.contoso.com/notes"]
  exports: [{ name: lake, to: "file:///exported", format: parquet }, { name: files, to: "file:///files" }]
secrets: { key: qk3v0nJ1b8mW5xT7yR2uPzLcGdHsAeFj9iKoQwXtMaY= }
"""


def test_what_a_plain_installation_does_without_is_told_where_it_is_named_and_how_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = written(tmp_path, EXTRAS)
    assert list(missing(*named, (), None)) == []
    for module in ("azure.identity", "redis", "psycopg", "pyarrow"):
        monkeypatch.setitem(sys.modules, module, None)
    assert [(one.line, one.message, one.mend) for one in missing(*named, (), None)] == [
        (1, "azure: needs azure-identity, which is not installed", "pip install 'mcpgov[azure]'"),
        (2, "Redis needs redis, which is not installed", "pip install 'mcpgov[redis]'"),
        (4, "PostgreSQL needs psycopg, which is not installed", "pip install 'mcpgov[postgres]'"),
        (5, "PostgreSQL needs psycopg, which is not installed", "pip install 'mcpgov[postgres]'"),
        (6, "PostgreSQL needs psycopg, which is not installed", "pip install 'mcpgov[postgres]'"),
        (7, "Parquet needs pyarrow, which is not installed", "pip install 'mcpgov[parquet]'"),
    ]


def test_what_nothing_names_need_not_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("azure.identity", "redis", "psycopg", "pyarrow"):
        monkeypatch.setitem(sys.modules, module, None)
    assert list(missing(*written(tmp_path, "audit: { sinks: ['sqlite:///second.db'] }"), (), None)) == []
