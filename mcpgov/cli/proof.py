"""`mcpgov audit verify | prove | key | export`: the ledger's proof, checked and handed out. Rules are in mcpgov.audit.

Only reads, also while the gateway writes; but that the configured store was verified is written down in it. The exit
code of `verify` says what was found: 0 nothing, 1 something was changed, 2 something is missing, 3 an export was cut
off, 4 nothing could be judged. What the settings name as places of checkpoints is read without being asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpgov.audit.checkpoints import ENDING, Compared, compared
from mcpgov.audit.export import ExportEvidence, export_lines
from mcpgov.audit.note import VerifierKey
from mcpgov.audit.proof import Proof
from mcpgov.audit.record import microseconds
from mcpgov.audit.redact import encodable
from mcpgov.audit.verify import Finding, Kind, verify
from mcpgov.cli.audit import IDENTIFIER, moment
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import plural, printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.server_urls import shown
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mcpgov.audit.proof import ProvingEvidence
    from mcpgov.audit.verify import Verdict

    OpenEvidence = Callable[[str | None, Path | None], AbstractContextManager[ProvingEvidence]]
    NoteVerified = Callable[[Path | None, Mapping[str, str | int]], Coroutine[Any, Any, None]]
    FindKey = Callable[[str | None, Path | None], VerifierKey | None]
    Places = Callable[[Path | None], Sequence[str]]
    Received = Callable[[str], Iterator[str]]
    Written = Callable[[Path | None, str, int | None, int | None], Iterator[tuple[bytes, int]]]

COUNTS = ("records", "unproved", "writers", "checkpoints", "uncovered", "purged")
UNJUDGED = 4  # the exit code where there was nothing to judge, or nothing to hold it against
PROOF = "proof"
FORMATS = (PROOF, "jsonl", "csv", "parquet", "cloudevents", "ocsf", "otlp", "syslog")
EVERY = 20_000  # records between two words about how far it is
EXPORTING = (
    "Examples:  mcpgov audit export | gzip > ledger.jsonl.gz  ·  mcpgov audit export --format csv --since 7d -o w.csv"
    "  ·  mcpgov audit export --format parquet --since 2026-11-01 --until 2026-12-01 -o november.parquet"
)
EXPORTS = (".jsonl", ".jsonl.gz")
SOURCE = "A store (a file or a URL) or an export (.jsonl, .jsonl.gz); the configured store if left out."

DATABASES = "sqlite:////FILE or postgresql://USER@HOST/DATABASE"
LEFT = f"Checkpoints that left the machine: a folder, {DATABASES}."

Source = Annotated[str | None, typer.Argument(metavar="[PATH|URL]", help=SOURCE)]
Vkey = Annotated[
    str, typer.Option("--key", metavar="VKEY", help="What `mcpgov audit key` printed when you trusted the machine.")
]


@frozen
class Opening:
    """What the verbs need. `find_key` gives the key that signs a store, if it lies here; `note` writes a verdict down;
    `written` gives the pieces of a file, `received` the checkpoints in the database at a URL, `places` the folders and
    databases that the settings have checkpoints sent to.
    """

    evidence: OpenEvidence
    find_key: FindKey
    note: NoteVerified
    written: Written
    received: Received
    places: Places


def add_proof(audit: typer.Typer, opening: Opening) -> None:
    """Add the verbs."""
    add_verify(audit, opening)
    add_prove(audit, opening.evidence)
    add_key(audit, opening.find_key)
    add_export(audit, opening.evidence, opening.written)


@frozen
class Check:
    """What `verify` was asked for."""

    source: Source = None
    vkey: Vkey = ""
    checkpoints: Annotated[str, typer.Option(metavar="DIR|URL", help=LEFT)] = ""
    proof: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Check what `prove` printed instead.")
    ] = None
    config: Config = None
    record: Annotated[bool, typer.Option(help="Write down in the configured store that it was verified.")] = True
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False


def add_verify(audit: typer.Typer, opening: Opening) -> None:
    """Add the verb `verify`."""

    def check(asked: Check) -> None:
        """Find what was changed, or is missing, in the ledger.

        Exit code: 0 ok, 1 tampered, 2 gap, 3 torn tail, 4 it could not be read, or held against no checkpoint.
        """
        source = asked.source
        with told():
            key = parsed_key(asked.vkey) if asked.vkey else opening.find_key(source, asked.config)
            if asked.proof is not None:
                check_proofs(asked.proof, key)
                return
            elsewhere = compared(notes_from(asked, opening), key)
            is_export = source and source.endswith(EXPORTS)
            opened = exported(Path(source)) if source and is_export else opening.evidence(source, asked.config)
            with opened as evidence:
                verdict = verify(evidence, key, elsewhere.roots)
        for what in elsewhere.wrong:
            place = named(asked.checkpoints) or "elsewhere"
            typer.echo(f"left out: a checkpoint from {place}: {printable(what)}", err=True)
        if source is None and asked.record:
            write_down(opening.note, asked.config, as_details(verdict, elsewhere, key))
        alone = not elsewhere.total and (asked.checkpoints or elsewhere.others)
        code = verdict.code or int(bool(elsewhere.wrong)) or (UNJUDGED if alone else 0)
        if asked.as_json:
            held = {"compared": elsewhere.total, "left_out": len(elsewhere.others)}
            typer.echo(json.dumps(as_fields(verdict, signed=key is not None) | {"code": code, **held}))
        else:
            show(verdict, key, code)
            show_elsewhere(elsewhere)
        raise typer.Exit(code)

    audit.command(
        "verify",
        epilog="Examples:  mcpgov audit verify  ·  mcpgov audit verify ledger.jsonl.gz --key mcpgov.dev/…"
        " --checkpoints /mnt/worm  ·  mcpgov audit verify --checkpoints postgresql://auditor@db.contoso.com/worm"
        "  ·  mcpgov audit verify --proof call.json --key mcpgov.dev/…",
    )(with_options(Check, check))


def add_prove(audit: typer.Typer, open_evidence: OpenEvidence) -> None:
    """Add the verb `prove`."""

    @audit.command(epilog="Examples:  mcpgov audit prove 3fa9c1d27b60 > call.json")
    def prove(
        identifier: Annotated[str, typer.Argument(metavar="ID", help=IDENTIFIER)],
        config: Config = None,
    ) -> None:
        """Print the proof of each record with this id, one line of JSON each. It shows no other record."""
        with told(), open_evidence(None, config) as evidence:
            proofs = evidence.proofs(encodable(identifier))
        if not proofs:
            typer.echo(f"There is no record with the id {repeated(identifier)}. See `mcpgov audit query`.", err=True)
            raise typer.Exit(1)
        for proof in proofs:
            if isinstance(proof, str):
                typer.echo(f"No checkpoint of its writer covers record {proof} (yet, if that runs).", err=True)
            else:
                typer.echo(proof.line)
        if any(isinstance(proof, str) for proof in proofs):
            raise typer.Exit(1)


def add_key(audit: typer.Typer, find_key: FindKey) -> None:
    """Add the verb `key`."""

    @audit.command(epilog="Examples:  mcpgov audit key > verifier.key")
    def key(config: Config = None) -> None:
        """Print the verifier key of the checkpoints (C2SP vkey). It is public."""
        with told():
            found = find_key(None, config)
        if found is None:
            typer.echo("There is no key yet; it is made when the gateway starts (mcpgov serve).", err=True)
            raise typer.Exit(1)
        typer.echo(str(found))


def add_export(audit: typer.Typer, open_evidence: OpenEvidence, written: Written) -> None:
    """Add the verb `export`."""

    @audit.command(epilog=EXPORTING)
    def export(
        form: Annotated[
            str, typer.Option("--format", metavar="|".join(FORMATS), help="`proof` can be verified.")
        ] = PROOF,
        since: Annotated[str, typer.Option(help="15m, 2h, 7d, or a date and time (UTC unless it says).")] = "",
        until: Annotated[str, typer.Option(help="As --since; the records before that.")] = "",
        output: Annotated[
            Path | None, typer.Option("-o", "--output", dir_okay=False, help="The file, instead of stdout.")
        ] = None,
        config: Config = None,
    ) -> None:
        """Write the ledger out: whole, so that `verify` can check it elsewhere, or in a format that others read."""
        if form not in FORMATS:
            raise typer.BadParameter(f"{repeated(form)}: there is no such format; {nearest(form, FORMATS)}")
        if form == PROOF and (since or until):
            raise typer.BadParameter("a part proves nothing; leave out --since and --until, or say --format jsonl")
        now = datetime.now(UTC)
        first, end = (at and microseconds(at) for at in (moment(since, now), moment(until, now)))
        with told():
            if form == PROOF:
                with open_evidence(None, config) as evidence:
                    save(counted(export_lines(evidence)), output)
            else:
                save(written(config, form, first, end), output)


def counted(lines: Iterable[str]) -> Iterator[tuple[bytes, int]]:
    """The lines of an export, and how many records each is: the last one is none."""
    for line in lines:
        yield line.encode(), 0 if line.startswith('{"writers"') else 1


def save(pieces: Iterable[tuple[bytes, int]], output: Path | None) -> None:
    """Write pieces to stdout, or to a file that its owner alone may read and that has its name when it is whole.

    Says on stderr how far it is. Raises OSError.
    """
    if output is None:
        for piece, _ in pieces:
            typer.get_binary_stream("stdout").write(piece)
        return
    draft, done, told_of = output.with_name(f"{output.name}.part"), 0, 0
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    with draft.open("wb") as file:
        for piece, count in pieces:
            file.write(piece)
            done += count
            if done >= told_of + EVERY:
                told_of = done
                typer.echo(f"{done} records …", err=True)
    draft.replace(output)
    typer.echo(f"{plural(done, 'record')} in {output}", err=True)


@contextlib.contextmanager
def told() -> Generator[None]:
    """What goes wrong is told on stderr and ends the verb with 4, which is no finding."""
    try:
        yield
    except (InvalidConfiguration, StoreUnavailable, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNJUDGED) from error


def parsed_key(text: str) -> VerifierKey:
    """A key, given as itself or as the file that holds it. Raises typer.BadParameter."""
    if "+" not in text and not Path(text).is_file():
        raise typer.BadParameter(f"{repeated(text)} is neither a key nor a file; mcpgov audit key prints one")
    try:
        return VerifierKey.parse(Path(text).read_text("utf-8") if "+" not in text else text)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{repeated(text)}: {error}") from error


@contextlib.contextmanager
def exported(path: Path) -> Generator[ExportEvidence]:
    """The evidence in a file of lines, packed or not."""
    with path.open("rb") as file:
        yield ExportEvidence(gzip.GzipFile(fileobj=file) if path.name.endswith(".gz") else file)


def notes_from(asked: Check, opening: Opening) -> Iterator[str]:
    """Every checkpoint from elsewhere: from the place that was named or, for the configured store, from those that the
    settings name. One of these that cannot be read, as the gateway itself need not be able to, is told.

    Raises typer.BadParameter, which names no URL: there may be a password in it.
    """
    if asked.checkpoints:
        try:
            yield from notes_at(asked.checkpoints, opening.received)
        except ValueError as error:
            raise typer.BadParameter(f"--checkpoints {error}; write a folder, {DATABASES}") from error
        return
    for place in opening.places(asked.config) if asked.source is None else ():
        try:
            yield from notes_at(place, opening.received)
        except (ValueError, OSError, StoreUnavailable) as error:
            typer.echo(f"{printable(named(place))}: {error}", err=True)


def notes_at(place: str, received: Received) -> Iterator[str]:
    """Every checkpoint below a folder, or in the database at a URL. Raises ValueError, OSError, StoreUnavailable."""
    if "://" in place:
        yield from received(place)
    elif not Path(place).is_dir():
        raise ValueError(f"{repeated(place)} is no folder")
    else:
        for path in sorted(Path(place).rglob(f"*{ENDING}")):
            yield path.read_text("utf-8", "replace")


def named(place: str) -> str:
    """A place as it may be printed."""
    return shown(place) if "://" in place else place


def check_proofs(file: Path, key: VerifierKey | None) -> None:
    """Say what each proof in a file proves. Exits with 1 at the first that proves nothing."""
    if key is None:
        raise typer.BadParameter("a proof needs the key that the checkpoints are signed with; give --key VKEY")
    for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
        try:
            typer.echo(f"proved: record {Proof.parse(line).check(key)}, signed by {key.name}")
        except ValueError as error:
            typer.echo(f"not proved: line {number} {error}")
            raise typer.Exit(Kind.TAMPERED) from error


def as_details(verdict: Verdict, elsewhere: Compared, key: VerifierKey | None) -> Mapping[str, str | int]:
    """A verdict as the ledger keeps it."""
    details: dict[str, str | int] = {
        "result": result_of(verdict.code),
        "records": verdict.records,
        "found": verdict.found,
        "uncovered": verdict.uncovered,
    }
    return details | {"compared": elsewhere.total} | ({"key": key.name} if key else {})


def write_down(note: NoteVerified, config: Path | None, details: Mapping[str, str | int]) -> None:
    """Note a verdict in the ledger that it is of. Where that cannot be written, the verdict is told all the same."""
    try:
        asyncio.run(note(config, details))
    except (InvalidConfiguration, StoreUnavailable) as error:
        typer.echo(f"That it was verified could not be written down: {error}", err=True)


def result_of(code: int) -> str:
    """What an exit code says of a ledger that could be read."""
    return {0: "ok", UNJUDGED: "not proved"}.get(code) or Kind(code).name.lower()


def show(verdict: Verdict, key: VerifierKey | None, code: int) -> None:
    """A verdict in words; the first of them says the same as the exit code."""
    for finding in verdict.findings:
        typer.echo(printable(str(finding)))
    if verdict.found > len(verdict.findings):
        typer.echo(f"… and {verdict.found - len(verdict.findings)} more")
    gone = f", {verdict.purged} purged before" if verdict.purged else ""
    typer.echo(
        f"{result_of(code)}: {plural(verdict.records, 'record')} of {plural(verdict.writers, 'writer')},"
        f" {plural(verdict.checkpoints, 'checkpoint')}, {plural(verdict.uncovered, 'record')} after the last of them,"
        f" {verdict.unproved} from before there were hashes{gone}"
    )
    if key is None:
        typer.echo("No signature was checked: no key lies here. Give --key VKEY.", err=True)


def show_elsewhere(elsewhere: Compared) -> None:
    """What the ledger was held against that its machine cannot rewrite."""
    logs = printable(", ".join(sorted(set(elsewhere.others))))
    left_out = f"; left out: {len(elsewhere.others)} of other keys ({logs})" if elsewhere.others else ""
    if elsewhere.total:
        typer.echo(f"held against {plural(elsewhere.total, 'checkpoint')} from elsewhere{left_out}")
    else:
        typer.echo(f"Held against no checkpoint from elsewhere{left_out}. See audit.checkpoints.", err=True)


def as_fields(verdict: Verdict, *, signed: bool) -> dict[str, object]:
    """A verdict as JSON has it."""
    counts = {name: getattr(verdict, name) for name in COUNTS}
    found = [as_finding(finding) for finding in verdict.findings]
    return {"code": verdict.code, "signed": signed, **counts, "found": verdict.found, "findings": found}


def as_finding(finding: Finding) -> dict[str, object]:
    """A finding as JSON has it."""
    named = {"writer": finding.writer, "seq": finding.seq, "row": finding.place, "what": finding.what}
    return {"kind": finding.kind.name.lower(), **named}
