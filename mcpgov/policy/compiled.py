"""What is in force for one connection: the documents of all its scopes, put together.

Scopes run from broad to narrow: global, server, connection, tool. What a narrower scope has in a section replaces what
is broader, which runs where the mark (`base`) stands. A kill switch stands outside of all this: it runs first, and no
narrower document can leave it out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from mcpgov.errors import Problem
from mcpgov.frozen import frozen
from mcpgov.policy.base import Base
from mcpgov.policy.caller_scope import scope_steps
from mcpgov.policy.element import BACKEND, INBOUND, ON_ERROR, OUTBOUND, Step, walk
from mcpgov.policy.elements.cors import Cors, answer_preflight
from mcpgov.policy.elements.get_authorization_context import GetAuthorizationContext
from mcpgov.policy.elements.include_fragment import IncludeFragment
from mcpgov.policy.elements.log_to_eventhub import LogToEventhub
from mcpgov.policy.elements.set_backend_service import SetBackendService
from mcpgov.policy.elements.validate_azure_ad_token import ValidateAzureAdToken
from mcpgov.policy.elements.validate_jwt import ValidateJwt
from mcpgov.policy.http_fields import folded
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from mcpgov.models import CallerScope, Connection, MCPRequest, RequestHead
    from mcpgov.policy.document import PolicyDocument


@frozen
class Sections:
    """The steps of one request, of its answer, and of a refusal."""

    inbound: tuple[Step, ...] = ()
    backend: tuple[Step, ...] = ()
    outbound: tuple[Step, ...] = ()
    on_error: tuple[Step, ...] = ()

    def after(self, steps: tuple[Step, ...]) -> Sections:
        """The same, after `steps`."""
        return replace(self, inbound=(*steps, *self.inbound))

    @property
    def all(self) -> tuple[Step, ...]:
        """Every step at the top."""
        return (*self.inbound, *self.backend, *self.outbound, *self.on_error)


@frozen
class Dropped:
    """Documents of broader scopes that are left out of a section, and the narrower ones `by` which they are."""

    section: str
    documents: tuple[str, ...]
    by: tuple[str, ...]


@frozen
class ConnectionPolicy:
    """Everything in force on one connection. `digest` names the exact texts, and the scopes they stand in.

    `hides_tools`: some element may leave a tool out of a list. `dropped` says what is left out, apart from tool scopes.
    `credential_headers` are those in which a caller's credential may stand besides the usual ones, with `-` for `_`.
    """

    digest: str
    general: Sections
    by_tool: Mapping[str, Sections]
    hides_tools: bool
    dropped: tuple[Dropped, ...] = ()
    credential_headers: frozenset[str] = frozenset()

    def sections(self, request: MCPRequest) -> Sections:
        """What is run for `request`."""
        return self.by_tool.get(request.tool, self.general) if request.method == "tools/call" else self.general

    def bounded_by(self, scope: CallerScope) -> ConnectionPolicy:
        """The same for a caller whose scope bounds it; what is out of scope is hidden before anything else is asked."""
        steps = scope_steps(scope)
        if not steps:
            return self
        by_tool = {tool: sections.after(steps) for tool, sections in self.by_tool.items()}
        return replace(self, general=self.general.after(steps), by_tool=by_tool, hides_tools=True)

    @property
    def answers_preflights(self) -> bool:
        """Whether a `cors` element is in force."""
        return any(True for _ in _cors(self.general.inbound))

    def answer_preflight(self, head: RequestHead) -> None:
        """Raise Refusal (preflight), which carries the reply, where a `cors` element has something to say."""
        answer_preflight(_cors(self.general.inbound), head)

    def origins(self, head: RequestHead) -> Collection[str]:
        """The origin of the request, where a `cors` element lets it in."""
        origin = head.headers.get("origin")
        return (origin,) if any(rule.lets_in(origin) for rule in _cors(self.general.inbound)) else ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in force."""
        general = self.general
        return not (general.inbound or general.backend or general.outbound or general.on_error or self.by_tool)

    def all_steps(self) -> Iterator[Step]:
        """Every step of every scope, also those inside others; one that several tools share comes for each of them."""
        for sections in (self.general, *self.by_tool.values()):
            yield from walk(sections.all)

    def foreign_backends(self, connection: Connection) -> tuple[Problem, ...]:
        """A Problem for each place that chooses a host which `connection` does not name."""
        found: dict[Problem, None] = {}  # in the order met, each once: tools share steps
        for step in self.all_steps():
            chosen = step.element
            foreign = chosen.foreign_to(connection.upstream) if isinstance(chosen, SetBackendService) else ""
            if foreign:
                what = f"set-backend-service chooses a host that the connection {connection.name} does not name"
                mend = f"add {foreign} to backends of {connection.name}, or change the policy"
                found[Problem(step.file, step.line, step.column, what, mend)] = None
        return tuple(found)

    def unknown_loggers(self, loggers: Collection[str]) -> tuple[Problem, ...]:
        """A Problem for each place that logs to what is not among `loggers`."""
        found: dict[Problem, None] = {}
        for step in self.all_steps():
            asked = step.element.logger if isinstance(step.element, LogToEventhub) else ""
            if asked and asked not in loggers:
                what = f"log-to-eventhub names {asked}, which is none of the loggers in the settings"
                mend = nearest(asked, loggers) if loggers else f"add loggers: {{ {asked}: {{ to: … }} }}"
                found[Problem(step.file, step.line, step.column, what, mend)] = None
        return tuple(found)

    def unknown_providers(self, providers: Collection[str]) -> tuple[Problem, ...]:
        """A Problem for each place that asks for the authorization of what is not among `providers`."""
        found: dict[Problem, None] = {}
        for step in self.all_steps():
            asked = step.element.provider if isinstance(step.element, GetAuthorizationContext) else ""
            if asked and asked not in providers:
                what = f"get-authorization-context names {asked}, which is no connection with authType OAuth2"
                mend = nearest(asked, providers) if providers else "add such a connection to the catalog"
                found[Problem(step.file, step.line, step.column, what, mend)] = None
        return tuple(found)


