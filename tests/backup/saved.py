"""A gateway's folder with a ledger in it, and archives as somebody else could write them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord
from mcpgov.backup.contents import Stored
from mcpgov.backup.manifest import MANIFEST
from mcpgov.backup.saving import Gateway, Saved, save
from mcpgov.decision import Reason
from mcpgov.store.database import digest_key, key_files, signing_key
from mcpgov.store.sqlite_copy import copy_sqlite
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts
from tests.contract.ledgers import SIGNER

SETTINGS = (
    'audit: { store: "sqlite:///mcpgov.db" }\nsecrets: { key: "${env:MCPGOV_KEY}" }  # ${env:AFTER}\n# ${env:OLD}\n'
)


def furnished(folder: Path, settings: str = SETTINGS) -> Gateway:
    """A folder with settings, catalog, policies, a ledger of a few records, and its keys."""
    texts = {
        "mcpgov.yaml": settings,
        "catalog/city.yaml": "name: dev.mcpgov/city\nkeys: ${file:secrets/city}\n",
        "catalog/.hidden.yaml": "hidden: true\n",
        "policies/default.yaml": "inbound: []\n",
        "policies/default.test.yaml": "cases: []\n",
        "policies/old.xml": "<policies/>",
        "policies/notes.txt": "no policy",
        "secrets/city": "hunter2",
    }
    for name, text in texts.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    store = folder / "mcpgov.db"
    ledger = SqliteLedgerStore(store)
    ledger.open()
    ledger.append([ControlRecord(ControlEvent.START, NOW).row()])
    ledger.append([DeniedRecord(facts(str(each), NOW), Reason.TOOL_DENIED).row() for each in range(20)])
    ledger.checkpoint(SIGNER.checkpoint, NOW)
    ledger.close(finished=False)
    digest_key(store)
    signing_key(store)
    return Gateway(folder / "mcpgov.yaml", Stored(store, key_files(store)), copy_sqlite)


def saved_to(file: Path, gateway: Gateway, *, with_secrets: bool = False) -> Saved:
    """An archive of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return save(gateway, file, NOW, with_secrets=with_secrets)


def members(file: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """The members of an archive in their order."""
    with tarfile.open(file) as tar:
        return [(one, (tar.extractfile(one) or io.BytesIO()).read()) for one in tar]


def write(file: Path, found: Iterable[tuple[tarfile.TarInfo, bytes]]) -> None:
    """An archive of just these members."""
    with tarfile.open(file, "w") as tar:
        for header, content in found:
            tar.addfile(header, io.BytesIO(content))


def plain(name: str, content: bytes = b"evil", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A member that somebody made."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    for key, value in fields.items():
        setattr(header, key, value)
    return header, content


def rewritten(file: Path, change: Callable[[dict[str, Any]], object], *more: tuple[tarfile.TarInfo, bytes]) -> None:
    """The same archive with another manifest, and with more members that this may name."""
    (_, content), *others = members(file)
    manifest = json.loads(content)
    for header, body in more:
        manifest["members"][header.name] = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    change(manifest)
    write(file, [plain(MANIFEST, json.dumps(manifest).encode()), *others, *more])


def without_store(gateway: Gateway) -> Gateway:
    """The same where the store is a server."""
    return replace(gateway, stored=Stored(None))
