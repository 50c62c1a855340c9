"""Whether a connection really runs through the gateway: the platform's own checklist, from live facts. Pure.

Microsoft Foundry asks before policies are applied to "confirm routing": that the endpoint of the tool is the gateway
and not the server, that redirect URLs fit, which way one signs in, and which agents use it. Each is a line here, and so
is what a gateway adds: strangers are turned away, policies are in force, the ledger is whole, the server works.
Rules: a line says ok only of what was seen; what cannot be seen from here is not known, and never ok. No line names the
upstream's key or URL. Refuses to know: how the facts were had.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcpgov.frozen import frozen
from mcpgov.models import RemoteUpstream
from mcpgov.publish.foundry import connection_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from mcpgov.diagnosis import Diagnosis
    from mcpgov.models import Connection, Json
    from mcpgov.publish.offer import Offer

NAMED: Final = 5  # callers that a line names
FOR_USERS: Final = "user-required"  # what a probe finds that is no user, where only users are let in
WHOLE: Final = "ok"  # what a verification that found nothing wrong is called


class State(StrEnum):
    """What became of one line of the checklist."""

    OK = "ok"
    NOT_OK = "not ok"
    UNKNOWN = "not known"


@frozen
class Line:
    """One line: what was looked at, what became of it, why, and how it is mended where it is not ok."""

    name: str
    state: State
    why: str
    mend: str = ""


@frozen
class Stranger:
    """What a request without a credential came to at `url`. `status` is None where nothing answered, for `silence`.

    `recorded` says whether the ledger that is looked at has it, which is how one knows that it is this gateway.
    """

    url: str
    status: int | None = None
    recorded: bool = False
    silence: str = ""


@frozen
class Passed:
    """A call that came through: when, who called, the agent if a token says which, what, and what its record is."""

    at: str
    caller: str
    agent: str
    what: str
    status: str
    correlation: str


@frozen
class Ledger:
    """How the ledger stands. `verified` is the result of the last verification, empty where there was none."""

    records: int
    checkpointed: datetime | None = None
    uncovered: int = 0
    verified: str = ""
    verified_at: datetime | None = None


@frozen
class Proof:
    """What a probe of the upstream came to. `untested` is what it could not try."""

    tools: int
    problem: Diagnosis | None = None
    untested: str = ""


@frozen
class Facts:
    """Everything that the lines are made of. `offer` is None where nobody says where the gateway is called.

    `redirects` are the redirect URLs of this connection, by what names them; `passed` the newest calls, the newest
    first; `enforced` and `reported` the policies in force on it, those that only report apart.
    """

    connection: Connection
    offer: Offer | None
    stranger: Stranger
    ledger: Ledger
    proof: Proof
    public_url: str = ""
    redirects: Mapping[str, str] = field(default_factory=dict[str, str])
    passed: Sequence[Passed] = ()
    enforced: Sequence[str] = ()
    reported: Sequence[str] = ()


def checklist(facts: Facts) -> tuple[Line, ...]:
    """Every line, in the order of the platform's page, then what a gateway adds."""
    return (
        endpoint(facts),
        target(facts),
        *redirects(facts),
        authentication(facts),
        agents(facts.passed),
        strangers(facts.stranger),
        policies(facts),
        ledger(facts.ledger),
        upstream(facts.proof),
    )


def confirmed(lines: Sequence[Line]) -> bool:
    """Whether no line is known to be wrong."""
    return all(line.state is not State.NOT_OK for line in lines)


def endpoint(facts: Facts) -> Line:
    """Where the platform would call: a public https URL that the settings name."""
    mend = "set public_url: https://HOST in mcpgov.yaml, the URL that callers reach the gateway at"
    if not facts.public_url or facts.offer is None:
        return Line("endpoint", State.NOT_OK, "no public_url says where callers reach the gateway", mend)
    if not facts.offer.url.startswith("https://"):
        return Line("endpoint", State.NOT_OK, f"the platform calls https alone, and this is {facts.offer.url}", mend)
    return Line("endpoint", State.OK, facts.offer.url)


def target(facts: Facts) -> Line:
    """Whether the project connection that is printed leads to the gateway and not to the server behind it."""
    if facts.offer is None:
        mend = "set public_url, then: mcpgov connections verify again"
        return Line("target", State.UNKNOWN, "no connection can be printed for a gateway without a URL", mend)
    properties = connection_body(facts.offer)["properties"]
    leads_to = str(properties["target"] if isinstance(properties, dict) else "")
    behind = facts.connection.upstream
    if isinstance(behind, RemoteUpstream) and host_of(leads_to) == host_of(behind.url):
        mend = "set public_url to the URL of the gateway itself"
        return Line("target", State.NOT_OK, "the gateway's public_url is the host of the server behind it", mend)
    said = f"`foundry connection` prints the target {leads_to}; compare it with the one in the portal"
    return Line("target", State.OK, said)


