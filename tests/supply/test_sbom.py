"""The bill of materials is that of the lock, valid, the same on every machine, and names no host."""

import json
import re

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.supply.locks import lock, pins
from tests.supply.sbom import FILE, build

TEXT = FILE.read_text("utf-8")


def test_the_bill_in_the_repository_is_what_the_lock_says() -> None:
    assert build() == TEXT, "run scripts/sbom"


def test_it_is_valid_by_cyclonedx_1_6() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(TEXT) is None


def test_it_has_each_pin_with_every_hash_and_a_licence() -> None:
    found = {
        (item["name"], item["version"]): {digest["content"] for digest in item["externalReferences"][0]["hashes"]}
        for item in json.loads(TEXT)["components"]
    }
    assert found == {(pin.name, pin.version): set(pin.hashes) for pin in pins(lock("all"))}
    assert all(item["licenses"] for item in json.loads(TEXT)["components"])


def test_it_names_no_host_and_no_time() -> None:
    assert re.findall(r"\w+://[^\"]+", TEXT) == ["http://cyclonedx.org/schema/bom-1.6.schema.json"]
    assert "serialNumber" not in json.loads(TEXT)
    assert "timestamp" not in json.loads(TEXT)["metadata"]


def test_what_is_asked_for_directly_is_told_from_what_comes_with_it() -> None:
    root, *others = json.loads(TEXT)["dependencies"]
    assert "pkg:pypi/aiohttp@" in " ".join(root["dependsOn"])
    assert "pkg:pypi/idna@" not in " ".join(root["dependsOn"])
    assert len(others) == len(json.loads(TEXT)["components"])


def test_what_only_an_extra_brings_is_optional() -> None:
    scopes = {item["name"]: item["scope"] for item in json.loads(TEXT)["components"]}
    assert {name for name, scope in scopes.items() if scope == "required"} == {p.name for p in pins(lock("runtime"))}
    assert {scopes[name] for name in ("azure-identity", "opentelemetry-sdk", "psycopg", "pyarrow", "redis")} == {
        "optional"
    }
