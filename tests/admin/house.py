"""An admin plane over a small ledger, asked without a socket: real stores, real index, answers of the files made up."""

import json
import secrets
from collections.abc import Generator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from mcpgov.admin.access import AdminKey, Role, mint_admin_key
from mcpgov.admin.asgi import AdminListener
from mcpgov.admin.parts import AdminParts, InvalidQuestion, Policy, ServedConnection, Server
from mcpgov.admin.sessions import Gate
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, Latency, OutcomeRecord, Row
from mcpgov.console.asgi import Console
from mcpgov.decision import Reason
from mcpgov.endpoint.limits import Sites
from mcpgov.identity.api_key import digest
from mcpgov.models import Json, OutcomeStatus
from mcpgov.pinning.definitions import definition_digest, definition_text
from mcpgov.pinning.judgement import Pin
from mcpgov.pinning.pin_store import Seen
from mcpgov.store.audit_index import AuditIndexer, sqlite_place
from mcpgov.store.audit_query import open_sqlite_review
from mcpgov.store.memory_pins import MemoryPins
from mcpgov.store.recorded_pins import RecordedPins
from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys
from mcpgov.store.sqlite_keys import SqliteKeyStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import AGENT, ALICE, NOW, facts

if TYPE_CHECKING:
    from mcpgov.audit.reader import Record

LATER = NOW + timedelta(minutes=10)
HOST = "127.0.0.1:8081"
SEAL = bytes(range(32))
TRACE = "f" * 32
HOSTILE = '<script>alert(1)</script>" onx="\u202e\x1b[2J'
CITY = "dev.mcpgov/city"
SEARCH: dict[str, Json] = {"name": "search", "description": "Finds a place.", "inputSchema": {"type": "object"}}
SOME_SERVERS = (
    Server(
        CITY,
        "City",
        "1.0.0",
        "Weather and transit",
        ("company",),
        (
            ServedConnection("city", "dev.mcpgov/city", "https://city.example", "None", "CustomKeys", 90.0),
            ServedConnection(
                *("town", "dev.mcpgov/city", "https://city.example", "CustomKeys", "CustomKeys", 30.0, ("github",)),
                (("delete", ("owners-only",)),),
            ),
        ),
        "require",
    ),
)
SOME_POLICIES = (
    Policy("company", "policies/company.yaml", "enforce", "d" * 64, 2, ("every connection",), text="inbound: []\n"),
    Policy("lost", "policies/lost.yaml", "report", "e" * 64, 0, (), ("connection city",)),
)


@dataclass
class MadeUpAnswers:
    """The Answers of a gateway with two policies and one server; `asked` are the questions."""

    asked: list[Mapping[str, str]] = field(default_factory=list[Mapping[str, str]])

    def stamp(self) -> str:
        return "a" * 64

    def servers(self) -> Sequence[Server]:
        return SOME_SERVERS

    def policies(self) -> Sequence[Policy]:
        return SOME_POLICIES

    def explain(self, question: Mapping[str, str]) -> tuple[Mapping[str, Any], Sequence[str]]:
        self.asked.append(question)
        if question["connection"] == "none":
            raise InvalidQuestion("there is no connection none")
        return {"decision": "allowed"}, ["company#1 tool-rules", "Decision: allowed"]

    def replay(self, record: "Record") -> Sequence[str]:
        return [f"replayed {record.get('gen_ai.tool.name')}"]


def some_rows() -> list[Row]:
    """Six calls in as many seconds: one of each way to end, and one that has not."""
    tick = timedelta(seconds=1)
    taken = Latency(200, 900, 40_000, 50_000)
    bob = replace(ALICE, id="key:bob", name="bob", project="search")
    hostile = replace(ALICE, id="key:evil", name=HOSTILE)
    same = f"00-{TRACE}-{'1' * 16}-01"
    return [
        ControlRecord(ControlEvent.START, NOW).row(),
        IntentRecord(facts("1", NOW, tool="search", traceparent=same)).row(),
        OutcomeRecord("1", NOW + tick, OutcomeStatus.OK, trace_id=TRACE, latency=taken).row(),
        IntentRecord(facts("2", NOW + tick, tool="delete", principal=bob, traceparent=same)).row(),
        OutcomeRecord("2", NOW + 9 * tick, OutcomeStatus.FAILED, Reason.UPSTREAM_TIMEOUT, latency=taken).row(),
        DeniedRecord(facts("3", NOW + 2 * tick, tool="delete"), Reason.TOOL_DENIED, detail="=cmd", total=900).row(),
        IntentRecord(facts("4", NOW + 3 * tick, principal=AGENT, connection="town")).row(),
        OutcomeRecord("4", NOW + 4 * tick, OutcomeStatus.CLIENT_GONE, latency=taken).row(),
        DeniedRecord(facts("5", NOW + 4 * tick, principal=hostile, tool=HOSTILE), Reason.RATE_LIMITED).row(),
        IntentRecord(facts("6", NOW + 5 * tick, method="tools/list")).row(),
    ]


