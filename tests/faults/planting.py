"""Where a call meets something that may raise: each seam of govern(), each element where it may stand, each effect."""

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Final, Protocol, cast

from mcpgov import decision as effects
from mcpgov.decision import Reason
from mcpgov.errors import ClientGone, Refusal
from mcpgov.pipeline import Stages
from mcpgov.policy.compiled import ConnectionPolicy, Sections
from mcpgov.policy.document import parse_document, read_document
from mcpgov.policy.element import RETURN, Element, Step
from mcpgov.policy.expression import NO_REFERENCES
from mcpgov.policy.registry import ELEMENTS
from mcpgov.snapshot import Snapshot
from tests.faults.hooks import (
    LIST,
    Bench,
    FailingEffects,
    Faulty,
    Opening,
    broken,
    planted,
    step,
)
from tests.policy.tokens import CONFIGURATION

POLICY_ERROR, INTERNAL_ERROR = Reason.POLICY_ERROR, Reason.INTERNAL_ERROR
REFUSED: Final = Reason.OVERLOADED  # by a hook that refuses, with a reason that nothing else here has
ERRORS: Final[Mapping[str, Callable[[], BaseException]]] = {
    "RuntimeError": RuntimeError,
    "Refusal": lambda: Refusal(REFUSED, "planted"),
    "CancelledError": asyncio.CancelledError,
    "MemoryError": MemoryError,
    "TimeoutError": TimeoutError,
    "RecursionError": RecursionError,
}


def untouched(exchange: Any, _error: BaseException) -> Any:
    """The exchange as it is."""
    return exchange


@dataclass(frozen=True, slots=True)
class Hook:
    """A place where something of ours, or of a plug, is called; `plant` makes it raise.

    `sent`: how many messages the upstream has had by then. `events`: what is recorded. `told`: the reasons that the
    caller may be told for an error; what a Refusal becomes if it is not told as it is. `escapes`: the answer cannot be
    given here, and the server underneath says 500.
    """

    name: str
    plant: Callable[[Bench, BaseException], Stages]
    sent: int = 0
    events: tuple[str, ...] = ("denied",)
    told: tuple[Reason, ...] = (POLICY_ERROR, INTERNAL_ERROR)
    refusal: Reason | None = REFUSED
    escapes: bool = False
    method: str = "tools/call"
    exchange: Callable[[Any, BaseException], Any] = field(default=untouched)


AFTER: Final[Mapping[str, Any]] = {"sent": 1, "events": ("intent", "outcome")}
ESCAPES: Final[Mapping[str, Any]] = {"escapes": True, "told": (), "refusal": None}
UNRECORDED: Final[Mapping[str, Any]] = {**ESCAPES, "events": ()}


def protocols(module: ModuleType) -> Iterator[str]:
    """Every public method of every protocol of a module; of one that opens something, also the opening and leaving."""
    for name, value in vars(module).items():
        if not (inspect.isclass(value) and Protocol in value.__bases__ and value.__module__ == module.__name__):
            continue
        for method, function in vars(value).items():
            if callable(function) and not method.startswith("_"):
                yield f"{name}.{method}"
                if AbstractAsyncContextManager.__name__ in str(inspect.signature(function).return_annotation):
                    yield from (f"{name}.{method} entered", f"{name}.{method} left")


def stage(attribute: str, method: str, when: str = "") -> Callable[[Bench, BaseException], Stages]:
    """One of the stages, a method of which raises."""

    def plant(made: Bench, error: BaseException) -> Stages:
        whole = made.stages()
        inner = getattr(whole, attribute)
        return replace(
            whole, **{attribute: Opening(inner, method, when, error) if when else Faulty(inner, method, error)}
        )

    return plant


def recording(method: str, *, gone: bool = False) -> Callable[[Bench, BaseException], Stages]:
    """The record of the call, a method of which raises. `gone`: of a call whose connection there is not."""

    def plant(made: Bench, error: BaseException) -> Stages:
        class Ledger:
            def recording(self, *given: Any) -> Any:
                return Recorded(made.ledger.recording(*given))

        class Recorded(Faulty):
            def __init__(self, inner: Any) -> None:
                super().__init__(inner, method, error)

            async def __aenter__(self) -> Any:
                await self.__dict__["inner"].__aenter__()
                return self

            async def __aexit__(self, *given: object) -> None:
                await self.__dict__["inner"].__aexit__(*given)

        whole = made.stages(ledger=Ledger())
        return replace(whole, snapshot=lambda: Snapshot("stamp", {}, {})) if gone else whole

    return plant


def snapshots(method: str) -> Callable[[Bench, BaseException], Stages]:
    """What is in force, a lookup of which raises."""

    def plant(made: Bench, error: BaseException) -> Stages:
        whole = made.stages()
        return replace(whole, snapshot=lambda: Faulty(whole.snapshot(), method, error))

    return plant


def raises(error: BaseException) -> Any:
    """Raise."""
    raise error


