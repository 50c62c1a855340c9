"""`mcpgov connections verify`: the platform's "confirm routing" checklist, answered from live facts.

It proves the upstream as `connections test` does, asks the gateway as a stranger would, and reads the ledger. What is
made of that is in publish/routing.py. No secret is shown; both the probe and the stranger are in the ledger afterwards.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

from mcpgov.audit.reader import CallFilter
from mcpgov.cli.check import in_columns
from mcpgov.cli.connections import FAILED, MISUSED, Name, token_in, told
from mcpgov.cli.offered import UNSPECIFIED, loaded, offered
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.cli.usage import answered
from mcpgov.frozen import frozen
from mcpgov.publish.offer import NotOffered
from mcpgov.publish.routing import Facts, Ledger, Line, Passed, Proof, Stranger, checklist, confirmed
from mcpgov.stage_settings import redirect_urls
from mcpgov.web import WebUnavailable
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mcpgov.audit.reader import Call
    from mcpgov.audit.review import ReviewReader
    from mcpgov.cli.connections import OpenProbe
    from mcpgov.cli.usage import OpenReview
    from mcpgov.models import Secret
    from mcpgov.probe import ProbeResult
    from mcpgov.publish.offer import Offer
    from mcpgov.settings import Settings
    from mcpgov.snapshot import Snapshot
    from mcpgov.web import Fields, WebAnswer

NEWEST: Final = 100  # calls that are looked at
QUESTION: Final = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
HEADERS: Final = (("content-type", "application/json"), ("accept", "application/json, text/event-stream"))
HERE: Final = "127.0.0.1"
FIELDS: Final = {
    "ts": "ts",
    "id": "mcpgov.principal.id",
    "name": "mcpgov.principal.name",
    "agent": "mcpgov.principal.agent_id",
    "tool": "gen_ai.tool.name",
    "correlation": "correlation_id",
}


class Asker(Protocol):
    """Asks over HTTP, once."""

    async def send(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """POST these bytes; `private` allows plain http and loopback. Raises WebUnavailable."""
        ...


@frozen
class Verifying:
    """What the verb works with: what opens a prober and the ledger, and what asks over HTTP."""

    open_probe: OpenProbe
    open_review: OpenReview
    asker: Callable[[], Asker]


@frozen
class VerifyOptions:
    """What `verify` may be told."""

    name: Name
    url: Annotated[str, typer.Option(help="Where the gateway is called. Default: public_url, then listen.")] = ""
    token_env: Annotated[
        str,
        typer.Option(metavar="NAME", help="The environment variable with a caller's token, to prove the upstream as."),
    ] = ""
    config: Config = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False


@frozen
class Answered:
    """What a stranger got, and the id under which the gateway says that it wrote it down."""

    stranger: Stranger
    correlation: str = ""


def add_verify(connections: typer.Typer, verifying: Verifying) -> None:
    """Add the verb `verify`."""

    def verify(options: VerifyOptions) -> None:
        """Confirm that a connection runs through the gateway: the platform's checklist, from live facts.

        Exits 1 where a line is not ok; what cannot be known from here is said, and is no failure.
        """
        token = token_in(options.token_env) if options.token_env else None
        snapshot = loaded(options.config)
        if options.name not in snapshot.connections:
            known = snapshot.connections
            mend = nearest(options.name, known) if known else "the catalog has no connection yet"
            typer.echo(f"There is no connection {repeated(options.name)} ({mend})", err=True)
            raise typer.Exit(MISUSED)
        lines = checklist(found_out(verifying, snapshot, options, token))
        if options.as_json:
            shown = {"connection": options.name, "ok": confirmed(lines), "lines": [asdict(line) for line in lines]}
            typer.echo(json.dumps(shown, indent=2))
        else:
            show(lines)
        if not confirmed(lines):
            raise typer.Exit(FAILED)

    connections.command(
        epilog="Examples:  mcpgov connections verify github  ·  mcpgov connections verify github --json  ·"
        "  mcpgov connections verify github --url http://127.0.0.1:8080"
    )(with_options(VerifyOptions, verify))


def show(lines: Sequence[Line]) -> None:
    """The checklist for a person; what mends a line stands below it."""
    rows = [(line.name, line.state.value, printable(line.why)) for line in lines]
    for line, text in zip(lines, in_columns(rows), strict=True):
        typer.echo(text)
        if line.mend:
            typer.echo(f"    {printable(line.mend)}")


def found_out(verifying: Verifying, snapshot: Snapshot, options: VerifyOptions, token: Secret | None) -> Facts:
    """Every fact. Ends the verb with 1 where files or the store cannot be used."""
    result = told(proved(verifying.open_probe, options, token))
    there = tuple(places(snapshot.settings, options.url))
    got = asyncio.run(answered_to_strangers(verifying.asker(), [f"{base}/mcp/{options.name}" for base in there]))
    return answered(
        verifying.open_review,
        options.config,
        lambda review, _: facts_of(snapshot, options.name, result, in_ledger(got, review), review),
    )


async def proved(open_probe: OpenProbe, options: VerifyOptions, token: Secret | None) -> ProbeResult:
    """What a probe of the connection came to."""
    async with open_probe(options.config) as probe:
        return await probe.test(options.name, token)


def places(settings: Settings, url: str) -> Iterator[str]:
    """Where the gateway may be called from here, the most telling first."""
    if url:
        yield url.rstrip("/")
        return
    if settings.public_url:
        yield settings.public_url
    if settings.listen.port:
        listen, scheme = settings.listen, "https" if settings.tls else "http"
        yield f"{scheme}://{HERE}:{listen.port}" if listen.host in UNSPECIFIED else f"{scheme}://{listen}"


async def answered_to_strangers(asker: Asker, urls: Sequence[str]) -> Answered:
    """What the first of the URLs that answers says to who has no credential."""
    silence = "no port is named"
    for url in urls:
        try:
            answer = await asker.send(url, QUESTION, HEADERS, private=True)
        except WebUnavailable as unavailable:
            silence = str(unavailable)
        else:
            return Answered(Stranger(url, answer.status), answer.headers.get("x-correlation-id"))
    return Answered(Stranger(urls[0] if urls else "its address", silence=silence))


def in_ledger(got: Answered, review: ReviewReader) -> Stranger:
    """The same with whether this ledger has it: anything might answer 401."""
    stranger = got.stranger
    recorded = bool(got.correlation) and bool(review.kept(got.correlation))
    return Stranger(stranger.url, stranger.status, recorded, stranger.silence)


def facts_of(snapshot: Snapshot, name: str, result: ProbeResult, stranger: Stranger, review: ReviewReader) -> Facts:
    """What files, probe, stranger and ledger say, together."""
    connection = snapshot.connections[name]
    state, enforced = review.state(), tuple(policies_of(snapshot, name))
    reported = [one for one in enforced if snapshot.documents[one].mode == "report"]
    verified = state.verified
    return Facts(
        connection=connection,
        offer=offer_or_none(snapshot, name),
        stranger=stranger,
        ledger=Ledger(
            state.records,
            state.checkpointed_at,
            state.uncovered,
            verified=verified.result if verified else "",
            verified_at=verified.at if verified else None,
        ),
        proof=Proof(len(result.tools), result.problem, result.untested),
        public_url=snapshot.settings.public_url or "",
        redirects=redirect_urls(snapshot.settings, [connection]),
        passed=tuple(passed(review, name)),
        enforced=[one for one in enforced if one not in reported],
        reported=reported,
    )


def offer_or_none(snapshot: Snapshot, name: str) -> Offer | None:
    """The offer of a connection, where somebody says where the gateway is called."""
    try:
        return offered(snapshot, name)
    except NotOffered:
        return None


def policies_of(snapshot: Snapshot, name: str) -> Iterator[str]:
    """The policies in force on a connection or on one of its tools, each once, in the order they run."""
    policy = snapshot.policy(name)
    steps = (step for sections in (policy.general, *policy.by_tool.values()) for step in sections.all)
    named = (step.rule.partition("#")[0] for step in steps)
    yield from dict.fromkeys(one for one in named if one in snapshot.documents)


def passed(review: ReviewReader, name: str) -> Iterator[Passed]:
    """The newest calls of tools; no probe calls one. Whom nobody knows has not come through."""
    for call in review.page(CallFilter(connection=name, method="tools/call", limit=NEWEST)).calls:
        if call.get("mcpgov.principal.id"):
            yield passed_as(call)


def passed_as(call: Call) -> Passed:
    """A call as the checklist tells it."""
    text = {key: str(call.get(field) or "") for key, field in FIELDS.items()}
    return Passed(
        at=text["ts"][:19].replace("T", " "),
        caller=text["name"] or text["id"],
        agent=text["agent"],
        what=text["tool"],
        status=str(call.status or ""),
        correlation=text["correlation"],
    )