def compile_policy(
    global_: Sequence[PolicyDocument],
    server: Sequence[PolicyDocument],
    connection: Sequence[PolicyDocument],
    tools: Mapping[str, Sequence[PolicyDocument]],
    credential_headers: Collection[str] = (),
) -> ConnectionPolicy:
    """What is in force where these documents stand in these scopes, each in the order given.

    `credential_headers` join those in which the documents look for tokens: before, after, and whether or not they do.
    """
    scopes = (global_, server, connection)
    named = [[[document.name, document.digest] for document in scope] for scope in scopes]
    by_tool = {tool: [[document.name, document.digest] for document in tools[tool]] for tool in sorted(tools)}
    digest = hashlib.sha256(json.dumps([named, by_tool]).encode()).hexdigest()
    general = _sections(scopes)
    sections = {tool: _sections((*scopes, documents)) for tool, documents in tools.items()}
    every = [step.element for one in (general, *sections.values()) for step in walk(one.all)]
    verifying = (one for one in every if isinstance(one, ValidateJwt | ValidateAzureAdToken))
    return ConnectionPolicy(
        digest,
        general,
        sections,
        any(element.hides_tools for element in every),
        tuple(_dropped(scopes)),
        frozenset(map(folded, (*credential_headers, *(one.validation.source.header for one in verifying)))) - {""},
    )


def _sections(scopes: Sequence[Sequence[PolicyDocument]]) -> Sections:
    inbound, backend, outbound, on_error = (
        _spliced(scopes, section) for section in (INBOUND, BACKEND, OUTBOUND, ON_ERROR)
    )
    every = (step for scope in scopes for document in scope for step in document.sections.get(INBOUND, ()))
    rest = tuple(step for step in inbound if not step.element.undroppable)
    return Sections((*_undroppable(every), *rest), backend, outbound, on_error)


def _undroppable(steps: Iterable[Step]) -> Iterator[Step]:
    """What runs first, whatever the scopes say: at the top of a document, or of a fragment that it includes there."""
    for step in steps:
        if step.element.undroppable:
            yield step
        elif isinstance(step.element, IncludeFragment):
            yield from _undroppable(step.element.inner())


def _spliced(scopes: Sequence[Sequence[PolicyDocument]], section: str) -> tuple[Step, ...]:
    effective: tuple[Step, ...] = ()
    for scope in scopes:
        speaking = [document.sections[section] for document in scope if section in document.sections]
        if not speaking:
            continue
        broader = effective if not _dropping(scope, section) else ()
        spliced: list[Step] = []
        for step in (step for steps in speaking for step in steps):
            if _is_mark(step):
                spliced += broader
                broader = ()  # several documents of one scope: the broader ones run once, at the first mark
            else:
                spliced.append(step)
        effective = tuple(spliced)
    return effective


def _dropping(scope: Sequence[PolicyDocument], section: str) -> tuple[str, ...]:
    """The documents of a scope that leave out what is broader: they have the section, and no mark in it."""
    return tuple(
        document.name
        for document in scope
        if section in document.sections and not any(map(_is_mark, document.sections[section]))
    )


def _dropped(scopes: Sequence[Sequence[PolicyDocument]]) -> Iterator[Dropped]:
    """What is left out, and by which documents, in each section."""
    for section in (INBOUND, BACKEND, OUTBOUND, ON_ERROR):
        broader: tuple[str, ...] = ()
        for scope in scopes:
            by = _dropping(scope, section)
            if by and broader:
                yield Dropped(section, broader, by)
            own = tuple(document.name for document in scope if _says_something(document, section))
            broader = own if by else (*broader, *own)


def _says_something(document: PolicyDocument, section: str) -> bool:
    return any(not _is_mark(step) for step in document.sections.get(section, ()))


def _is_mark(step: Step) -> bool:
    return isinstance(step.element, Base)


def _cors(steps: tuple[Step, ...]) -> Iterator[Cors]:
    """What stands directly in a section, or in a fragment that does. A condition has nothing to read in a preflight."""
    for step in steps:
        if isinstance(step.element, Cors):
            yield step.element
        elif isinstance(step.element, IncludeFragment):
            yield from _cors(step.element.steps)
