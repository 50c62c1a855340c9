"""A manifest is read strictly, and names nothing that could lead out of a folder."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from mcpgov.backup.manifest import BadArchive, Manifest, Member, StoreCopy, is_safe, parse_manifest

MANIFEST = Manifest(
    1,
    "0.1.0",
    "2026-11-22T00:00:00Z",
    settings="mcpgov.yaml",
    store="mcpgov.db",
    copy=StoreCopy(6, "note"),
    members={name: Member(1, "0" * 64) for name in ("mcpgov.yaml", "mcpgov.db", "mcpgov.db.key", "mcpgov.dbx")},
)


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads(MANIFEST.written()) | fields).encode()


def test_what_is_written_is_read_again_and_always_the_same() -> None:
    assert parse_manifest(MANIFEST.written()) == MANIFEST
    assert parse_manifest(MANIFEST.written()).written() == MANIFEST.written()


def test_the_store_and_the_keys_beside_it_are_told_from_the_rest() -> None:
    assert sorted(MANIFEST.of_store) == ["mcpgov.db", "mcpgov.db.key"]
    assert Manifest(1, "0", "now", members=MANIFEST.members).of_store == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b'{"format": 1, "format": 1}', "not JSON that reads in one way"),
        (changed(format=2), "a newer mcpgov made this archive"),
        (changed(format="1"), "a newer mcpgov made this archive"),
        (changed(extra=1), "not a manifest"),
        (b"[]", "not a manifest"),
        (b"{}", "not a manifest"),
        (changed(members={"a": {"bytes": 1}}), "not a manifest"),
        (changed(members={"a": {"bytes": -1, "sha256": "0" * 64}}), "names a member 'a'"),
        (changed(members={"a": {"bytes": 1, "sha256": "0" * 63}}), "names a member 'a'"),
        (changed(members={"../a": {"bytes": 1, "sha256": "0" * 64}}), "names a member"),
        (changed(store="gone.db"), "not among its members"),
        (changed(settings="gone.yaml"), "not among its members"),
    ],
)
def test_what_no_gateway_wrote_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(BadArchive, match=says):
        parse_manifest(content)


NAMES: Mapping[str, bool] = {
    "mcpgov.yaml": True,
    "catalog/städte.yaml": True,
    "a" * 255: True,
    "a" * 256: False,
    "/".join(["a" * 100] * 6): False,
    "..": False,
    "a/../b": False,
    "/a": False,
    "a/": False,
    "a\\b": False,
    "c:a": False,
    "a\x00": False,
    "manifest.json": False,
    "": False,
}


@pytest.mark.parametrize(("name", "safe"), NAMES.items())
def test_a_name_leads_below_the_folder_or_is_none(name: str, *, safe: bool) -> None:
    assert is_safe(name) is safe