def fails(method: str, own: BaseException | None = None) -> Callable[[Any, BaseException], Any]:
    """An exchange, a method of which raises what is planted, or an error of its own."""

    def made(exchange: Any, error: BaseException) -> Any:
        return Faulty(exchange, method, own or error)

    return made


def of_pipeline() -> Iterator[Hook]:
    """What govern() itself calls."""
    yield Hook("Exchange.read", lambda made, _: made.stages(), exchange=fails("read"))
    yield Hook("Exchange.relay", lambda made, _: made.stages(), **AFTER, exchange=fails("relay"))
    unknown = snapshots("connection")
    yield Hook(
        "Exchange.refuse",
        lambda made, _: unknown(made, Refusal(Reason.UNKNOWN_CONNECTION, "none")),
        exchange=fails("refuse"),
        **ESCAPES,
    )
    yield Hook("Identity.identify", stage("identity", "identify"))
    yield Hook("CallEffects.perform", lambda made, error: made.stages(effects=FailingPerform(made, error)))
    yield Hook("Effects.call", stage("effects", "call"), **ESCAPES)
    yield Hook("Effects.call entered", stage("effects", "call", "entered"), **ESCAPES)
    yield Hook("Effects.call left", stage("effects", "call", "left"), **AFTER, **ESCAPES)
    yield Hook("CredentialSource.credential_for", stage("credentials", "credential_for"))
    yield Hook("Recording.intent", recording("intent"))
    yield Hook("Recording.heard", recording("heard"), **AFTER)
    yield Hook("Recording.watch", recording("watch"), **AFTER)
    yield Hook("Recording.refused", recording("refused", gone=True), **ESCAPES)
    yield Hook(
        "Recording.client_gone", recording("client_gone"), **AFTER, **ESCAPES, exchange=fails("relay", ClientGone())
    )
    yield Hook("Ledger.recording", stage("ledger", "recording"), **UNRECORDED)
    yield Hook("Ledger.recording entered", stage("ledger", "recording", "entered"), **UNRECORDED)
    yield Hook("Ledger.recording left", stage("ledger", "recording", "left"), **AFTER, **ESCAPES)
    yield Hook("Upstream.forward", stage("upstream", "forward"), events=("intent", "outcome"))
    yield Hook("Upstream.forward entered", stage("upstream", "forward", "entered"), events=("intent", "outcome"))
    yield Hook("Upstream.forward left", stage("upstream", "forward", "left"), **AFTER)
    yield Hook("Pins.require", stage("pins", "require"))
    yield Hook("Pins.judged", stage("pins", "judged"), **AFTER)
    yield Hook("Snapshot", lambda made, error: made.stages(snapshot=lambda: raises(error)), **UNRECORDED)
    for method in ("answer_preflight", "connection", "origins", "policy"):
        yield Hook(f"Snapshot.{method}", snapshots(method))
    yield Hook("Places.place", stage("places", "place"))
    yield Hook("Handles.opened", stage("handles", "opened"))
    yield Hook("Handles.sealed", stage("handles", "sealed"), **AFTER)


class FailingPerform:
    """Effects that fall over whatever is asked."""

    def __init__(self, made: Bench, error: BaseException) -> None:
        self.made, self.error = made, error

    def call(self) -> Any:
        return Calls(self.made.effects.call(), self.error)


class Calls:
    """The effects of a call, with a perform that raises."""

    def __init__(self, inner: Any, error: BaseException) -> None:
        self.inner, self.error = inner, error

    async def __aenter__(self) -> Any:
        return Faulty(await self.inner.__aenter__(), "perform", self.error)

    async def __aexit__(self, *given: object) -> None:
        await self.inner.__aexit__(*given)


def policy(section: str, *steps: Step, hides: bool = False) -> ConnectionPolicy:
    """A policy of these steps alone."""
    return ConnectionPolicy("sha256:p", Sections(**{section.replace("-", "_"): steps}), {}, hides_tools=hides)


CONTAINERS: Final = {  # elements that others stand in: which section, and a document with something there
    "choose": ("inbound", "choose: { when: [{ condition: 'true', do: [set-header: { name: x-a, value: b }] }] }"),
    "limit-concurrency": ("inbound", "limit-concurrency: { max-count: 5, do: [set-header: { name: x-a, value: b }] }"),
    "return-response": (RETURN, "return-response: { do: [set-header: { name: x-a, value: b }] }"),
    "retry": ("backend", "retry: { condition: 'true', count: 1, interval: 1, do: [forward-request: { timeout: 20 }] }"),
    "include-fragment": ("inbound", "include-fragment: { fragment-id: planted }"),
}
FRAGMENT: Final = "fragment: [set-header: { name: x-a, value: b }]"
REFUSING: Final = {"credentials": Faulty(None, "credential_for", Refusal(Reason.KEYS_UNAVAILABLE, "no key"))}


def element_classes() -> Mapping[str, type[Element]]:
    """Every element there is."""
    return {name: cast("type[Element]", element) for name, element in ELEMENTS.items()}