@dataclass(frozen=True)
class Answered:
    """What came back: the status, the header fields, the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class AdminHouse:
    """The admin plane, and keys for each role. `cookie` is what a browser holds."""

    listener: AdminListener
    console: Console
    gate: Gate
    parts: AdminParts
    answers: MadeUpAnswers
    keys: Mapping[Role, str]
    noted: list[tuple[str, Mapping[str, str]]]
    pins: MemoryPins
    records: list[ControlRecord]
    now: datetime = LATER
    cookie: str = ""

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", query: str = ""
    ) -> Answered:
        """One request; a header that is empty is left out."""
        given = {"host": HOST, **({"cookie": self.cookie} if self.cookie else {}), **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value],
        }
        sent: list[Mapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.listener(scope, receive, send)
        fields = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Answered(sent[0]["status"], fields, b"".join(part["body"] for part in sent[1:]))

    async def api(self, path: str, role: Role = Role.VIEWER, /, **query: str) -> Answered:
        """GET something of the API."""
        bearer = {"authorization": f"Bearer {self.keys[role]}"}
        return await self.ask("GET", f"/admin/v1{path}", bearer, query=urlencode(query))

    async def change(self, method: str, path: str, role: Role, body: object = None) -> Answered:
        """Change something through the API."""
        raw = b"" if body is None else json.dumps(body).encode()
        return await self.ask(method, f"/admin/v1{path}", {"authorization": f"Bearer {self.keys[role]}"}, raw)

    async def open(self, path: str = "", **query: str) -> Answered:
        """Open a page of the console."""
        return await self.ask("GET", f"/console{path}", query=urlencode(query))

    async def send(self, path: str, headers: Mapping[str, str] | None = None, **form: str) -> Answered:
        """Send a form, as a page of the console does."""
        sent = {
            "origin": f"http://{HOST}",
            "content-type": "application/x-www-form-urlencoded",
            "sec-fetch-site": "same-origin",
        }
        return await self.ask("POST", f"/console{path}", {**sent, **(headers or {})}, urlencode(form).encode())

    async def sign_in(self, role: Role) -> None:
        """Sign in with the key of a role, and keep the cookie."""
        answered = await self.send("/sign-in", key=self.keys[role])
        assert answered.status == 303
        self.cookie = answered.headers["set-cookie"].partition(";")[0]

    async def token(self) -> str:
        """What the forms of this session carry."""
        session = await self.gate.session(self.cookie.partition("=")[2])
        assert session
        return self.gate.form_token(session)


@contextmanager
def admin_house(
    folder: Path, rows: Sequence[Row] | None = None, *, link: str = "", secure: bool = False
) -> Generator[AdminHouse]:
    """The plane, on a store in `folder` that holds `rows`."""
    path = folder / "mcpgov.db"
    store = SqliteLedgerStore(path)
    store.open()
    store.append(some_rows() if rows is None else rows)
    while AuditIndexer(sqlite_place(path)).index():
        pass
    noted: list[tuple[str, Mapping[str, str]]] = []

    async def note(event: str, details: Mapping[str, str]) -> None:
        noted.append((event, details))

    made: list[AdminHouse] = []
    records: list[ControlRecord] = []

    async def write(record: ControlRecord) -> None:
        records.append(record)

    def now() -> datetime:
        return made[0].now if made else LATER

    answers, keys, gateway = MadeUpAnswers(), SqliteAdminKeys(path), SqliteKeyStore(path)
    with open_sqlite_review(path) as review:
        pins = MemoryPins()
        recorded = RecordedPins(pins, lambda: nullcontext(write))
        parts = AdminParts(review, answers, gateway, keys, note, now, secrets.choice, "0.0.0", recorded)
        gate = Gate(keys, note, SEAL, now, link)
        console = Console(parts, gate, secure=secure)
        metrics = b"mcpgov_calls_total 6.0\n"
        listener = AdminListener(parts, gate, Sites.of("127.0.0.1", ""), console, lambda: metrics)
        made.append(AdminHouse(listener, console, gate, parts, answers, {}, noted, pins, records))
        yield made[0]
    gateway.close()
    store.close(finished=True)


async def listed(house: AdminHouse, *tools: dict[str, Json], trusted: bool = False, server: str = CITY) -> None:
    """Keep what a server lists; `trusted` as it is now."""
    digests = {definition_digest(tool): tool for tool in tools}
    pins = {
        str(tool["name"]): Pin(server, str(tool["name"]), digest, digest if trusted else "")
        for digest, tool in digests.items()
    }
    texts = {digest: definition_text(tool) for digest, tool in digests.items()}
    await house.pins.keep(Seen(server, NOW, pins, texts, to_end=True))


async def with_keys(house: AdminHouse) -> AdminHouse:
    """The same house, with an admin key for each role."""
    made: dict[Role, str] = {}
    for role in Role:
        key_id, key = mint_admin_key(secrets.choice)
        await house.parts.admin_keys.create(AdminKey(key_id, digest(key.reveal()), f"the {role}", role, NOW))
        made[role] = key.reveal()
    house.keys = made
    return house
