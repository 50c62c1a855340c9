"""Where a call meets a plug: who proves who calls, who gives credentials, what rewrites answers, who hears of calls."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from mcpgov.credential.cache import TokenCache
from mcpgov.credential.keys import ConnectionKeys
from mcpgov.credential.source import CredentialSources, Microsoft
from mcpgov.decision import Reason, Spend, Spent
from mcpgov.errors import Refusal
from mcpgov.identity.authenticator import Authentication
from mcpgov.models import Connection, Json, Principal, RequestHead
from mcpgov.pipeline import Stages
from mcpgov.policy.draft import Draft
from mcpgov.snapshot import Snapshot
from mcpgov.upstream.memory import ScriptedAnswer
from mcpgov.upstream.renewing import Renewing
from tests.audit.calls import ALICE
from tests.credential.clock import Clock
from tests.credential.test_source import AGENTIC, AZURE, CONSENTED, KEY, MANAGED, USER, Twin
from tests.credential.test_source import ALICE as SOMEBODY
from tests.faults.hooks import Bench, Faulty, Plants, step
from tests.faults.planting import AFTER, ESCAPES, INTERNAL_ERROR, Hook, policy

NO_CREDENTIAL: Final = (INTERNAL_ERROR, Reason.CREDENTIAL_UNAVAILABLE)
FOR_USER: Final = replace(AGENTIC, sign_in=replace(AGENTIC.sign_in, on_behalf_of=True))
CONSENT: Final = Refusal(Reason.CONSENT_REQUIRED, "consent")


class Proving:
    """An authenticator, and a proxy that vouches."""

    def recognises(self, _head: RequestHead) -> bool:
        return True

    async def authenticate(self, _head: RequestHead) -> Principal:
        return ALICE

    def refuse_strangers(self, _head: RequestHead) -> None:
        """None is."""


class Innocent:
    """A rewriter, a settlement, and an observer."""

    def concerns(self, _data: bytes) -> bool:
        return True

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        return message

    def refund(self, _draft: Draft) -> bool:
        return False

    def ended(self, _call: object) -> None:
        """Heard."""


def of_identity() -> Iterator[Hook]:
    """Those who prove who calls."""

    def way(method: str) -> Callable[[Bench, BaseException], Stages]:
        def plant(made: Bench, error: BaseException) -> Stages:
            one: Any = Faulty(Proving(), method, error)
            return made.stages(identity=Authentication((one,), ()))

        return plant

    for method in ("recognises", "authenticate"):
        yield Hook(f"Authenticator.{method}", way(method))

    def strangers(made: Bench, error: BaseException) -> Stages:
        proxy: Any = Faulty(Proving(), "refuse_strangers", error)
        return made.stages(identity=Authentication((), (), proxy=proxy))

    yield Hook("Voucher.refuse_strangers", strangers)


def source(
    connection: Connection, principal: Principal, *broken: tuple[str, BaseException | None]
) -> Callable[[Bench, BaseException], Stages]:
    """The real source of credentials, whose suppliers raise in these methods: what is planted, unless it says what."""

    def plant(made: Bench, error: BaseException) -> Stages:
        clock = Clock()
        twin: Any = Twin(clock)
        for method, own in broken:
            twin = Faulty(twin, method, own or error)
        sources = CredentialSources(ConnectionKeys(), TokenCache(clock), twin, twin, Microsoft(AZURE, twin))
        served = Snapshot("stamp", {"city": replace(connection, name="city")}, {"city": policy("inbound")})
        return made.stages(
            snapshot=lambda: served, credentials=sources, identity=As(principal), upstream=Renewing(made.upstream)
        )

    return plant


class As:
    """Everybody is this one."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    async def identify(self, _head: RequestHead) -> Principal:
        return self.principal


def of_credentials() -> Iterator[Hook]:
    """Those who give credentials."""
    ways: Mapping[str, tuple[Connection, Principal]] = {
        "managed": (MANAGED, KEY),
        "agent": (AGENTIC, KEY),
        "agent_for_user": (FOR_USER, SOMEBODY),
        "on_behalf_of": (USER, SOMEBODY),
    }
    for method, (connection, principal) in ways.items():
        plant = source(connection, principal, (method, None))
        yield Hook(f"MicrosoftTokens.{method}", plant, told=NO_CREDENTIAL)
    yield Hook("OAuthTokens.token", source(CONSENTED, KEY, ("token", None)))
    yield Hook("OAuthTokens.reject", unauthorized(source(CONSENTED, KEY, ("reject", None))), **AFTER)
    yield Hook("Links.entra_link", source(USER, SOMEBODY, ("on_behalf_of", CONSENT), ("entra_link", None)))
    yield Hook("Links.user_required", source(USER, KEY, ("user_required", None)))


def unauthorized(plant: Callable[[Bench, BaseException], Stages]) -> Callable[[Bench, BaseException], Stages]:
    """The same before an upstream that does not accept the credential."""

    def refusing(made: Bench, error: BaseException) -> Stages:
        made.upstream.script(ScriptedAnswer(status=401))
        return plant(made, error)

    return refusing


def of_answers() -> Iterator[Hook]:
    """What policies have done to an answer as it passes, and what is settled when its status is known."""

    def rewriter(method: str) -> Callable[[Bench, BaseException], Stages]:
        def plant(made: Bench, error: BaseException) -> Stages:
            rewriting: Any = Faulty(Innocent(), method, error)
            return made.stages(policy("outbound", step(Plants(lambda draft: draft.rewriters.append(rewriting)))))

        return plant

    for method in ("concerns", "rewritten"):
        yield Hook(f"Rewriter.{method}", rewriter(method), **AFTER)

    def settling(made: Bench, error: BaseException) -> Stages:
        spend = Spend("key", calls=1, period=60)
        settlement: Any = Faulty(Innocent(), "refund", error)

        def plants(draft: Draft) -> None:
            draft.spent[spend] = Spent(allowed=True, limit=1, remaining=0, reset=60)
            draft.settlements[spend] = settlement

        return made.stages(policy("inbound", step(Plants(plants))))

    yield Hook("Settlement.refund", settling, **AFTER)


def of_charging() -> Iterator[Hook]:
    """What is counted, and who is told, when the call is over: it cannot be refused any more."""

    def observed(made: Bench, error: BaseException) -> Stages:
        observer: Any = Faulty(Innocent(), "ended", error)
        made.ledger.observers = (observer,)
        return made.stages()

    yield Hook("Observer.ended", observed, **AFTER, **ESCAPES)
