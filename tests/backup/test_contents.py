"""The files of a gateway are found under names that hold elsewhere, and secrets only where that was said."""

from pathlib import Path

import pytest

from mcpgov.backup.contents import Stored, contents_of
from mcpgov.backup.manifest import BadArchive
from tests.backup.saved import furnished

READ = ["catalog/city.yaml", "mcpgov.yaml", "policies/default.test.yaml", "policies/default.yaml", "policies/old.xml"]


def test_what_a_gateway_reads_is_saved_and_no_secret(tmp_path: Path) -> None:
    gateway = furnished(tmp_path)
    found = contents_of(gateway.place, gateway.stored, with_secrets=False)
    assert sorted(found.files) == READ
    assert (found.settings, found.store, found.elsewhere) == ("mcpgov.yaml", "mcpgov.db", {})
    assert found.needs == (
        "the file mcpgov.db.key",
        "the file mcpgov.db.signing-key",
        "${env:AFTER}",
        "${env:MCPGOV_KEY}",
        "${file:secrets/city}",
    )


def test_with_secrets_the_keys_and_the_files_that_are_named_are_saved_too(tmp_path: Path) -> None:
    gateway = furnished(tmp_path)
    found = contents_of(gateway.place, gateway.stored, with_secrets=True)
    assert sorted(set(found.files) - set(READ)) == ["mcpgov.db.key", "mcpgov.db.signing-key", "secrets/city"]
    assert found.needs == ("${env:AFTER}", "${env:MCPGOV_KEY}")


def test_what_lies_elsewhere_gets_a_name_here_and_is_told(tmp_path: Path) -> None:
    gateway = furnished(tmp_path / "there")
    place = tmp_path / "here" / "gateway.yaml"
    place.parent.mkdir()
    place.write_text(f"catalog: {tmp_path}/there/catalog\npolicies: ../there/policies\nx: ${{file:/run/secrets/x}}\n")
    found = contents_of(place, gateway.stored, with_secrets=True)
    assert found.settings == "gateway.yaml"
    assert found.store == "mcpgov.db"
    assert {"catalog/city.yaml", "policies/old.xml", "mcpgov.db.key", "gateway.yaml"} < set(found.files)
    assert found.elsewhere.keys() == {"catalog", "policies", "audit.store"}
    assert "${file:/run/secrets/x}" in found.needs


def test_settings_that_are_wrong_or_not_there_are_no_reason_to_save_nothing(tmp_path: Path) -> None:
    gateway = furnished(tmp_path, "{ this is: no settings")
    assert "mcpgov.yaml" in contents_of(gateway.place, gateway.stored, with_secrets=False).files
    gateway.place.unlink()
    found = contents_of(gateway.place, gateway.stored, with_secrets=False)
    assert (found.settings, "catalog/city.yaml" in found.files) == ("", True)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "here" / "catalog").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for file in (tmp_path / "here" / "catalog" / "a.yaml", tmp_path / "elsewhere" / "a.yaml"):
        file.write_text("inbound: []\n")
    place = tmp_path / "here" / "mcpgov.yaml"
    place.write_text("catalog: ../elsewhere\npolicies: catalog\n")
    with pytest.raises(BadArchive, match="rename one"):
        contents_of(place, Stored(None), with_secrets=False)