def of_elements() -> Iterator[Hook]:
    """Every element, in every section where it may stand, also inside of others; and what it hides."""
    for name, element in element_classes().items():
        for section in (one for one in element.sections if one != RETURN):
            yield in_section(f"{name} in {section}", section, lambda error, of=element: (step(broken(of, error)),))
        for outer, (section, text) in CONTAINERS.items():
            if section in element.sections and (outer != "retry" or name == "forward-request"):
                at = "inbound" if section == RETURN else section
                yield in_section(f"{name} inside {outer}", at, inside(at, text, element))
        if element.hides is not Element.hides:
            yield from hiding(name, element)


def inside(section: str, text: str, element: type[Element]) -> Callable[[BaseException], tuple[Step, ...]]:
    """The steps of a document, with a broken element in their middle."""
    fragments = {"planted": read_document(FRAGMENT, "planted.yaml").fragment(NO_REFERENCES)}
    steps = parse_document(f"{section}: [{text}]", "planted.yaml", fragments=fragments).sections[section][-1:]
    return lambda error: planted(steps, broken(element, error))


def in_section(name: str, section: str, steps: Callable[[BaseException], tuple[Step, ...]]) -> Hook:
    """A hook that is reached in a section."""
    if section != "on-error":
        about: Mapping[str, Any] = AFTER if section == "outbound" else {}
        return Hook(name, lambda made, error: made.stages(policy(section, *steps(error))), **about)
    return Hook(
        name,
        lambda made, error: made.stages(policy(section, *steps(error)), **REFUSING),
        refusal=Reason.KEYS_UNAVAILABLE,  # what on-error refuses is refused already
    )


def hiding(name: str, element: type[Element]) -> Iterator[Hook]:
    """The question what an element hides: of a list, and of a call that is denied."""
    for section in ("inbound", "backend"):
        yield Hook(
            f"{name}.hides of a list in {section}",
            lambda made, error, at=section: made.stages(
                policy(at, step(broken(element, error, hides=True)), hides=True)
            ),
            **AFTER,
            method=LIST,
        )
    yield Hook(
        f"{name}.hides of a call",
        lambda made, error: made.stages(
            policy("inbound", step(broken(element, error, hides=True)), denying(), hides=True)
        ),
    )


def denying() -> Step:
    """A step that denies, and does not hide."""
    text = "inbound: [tool-rules: { deny: [{ tool: '*', hide: false, message: not now }] }]"
    return parse_document(text, "planted.yaml").sections["inbound"][-1]


TOKEN: Final = f"inbound: [validate-jwt: {{ header-name: Authorization, openid-config: {{ url: {CONFIGURATION} }} }}]"
YIELDING: Final[Mapping[type, tuple[str, str, Mapping[str, Any]]]] = {  # by which document, method; how far it gets
    effects.Spend: ("inbound: [rate-limit-by-key: { calls: 9, renewal-period: 60 }]", "tools/call", {}),
    effects.Refund: (
        "inbound: [rate-limit-by-key: { calls: 9, renewal-period: 60, increment-condition: response.status == 500 }]",
        "tools/call",
        AFTER,
    ),
    effects.Charge: ("inbound: [quota-by-key: { bandwidth: 9999, renewal-period: 300 }]", "tools/call", AFTER),
    effects.Hold: ("inbound: [limit-concurrency: { max-count: 5 }]", "tools/call", {}),
    effects.Describe: ("inbound: [trace: { source: a, message: b }]", "tools/call", {}),
    effects.Learn: ("inbound: [trace: { source: a, message: b }]", LIST, AFTER),
    effects.Trace: ("inbound: [trace: { source: a, message: b }]", "tools/call", {}),
    effects.Metric: (
        "inbound: [emit-metric: { name: calls, namespace: a, dimensions: [{ name: API ID }] }]",
        "tools/call",
        {},
    ),
    effects.LogEvent: ("inbound: [log-to-eventhub: { logger-id: usage, body: a }]", "tools/call", {}),
    effects.Tell: ("outbound: [schema-rules: { flatten: true, on-problem: leave-out }]", LIST, AFTER),
    effects.FetchKeys: (TOKEN, "tools/call", {}),
    effects.GetToken: (
        "inbound: [authentication-managed-identity: { resource: https://a.example, output-token-variable-name: own }]",
        "tools/call",
        {},
    ),
    effects.GetAuthorization: (
        "inbound: [get-authorization-context: { provider-id: city, context-variable-name: own }]",
        "tools/call",
        {},
    ),
}


def of_effects() -> Iterator[Hook]:
    """Every effect that an element may ask for."""
    for kind, (text, method, about) in YIELDING.items():
        sections = parse_document(text, "planted.yaml").sections
        (section,) = sections
        whole = policy(section, *sections[section])
        yield Hook(
            f"effect {kind.__name__}",
            lambda made, error, of=kind, in_force=whole: made.stages(
                in_force, effects=FailingEffects(made.effects, of, error)
            ),
            method=method,
            **about,
        )
