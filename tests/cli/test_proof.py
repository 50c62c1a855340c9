"""The verbs of proof say what is wrong in words and in their exit code, and hand out what others can check."""

import gzip
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.audit.chain import Chain
from mcpgov.audit.checkpoints import KeptCheckpoint
from mcpgov.audit.note import Signer, VerifierKey
from mcpgov.audit.record import ControlEvent, ControlRecord, IntentRecord, OutcomeRecord
from mcpgov.cli.proof import Opening, add_proof
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus
from mcpgov.store.evidence import SqlEvidence, open_sqlite_evidence
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts

SIGNER = Signer(bytes(32))
VKEY = str(SIGNER.key)
OTHER = str(Signer(bytes(range(32))).key)
ALONE = "Held against no checkpoint from elsewhere"


class Site:
    """A ledger of one call, its checkpoint where it was sent to, and the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "mcpgov.db"
        self.store = SqliteLedgerStore(self.path)
        self.store.open()
        self.store.append([ControlRecord(ControlEvent.START, NOW).row(), IntentRecord(facts("1")).row()])
        self.store.checkpoint(SIGNER.checkpoint, NOW)
        self.store.append([OutcomeRecord("1", NOW, OutcomeStatus.OK).row()])
        self.key: VerifierKey | None = SIGNER.key
        self.left = folder / "left"
        self.noted: list[Mapping[str, str | int]] = []
        self.mute = False
        self.places: list[str] = []

    def evidence(self, source: str | None, config: Path | None) -> SqlEvidence:
        if config:
            raise StoreUnavailable("no such settings")
        return open_sqlite_evidence(Path(source) if source else self.path)

    async def note(self, _config: Path | None, details: Mapping[str, str | int]) -> None:
        if self.mute:
            raise StoreUnavailable("read-only")
        self.noted.append(details)

    def written(
        self, config: Path | None, name: str, since: int | None, until: int | None
    ) -> Iterator[tuple[bytes, int]]:
        self.asked = (config, name, since, until)
        yield b"first,", 15_000
        yield b"second", 10_000

    def received(self, place: str) -> Iterator[str]:
        if "worm" not in place:
            raise ValueError("is not the URL of a database")
        return (path.read_text("utf-8") for path in self.left.rglob("*.note"))

    def run(self, *arguments: str) -> Result:
        audit = typer.Typer()
        opening = Opening(
            self.evidence,
            lambda _source, _config: self.key,
            self.note,
            self.written,
            self.received,
            lambda _config: self.places,
        )
        add_proof(audit, opening)
        return CliRunner(env={"COLUMNS": "300"}).invoke(audit, arguments)

    def change(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(statement)

    def leave(self) -> None:
        """Send the checkpoint away."""
        with closing(sqlite3.connect(self.path)) as database:
            kept = KeptCheckpoint(*database.execute("SELECT writer, size, at, note FROM checkpoints").fetchone())
        (self.left / kept.name).parent.mkdir(parents=True)
        (self.left / kept.name).write_text(kept.note, "utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_store_that_nobody_touched_is_ok(site: Site) -> None:
    shown = site.run("verify")
    assert (shown.exit_code, shown.stderr) == (0, f"{ALONE}. See audit.checkpoints.\n")
    assert shown.stdout == (
        "ok: 3 records of 1 writer, 1 checkpoint, 1 record after the last of them, 0 from before there were hashes\n"
    )


def test_that_the_configured_store_was_verified_is_written_down(site: Site) -> None:
    site.run("verify", "--no-record")
    site.run("verify", str(site.path))
    assert site.noted == []
    site.run("verify")
    (noted,) = site.noted
    assert {name: noted[name] for name in ("result", "records", "found", "uncovered", "compared", "key")} == {
        "compared": 0,
        "result": "ok",
        "records": 3,
        "found": 0,
        "uncovered": 1,
        "key": SIGNER.key.name,
    }


def test_a_verdict_that_cannot_be_written_down_is_told_all_the_same(site: Site) -> None:
    site.mute, site.key = True, None
    site.change("UPDATE records SET record = '{}' WHERE seq = 3")
    shown = site.run("verify")
    assert shown.exit_code == 1
    assert "could not be written down: read-only" in shown.stderr


def test_what_is_wrong_is_named_and_is_the_exit_code(site: Site) -> None:
    site.change("UPDATE records SET record = replace(record, 'alice', 'carol') WHERE seq = 2")
    shown = site.run("verify", str(site.path))
    assert shown.exit_code == 1
    assert shown.stdout.startswith(f"tampered: record 2 of {site.store.writer} (row 2) is not what its hash is of")
    assert "\ntampered: 3 records" in shown.stdout
    site.change("DELETE FROM records WHERE seq = 2")
    assert site.run("verify").exit_code == 2


def test_of_very_many_findings_the_rest_is_counted(site: Site) -> None:
    site.store.append([IntentRecord(facts(f"more {number}")).row() for number in range(40)])
    site.change("UPDATE records SET hash = x'00'")
    assert "… and 23 more\n" in site.run("verify").stdout


def test_a_verdict_is_one_object_for_a_program(site: Site) -> None:
    site.change("UPDATE records SET record = '{}' WHERE seq = 3")
    found = json.loads(site.run("verify", "--json").stdout)
    assert {name: found[name] for name in ("code", "signed", "records", "checkpoints", "found")} == {
        "code": 1,
        "signed": True,
        "records": 3,
        "checkpoints": 1,
        "found": 1,
    }
    assert found["findings"][0] | {"what": ""} == {
        "kind": "tampered",
        "writer": site.store.writer,
        "seq": 3,
        "row": 3,
        "what": "",
    }


def test_without_a_key_it_says_that_no_signature_was_checked(site: Site) -> None:
    site.key = None
    shown = site.run("verify")
    assert shown.exit_code == 0
    assert "No signature was checked" in shown.stderr
    assert json.loads(site.run("verify", "--json").stdout)["signed"] is False


def test_a_key_may_be_given_as_itself_or_as_a_file(site: Site) -> None:
    site.key = None
    (site.folder / "verifier.key").write_text(f"{VKEY}\n")
    for given in (VKEY, str(site.folder / "verifier.key")):
        assert "No signature" not in site.run("verify", "--key", given).stderr
    assert site.run("verify", "--key", OTHER).exit_code == 1
    assert "this is no verifier key" in site.run("verify", "--key", "x+y").stderr
    assert "nonsense is neither a key nor a file" in site.run("verify", "--key", "nonsense").stderr


def test_checkpoints_that_left_are_held_against_the_store(site: Site) -> None:
    site.leave()
    shown = site.run("verify", "--checkpoints", str(site.left))
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout.endswith("\nheld against 1 checkpoint from elsewhere\n")
    site.change("DELETE FROM records WHERE seq > 1")
    site.change("DELETE FROM checkpoints")
    assert site.run("verify").exit_code == 0
    shown = site.run("verify", "--checkpoints", str(site.left))
    assert shown.exit_code == 2
    assert "a checkpoint that left the house covers it, 1 is there" in shown.stdout


def test_to_have_compared_nothing_is_no_success(site: Site) -> None:
    site.left.mkdir()
    shown = site.run("verify", "--checkpoints", str(site.left))
    assert (shown.exit_code, shown.stderr) == (4, f"{ALONE}. See audit.checkpoints.\n")
    assert shown.stdout.startswith("not proved: ")
    site.left.rmdir()
    site.leave()
    for arguments in (("--checkpoints", str(site.left)), ("--checkpoints", "sqlite:////worm"), ("--key", OTHER)):
        site.places, site.key = [str(site.left)], Signer(bytes(range(32))).key
        shown = site.run("verify", *arguments)
        assert f"{ALONE}; left out: 1 of other keys ({SIGNER.key.name})" in shown.stderr
        assert shown.exit_code == 1  # the checkpoint in the store is another's too
    site.change("DELETE FROM checkpoints")
    assert site.run("verify", "--checkpoints", str(site.left)).exit_code == 4
    shown = site.run("verify", "--json")
    told = json.loads(shown.stdout)
    assert (shown.exit_code, shown.stderr, told["code"], told["compared"], told["left_out"]) == (4, "", 4, 0, 1)


def test_checkpoints_of_other_logs_beside_ours_are_counted(site: Site) -> None:
    site.leave()
    other = Signer(bytes(range(32)))
    (site.left / "other.note").write_text(other.checkpoint(Chain("w", 1, frontier=(bytes(32),))), "utf-8")
    shown = site.run("verify", "--checkpoints", str(site.left))
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert f"held against 1 checkpoint from elsewhere; left out: 1 of other keys ({other.key.name})\n" in shown.stdout
    told = json.loads(site.run("verify", "--checkpoints", str(site.left), "--json").stdout)
    assert (told["compared"], told["left_out"]) == (1, 1)


def test_the_configured_store_is_held_against_the_places_that_the_settings_name(site: Site) -> None:
    site.leave()
    site.places = ["postgresql://auditor:hunter2@db/nowhere", str(site.folder / "unmounted"), str(site.left)]
    shown = site.run("verify")
    assert "held against 1 checkpoint from elsewhere" in shown.stdout
    assert "postgresql://db/nowhere: is not the URL of a database\n" in shown.stderr
    assert "unmounted is no folder" in shown.stderr
    assert "hunter2" not in shown.output
    assert site.noted[-1]["compared"] == 1
    site.change("DELETE FROM records")
    site.change("DELETE FROM checkpoints")
    site.change("DELETE FROM writers")
    shown = site.run("verify")
    assert (shown.exit_code, "covers it, nothing is there" in shown.stdout) == (2, True)
    site.places = []
    assert ALONE in site.run("verify").stderr
    assert ALONE in site.run("verify", str(site.path)).stderr


def test_a_checkpoint_that_left_and_is_false_is_told_and_is_no_success(site: Site) -> None:
    site.leave()
    (note,) = site.left.rglob("*.note")
    note.write_text(note.read_text("utf-8").replace("\n2\n", "\n3\n"), "utf-8")
    shown = site.run("verify", "--checkpoints", str(site.left))
    assert shown.exit_code == 1
    assert "left out: a checkpoint" in shown.stderr


def test_checkpoints_in_a_database_are_held_against_the_store_and_its_password_is_not_shown(site: Site) -> None:
    site.leave()
    url = "postgresql://auditor:hunter2@db/worm"
    assert site.run("verify", "--checkpoints", url).exit_code == 0
    (note,) = site.left.rglob("*.note")
    note.write_text(note.read_text("utf-8").replace("\n2\n", "\n3\n"), "utf-8")
    shown = site.run("verify", "--checkpoints", url)
    assert shown.exit_code == 1
    assert "left out: a checkpoint from postgresql://db/worm: " in shown.stderr
    for wrong in ("postgresql://auditor:hunter2@db", str(site.folder / "nowhere"), str(site.path)):
        refused = site.run("verify", "--checkpoints", wrong)
        assert (refused.exit_code, "--checkpoints" in refused.stderr) == (2, True)
        assert "hunter2" not in f"{refused.stderr}{shown.stderr}{shown.stdout}"


def test_an_export_is_verified_elsewhere_packed_or_not(site: Site) -> None:
    exported = site.run("export").stdout
    plain, packed = site.folder / "ledger.jsonl", site.folder / "ledger.jsonl.gz"
    plain.write_bytes(exported.encode())
    packed.write_bytes(gzip.compress(exported.encode()))
    for path in (plain, packed):
        assert site.run("verify", str(path)).stdout.startswith("ok: 3 records of 1 writer")
    plain.write_bytes(exported.encode()[:-9])
    packed.write_bytes(gzip.compress(exported.encode())[:-9])
    for path in (plain, packed):
        shown = site.run("verify", str(path))
        assert (shown.exit_code, shown.stdout[:10]) == (3, "torn: line")
    assert site.run("verify", str(site.folder / "none.jsonl")).exit_code == 4


def test_one_call_is_proved_and_the_proof_checked(site: Site) -> None:
    site.store.checkpoint(SIGNER.checkpoint, NOW)
    shown = site.run("prove", "1")
    assert shown.exit_code == 0
    proof = site.folder / "call.json"
    proof.write_text(shown.stdout, "utf-8")
    checked = site.run("verify", "--proof", str(proof), "--key", VKEY)
    assert checked.exit_code == 0
    assert checked.stdout == "".join(
        f"proved: record {site.store.writer}:{seq}, signed by {SIGNER.key.name}\n" for seq in (2, 3)
    )
    proof.write_text(shown.stdout.replace("alice", "carol"), "utf-8")
    checked = site.run("verify", "--proof", str(proof))
    assert (checked.exit_code, checked.stdout[:10]) == (1, "not proved")
    site.key = None
    assert "needs the key" in site.run("verify", "--proof", str(proof)).stderr


def test_what_cannot_be_proved_yet_is_told(site: Site) -> None:
    shown = site.run("prove", "1")
    assert shown.exit_code == 1
    assert len(shown.stdout.splitlines()) == 1
    assert f"No checkpoint of its writer covers record {site.store.writer}:3" in shown.stderr
    shown = site.run("prove", "nobody")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "no record with the id" in shown.stderr


def test_the_key_is_printed_once_there_is_one(site: Site) -> None:
    assert site.run("key").stdout == f"{VKEY}\n"
    site.key = None
    shown = site.run("key")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "no key yet" in shown.stderr


@pytest.mark.parametrize("verb", ["verify", "export"])
def test_a_ledger_that_cannot_be_read_is_no_finding(site: Site, verb: str) -> None:
    shown = site.run(verb, "-c", "x.yaml")
    assert (shown.exit_code, shown.stderr) == (4, "no such settings\n")


def test_an_export_in_a_format_goes_to_a_file_of_its_owner_and_says_how_far_it_is(tmp_path: Path) -> None:
    site, file = Site(tmp_path), tmp_path / "week.csv"
    shown = site.run("export", "--format", "csv", "--since", "2026-11-01", "--until", "2026-11-02", "-o", str(file))
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr.splitlines() == ["25000 records …", f"25000 records in {file}"]
    assert site.asked == (None, "csv", 1793491200000000, 1793577600000000)
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"first,second", 0o600)
    assert site.run("export", "--format", "jsonl").stdout == "first,second"
    assert site.asked == (None, "jsonl", None, None)


def test_a_proof_in_a_file_is_the_proof(tmp_path: Path) -> None:
    site, file = Site(tmp_path), tmp_path / "ledger.jsonl"
    shown = site.run("export", "-o", str(file))
    assert "3 records in" in shown.stderr
    assert file.read_text("utf-8") == site.run("export").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "csvv"), "there is no such format; did you mean csv"),
        (("--since", "7d"), "a part proves nothing"),
        (("--format", "csv", "--since", "soon"), "is not a time"),
    ],
)
def test_what_cannot_be_exported_is_refused(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    shown = Site(tmp_path).run("export", *arguments)
    assert shown.exit_code == 2
    assert says in re.sub(r"[\s│]+", " ", shown.stderr)