def redirects(facts: Facts) -> Iterator[Line]:
    """The redirect URLs, which only the app registrations can confirm; none where nobody is sent back here."""
    for name, url in facts.redirects.items():
        mend = "look whether the app registration has it, to the letter"
        yield Line("redirect-url", State.UNKNOWN, f"{name} sends people back to {url}", mend)


def authentication(facts: Facts) -> Line:
    """How the platform signs in to the gateway."""
    connection = facts.connection
    said = connection.client_auth_type.value
    if connection.client_audience:
        return Line("authentication", State.OK, f"{said}, for the audience {connection.client_audience}")
    header = facts.offer.key_header.name if facts.offer and signs_in_with_key(facts.offer) else ""
    return Line("authentication", State.OK, f"{said}, with a gateway key in {header}" if header else said)


def signs_in_with_key(offer: Offer) -> bool:
    """Whether the connection of the platform holds a key."""
    properties: Json = connection_body(offer)["properties"]
    credentials = properties.get("credentials") if isinstance(properties, dict) else None
    return isinstance(credentials, dict) and "keys" in credentials


def agents(passed: Sequence[Passed]) -> Line:
    """Who called through the gateway: the agents that reference the tool, as far as they have called it."""
    if not passed:
        mend = "call a tool from the agent, then verify again; where that works and nothing is here, it walks around"
        return Line("agents", State.NOT_OK, "no call of a tool has come through the gateway", mend)
    last = passed[0]
    names = list(dict.fromkeys(one.agent or one.caller for one in passed))
    shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    said = f"last {last.what} at {last.at} ({last.status}, {last.correlation}); of the newest {len(passed)}: {shown}"
    return Line("agents", State.OK, said)


def strangers(stranger: Stranger) -> Line:
    """Whether a caller without a credential is turned away, by this gateway."""
    if stranger.status is None:
        mend = "start it, or say with --url where it is called"
        return Line("strangers", State.UNKNOWN, f"no gateway answers at {stranger.url}: {stranger.silence}", mend)
    if stranger.status >= 500:
        mend = "look at the log of the gateway, and of what stands before it"
        return Line("strangers", State.UNKNOWN, f"{stranger.url} answered {stranger.status}", mend)
    if stranger.status != 401:
        said = f"a request without a credential got {stranger.status} at {stranger.url}, and not 401"
        mend = "remove identity.allow_anonymous" if stranger.status < 300 else "look what answers at this URL"
        return Line("strangers", State.NOT_OK, said, mend)
    if not stranger.recorded:
        said = f"{stranger.url} answered 401, and this ledger has no record of it"
        mend = "look whether that URL leads to the gateway of these settings, and not to another or to the server"
        return Line("strangers", State.NOT_OK, said, mend)
    return Line("strangers", State.OK, "a request without a credential got 401, and is in the ledger")


def policies(facts: Facts) -> Line:
    """Which policies decide here."""
    if facts.enforced:
        return Line("policies", State.OK, f"in force: {', '.join(facts.enforced)}")
    mend = f"add policies: to the connection {facts.connection.name}, or global_policies: to mcpgov.yaml"
    said = f"{', '.join(facts.reported)} only report" if facts.reported else "no policy is in force"
    return Line("policies", State.NOT_OK, said, mend)


def ledger(found: Ledger) -> Line:
    """Whether the ledger was found whole when it was verified last, and how far checkpoints cover it."""
    mend = "run: mcpgov audit verify"
    if found.verified and found.verified != WHOLE:
        return Line("ledger", State.NOT_OK, f"the last verification found: {found.verified}", mend)
    covered = f"{found.records} records, {found.uncovered} after the last checkpoint"
    if found.checkpointed is None:
        return Line("ledger", State.UNKNOWN, f"{found.records} records, and no checkpoint yet", mend)
    if found.verified_at is None:
        return Line("ledger", State.UNKNOWN, f"{covered}; never verified", mend)
    return Line("ledger", State.OK, f"{covered}; verified {found.verified_at:%Y-%m-%d %H:%M}")


def upstream(proof: Proof) -> Line:
    """Whether the server behind works, asked through the gateway."""
    if proof.problem is not None:
        state = State.UNKNOWN if proof.problem.name == FOR_USERS else State.NOT_OK
        return Line("upstream", state, proof.problem.what, proof.problem.mend)
    if proof.untested:
        return Line("upstream", State.UNKNOWN, f"it lists {proof.tools} tools; {proof.untested}")
    return Line("upstream", State.OK, f"it lists {proof.tools} tools through the gateway")


def host_of(url: str) -> str:
    """The host and port that a URL names, the way it is compared."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()
