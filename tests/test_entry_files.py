"""A file of the catalog is parsed once for the bytes it has, and no secret is remembered with it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.entry_files import parse_file
from mcpgov.errors import InvalidConfiguration
from mcpgov.reload import Generations, ReloadResult

PLACE = Path("catalog/new.yaml")
PLAIN = "name: com.contoso/new\nupstream: https://new.contoso.com\nconnections: { new: {} }\n"
THEN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, 0, 0, 0, 5, tzinfo=UTC)
NOTHING = EnvironmentAndFiles({})


def keyed(reference: str) -> str:
    return PLAIN.replace("{}", f"{{ authType: CustomKeys, keys: {{ X-Key: '{reference}' }} }}")


def test_the_same_bytes_are_the_same_value() -> None:
    before = parse_file(PLACE, PLAIN, NOW, NOTHING, None)
    assert parse_file(PLACE, PLAIN, NOW, NOTHING, before) is before


def test_one_other_byte_is_another_entry() -> None:
    before = parse_file(PLACE, PLAIN, NOW, NOTHING, None)
    after = parse_file(PLACE, PLAIN.replace("{ new:", "{ old:"), NOW, NOTHING, before)
    assert [one.connection.name for one in after.entry.connections] == ["old"]
    assert after.digest != before.digest


def test_a_file_that_was_only_touched_keeps_its_entry_and_has_another_time() -> None:
    before = parse_file(PLACE, PLAIN, THEN, NOTHING, None)
    after = parse_file(PLACE, PLAIN, NOW, NOTHING, before)
    assert after.entry is before.entry
    assert after.listed.updated == NOW.replace(microsecond=0)


def test_a_secret_that_was_rotated_is_taken_though_no_byte_changed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file")
    for reference in ("${env:KEY}", "${file:key}", "${secret:https://v.vault.azure.net/secrets/key}"):
        text = keyed(reference)
        first = EnvironmentAndFiles({"KEY": "one"}, str(tmp_path), lambda _: "one")
        second = EnvironmentAndFiles({"KEY": "two"}, str(tmp_path), lambda _: "two")
        before = parse_file(PLACE, text, NOW, first, None)
        (tmp_path / "key").write_text("two")
        after = parse_file(PLACE, text, NOW, second, before)
        assert after.entry.connections[0].connection.keys[0][1].reveal() == "two"
        assert after.listed is before.listed  # which holds nothing of it


def test_a_reference_that_an_escape_makes_is_asked_for_anew_too() -> None:
    text = PLAIN.replace("{}", '{ authType: CustomKeys, keys: { X-Key: "\\x24{env:KEY}" } }')
    before = parse_file(PLACE, text, NOW, EnvironmentAndFiles({"KEY": "one"}), None)
    after = parse_file(PLACE, text, NOW, EnvironmentAndFiles({"KEY": "two"}), before)
    assert after.entry.connections[0].connection.keys[0][1].reveal() == "two"


def test_a_secret_that_is_gone_is_a_problem_though_no_byte_changed() -> None:
    before = parse_file(PLACE, keyed("${env:KEY}"), NOW, EnvironmentAndFiles({"KEY": "one"}), None)
    with pytest.raises(InvalidConfiguration, match="which is not set"):
        parse_file(PLACE, keyed("${env:KEY}"), NOW, NOTHING, before)


def test_a_folder_to_work_in_is_that_of_the_settings() -> None:
    text = "name: a/b\ncommand: [x]\ncwd: there\nconnections: { x: {} }\n"
    entry = parse_file(PLACE, text, NOW, EnvironmentAndFiles({}, "/srv"), None).entry
    assert "/srv/there" in repr(entry.connections[0].connection.upstream)


async def silent(_: ReloadResult) -> None:
    """A report that nobody reads."""


def test_a_reload_parses_only_the_files_whose_bytes_changed(tmp_path: Path) -> None:
    other, changed = tmp_path / "catalog" / "other.yaml", tmp_path / "catalog" / "changed.yaml"
    other.parent.mkdir()
    (tmp_path / "mcpgov.yaml").write_text("{}")
    other.write_text("name: a/other\nupstream: https://a.example\nconnections: { other: {} }\n")
    changed.write_text("name: a/changed\nupstream: https://a.example\nconnections: { one: {} }\n")
    holder = Generations(tmp_path / "mcpgov.yaml", silent)
    before = holder.current().files
    changed.write_text("name: a/changed\nupstream: https://a.example\nconnections: { two: {} }\n")
    assert holder.try_reload().problems == ()
    assert holder.current().files[other] is before[other]
    assert set(holder.current().connections) == {"other", "two"}
    other.unlink()
    holder.try_reload()
    assert other not in holder.current().files
