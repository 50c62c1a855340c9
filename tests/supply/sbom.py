"""sbom.cdx.json: what mcpgov is made of when it runs, as CycloneDX 1.6 (ECMA-424).

python -m tests.supply.sbom [--check]    writes it, or only says whether it is what the lock says

Rules: made from two locks (runtime and all), requirements/licences.toml and pyproject.toml alone, so that the same
locks give the same bytes on every machine: no time, no serial number, no host. Each component has the SHA-256 of every
file that may be installed for it; one that only an extra brings is optional. Left out: what only builds or tests, and
the npm packages of the tests.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.supply.licences import licences, named
from tests.supply.locks import ROOT, Pin, lock, pins

FILE: Final = ROOT / "sbom.cdx.json"


def build() -> str:
    """The whole document, as text."""
    locked, plain = pins(lock("all")), {pin.name for pin in pins(lock("runtime"))}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(item for extra in extras for item in extra)]
    direct = {re.split(r"[<>=;\[]", item)[0].lower() for item in declared}
    root: dict[str, Any] = {
        "bom-ref": "mcpgov",
        "type": "application",
        "name": "mcpgov",
        "description": project["description"],
        "licenses": licence(project["license"]),
    }
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root, "lifecycles": [{"phase": "pre-build"}]},
        "components": [component(pin, licences().packages[pin.name], needed=pin.name in plain) for pin in locked],
        "dependencies": [
            {"ref": "mcpgov", "dependsOn": [purl(pin) for pin in locked if pin.name in direct]},
            *({"ref": purl(pin)} for pin in locked),
        ],
        # what a component depends on itself is not told
        "compositions": [{"aggregate": "incomplete", "dependencies": [purl(pin) for pin in locked]}],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def component(pin: Pin, expression: str, *, needed: bool) -> dict[str, Any]:
    """One locked package, `needed` by a plain installation or not. Where it is for some systems, a property says so."""
    files = [{"alg": "SHA-256", "content": digest} for digest in pin.hashes]
    made: dict[str, Any] = {
        "bom-ref": purl(pin),
        "type": "library",
        "name": pin.name,
        "version": pin.version,
        "scope": "required" if needed else "optional",
        "purl": purl(pin),
        "licenses": licence(expression),
        "externalReferences": [{"type": "distribution", "url": purl(pin), "hashes": files}],
    }
    if pin.marker:
        made["properties"] = [{"name": "mcpgov:marker", "value": pin.marker}]
    return made


def purl(pin: Pin) -> str:
    """The package URL of a pin (ECMA-427)."""
    return f"pkg:pypi/{pin.name}@{pin.version}"


def licence(expression: str) -> list[dict[str, Any]]:
    """An SPDX expression as CycloneDX writes it: a single licence by its id."""
    if len(named(expression)) > 1:
        return [{"expression": expression, "acknowledgement": "declared"}]
    return [{"license": {"id": expression, "acknowledgement": "declared"}}]


def main() -> int:
    """Write the file or check it; gives back the exit code."""
    text = build()
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.stderr.write(f"sbom: not CycloneDX 1.6: {problem}\n")
        return 1
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, "utf-8")
        return 0
    if not FILE.is_file() or FILE.read_text("utf-8") != text:
        sys.stderr.write("sbom: sbom.cdx.json is not what requirements/all.txt says: run scripts/sbom\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
