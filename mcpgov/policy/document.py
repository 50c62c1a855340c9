"""From policy files to what is in force for one connection.

A document has the sections of Azure API Management: inbound and backend now, outbound and on-error later. Everything
wrong in it is told at once, with its place; an element that does not exist here is refused by name, never skipped.
Scopes run from broad to narrow: global, server, connection, tool. A document with `base: false` drops what is broader.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mcpgov.destinations import may_receive
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.policy.choose import Choose
from mcpgov.policy.element import BACKEND, INBOUND, Step, walk
from mcpgov.policy.ip_filter import IpFilter
from mcpgov.policy.place import Loadable, Place
from mcpgov.policy.rate_limit_by_key import RateLimitByKey
from mcpgov.policy.set_backend_service import SetBackendService
from mcpgov.policy.set_header import SetHeader
from mcpgov.policy.tool_rules import ToolRules
from mcpgov.yaml_source import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mcpgov.models import Connection, MCPRequest

ELEMENTS: Final[Mapping[str, Loadable]] = {
    element.name: element
    for element in (
        IpFilter,
        RateLimitByKey,
        SetHeader,
        SetBackendService,
        Choose,
        ToolRules,
    )
}
_SECTIONS: Final = (INBOUND, BACKEND, "outbound", "on-error")
_NOT_YET: Final = ("outbound", "on-error")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_EXTENSION: Final = re.compile(r"\.ya?ml")


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """One file. `base` says whether the broader scopes run before it; `digest` is the SHA-256 of its text."""

    name: str
    file: str
    digest: str
    base: bool
    inbound: tuple[Step, ...]
    backend: tuple[Step, ...]
    outbound: tuple[Step, ...] = ()
    on_error: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionPolicy:
    """Everything in force on one connection. `digest` names the exact texts, and the scopes they stand in.

    `hides_tools`: some element may leave a tool out of a list.
    """

    digest: str
    general: tuple[Step, ...]
    by_tool: Mapping[str, tuple[Step, ...]]
    hides_tools: bool

    def steps(self, request: MCPRequest) -> tuple[Step, ...]:
        """What is run for `request`: inbound of every scope, then backend of every scope."""
        is_call = request.method == "tools/call"
        return self.by_tool.get(request.tool, self.general) if is_call else self.general

    def all_steps(self) -> Iterator[Step]:
        """Every step of every scope, also those inside others; one that several tools share comes for each of them."""
        yield from _everything(self.general, self.by_tool)

    def foreign_backends(self, connection: Connection) -> tuple[Problem, ...]:
        """A Problem for each place that chooses a host which `connection` does not name."""
        found: dict[Problem, None] = {}  # in the order met, each once: tools share steps
        for step in self.all_steps():
            chosen = step.element
            if isinstance(chosen, SetBackendService) and not may_receive(connection.upstream, chosen.base_url):
                what = f"set-backend-service chooses a host that the connection {connection.name} does not name"
                mend = f"add {chosen.base_url} to backends of {connection.name}, or change the policy"
                found[Problem(step.file, step.line, step.column, what, mend)] = None
        return tuple(found)


def parse_document(text: str, file: str) -> PolicyDocument:
    """The policy document in `text`; its name is that of `file`. Raises InvalidConfiguration with every problem."""
    source = parse_yaml(text, file)
    name = _EXTENSION.sub("", file.replace("\\", "/").rpartition("/")[2])
    problems: list[Problem] = []
    if not _NAME.fullmatch(name):
        mend = "use a-z 0-9 -, at most 63 characters"
        problems.append(Problem(file, 0, 0, f"the file name gives the policy the name {name}", mend))
    if not isinstance(source.value, dict):
        mend = "write inbound: and the list of elements below it"
        problems.append(source.problem((), "a document is a mapping with inbound:", mend))
        raise InvalidConfiguration(tuple(problems))
    root = Place(source, (), source.value, problems, ELEMENTS, INBOUND, f"{name}#")
    root.only("base", *_SECTIONS)
    base = root.flag("base", default=True)
    if not source.value.keys() & set(_SECTIONS):
        root.note("the document has no section", "add inbound: [ … ]; inbound: [] does nothing")
    for section in _NOT_YET:
        if section in source.value:
            root.at(section).note(f"{section} is not supported yet", "remove it", at_key=True)
    inbound = root.steps(INBOUND)
    backend = replace(root, section=BACKEND, rule=f"{name}#backend.").steps(BACKEND)
    if problems:
        raise InvalidConfiguration(tuple(sorted(problems, key=lambda problem: (problem.line, problem.column))))
    return PolicyDocument(name, file, hashlib.sha256(text.encode()).hexdigest(), base, inbound, backend)


def compile_policy(
    global_: Sequence[PolicyDocument],
    server: Sequence[PolicyDocument],
    connection: Sequence[PolicyDocument],
    tools: Mapping[str, Sequence[PolicyDocument]],
) -> ConnectionPolicy:
    """What is in force where these documents stand in these scopes, each in the order given."""
    scopes = (global_, server, connection)
    named = [[[document.name, document.digest] for document in scope] for scope in scopes]
    by_tool = {tool: [[document.name, document.digest] for document in tools[tool]] for tool in sorted(tools)}
    digest = hashlib.sha256(json.dumps([named, by_tool]).encode()).hexdigest()
    general = _in_order(scopes)
    steps = {tool: _in_order((*scopes, documents)) for tool, documents in tools.items()}
    hides_tools = any(step.element.hides_tools for step in _everything(general, steps))
    return ConnectionPolicy(digest, general, steps, hides_tools)


def _everything(general: tuple[Step, ...], by_tool: Mapping[str, tuple[Step, ...]]) -> Iterator[Step]:
    for steps in (general, *by_tool.values()):
        yield from walk(steps)


def _in_order(scopes: Sequence[Sequence[PolicyDocument]]) -> tuple[Step, ...]:
    effective: list[PolicyDocument] = []
    for scope in scopes:
        if not all(document.base for document in scope):
            effective = []
        effective += scope
    inbound = (step for document in effective for step in document.inbound)
    return (*inbound, *(step for document in effective for step in document.backend))
