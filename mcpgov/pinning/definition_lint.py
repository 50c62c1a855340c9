"""What a person should know about tools before approving them.

Pure. Errors keep a tool from being trusted at first sight; warnings are for the person who approves. That nothing is
found proves nothing: what a pin guards is that the definition stays the one that somebody looked at. Refuses to know
whether anybody does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from mcpgov.errors import Refusal
from mcpgov.pinning.definitions import definition_text
from mcpgov.pinning.finding import Finding, Severity
from mcpgov.pinning.lookalikes import alike, lookalikes
from mcpgov.pinning.revealed import quoted
from mcpgov.pinning.schema_lint import schema_findings
from mcpgov.pinning.text_lint import hidden_findings, wording_findings
from mcpgov.policy.glob import is_tool_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from mcpgov.models import Json

MAX_DESCRIPTION: Final = 4_096  # characters: every one costs a place in the model's context with every request
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_DESTROYING: Final = frozenset(
    ["delete", "remove", "destroy", "drop", "purge", "erase", "wipe", "truncate", "kill", "terminate", "revoke"]
)
_WRITING: Final = frozenset({
    *("create", "update", "write", "edit", "insert", "upload", "send", "rename", "move", "merge", "push", "publish"),
    *("execute", "deploy", "approve", "assign", "overwrite", "install", "grant"),
})  # fmt: skip
_READING: Final = frozenset({
    *("get", "list", "read", "search", "find", "describe", "show", "count", "check", "query", "fetch", "view"),
    *("preview", "validate", "lookup", "download", "compare", "explain", "history"),
})  # fmt: skip
_UNFIT: Final = "it cannot be pinned"
_HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


def lint(tools: Sequence[Json], others: Collection[str] = ()) -> tuple[Finding, ...]:
    """What is found in a list of tools, by place; `others` are the names of other servers' tools."""
    found = [finding for tool in tools for finding in lint_definition(tool, others)]
    names = {name for tool in tools if isinstance(tool, dict) and isinstance(name := tool.get("name"), str)}
    return (*found, *_confusable(names, others))


def lint_definition(tool: Json, others: Collection[str] = ()) -> tuple[Finding, ...]:
    """What is found in one definition: errors first. One that cannot be pinned is not looked into any further."""
    name, unfit = _named(tool)
    if not isinstance(tool, dict) or unfit:
        return unfit
    found = (*_structure(name, tool), *_said(name, tool), *wording_findings(name, tool, others), *_hints(name, tool))
    return tuple(sorted(found, key=lambda finding: finding.severity))  # "error" comes before "warning"


def errors_of(tool: Json) -> tuple[Finding, ...]:
    """What of it is an error; the wording is not looked at."""
    name, unfit = _named(tool)
    if not isinstance(tool, dict) or unfit:
        return unfit
    return tuple(finding for finding in _structure(name, tool) if finding.severity is Severity.ERROR)


def _named(tool: Json) -> tuple[str, tuple[Finding, ...]]:
    """The name of a tool, and why it cannot be pinned."""
    name = tool.get("name") if isinstance(tool, dict) else None
    if not isinstance(name, str) or not name:
        return "", (Finding(Severity.ERROR, "", ("name",), "a tool is an object with a name", _UNFIT),)
    try:
        definition_text(tool)
    except Refusal as refusal:
        return name, (Finding(Severity.ERROR, name, (), refusal.message, _UNFIT),)
    return name, ()


def _structure(name: str, tool: Mapping[str, Json]) -> Iterator[Finding]:
    """What is wrong with how a definition is made, whatever it says."""
    if next(lookalikes(name), None) is not None:
        said = f"the name has letters that look like others: {quoted(name)}"
        yield Finding(Severity.ERROR, name, ("name",), said, "it passes for a tool of another name")
    yield from hidden_findings(name, tool)
    for key in ("inputSchema", "outputSchema"):
        if key in tool:
            yield from schema_findings(name, tool[key], (key,))


def _said(name: str, tool: Mapping[str, Json]) -> Iterator[Finding]:
    """What is wrong with the members that every tool has."""
    if not is_tool_name(name):
        said = "the name has other characters than A-Z a-z 0-9 _ - . or is too long"
        yield Finding(Severity.WARNING, name, ("name",), said, "tool-rules hide it")
    description = tool.get("description")
    if isinstance(description, str) and len(description) > MAX_DESCRIPTION:
        said = f"{len(description)} characters, which a model reads with every request"
        yield Finding(Severity.WARNING, name, ("description",), said, f"write at most {MAX_DESCRIPTION}")
    if "inputSchema" not in tool:
        yield Finding(Severity.WARNING, name, ("inputSchema",), "every tool has one (MCP, Tools)", "write at least {}")


def _hints(name: str, tool: Mapping[str, Json]) -> Iterator[Finding]:
    """Annotations that contradict the name, themselves, or their type: they say what may run without asking."""
    annotations = tool.get("annotations")
    if not isinstance(annotations, dict):
        return
    for hint in _HINTS:
        if hint in annotations and not isinstance(annotations[hint], bool):
            yield Finding(Severity.WARNING, name, ("annotations", hint), "a hint is true or false", "")
    reads, destroys = annotations.get("readOnlyHint") is True, annotations.get("destructiveHint")
    if reads and destroys is True:
        said = "it only reads, and destroys"
        yield Finding(Severity.WARNING, name, ("annotations",), said, "take it for one that destroys")
    verb = _verb(name)
    if reads and verb in _DESTROYING | _WRITING:
        said = f"it claims only to read, and is named for {quoted(verb)}"
        yield Finding(Severity.WARNING, name, ("annotations", "readOnlyHint"), said, "take it for one that writes")
    elif destroys is False and verb in _DESTROYING:
        said = f"it claims not to destroy, and is named for {quoted(verb)}"
        yield Finding(Severity.WARNING, name, ("annotations", "destructiveHint"), said, "take it for one that destroys")


def _verb(name: str) -> str:
    """The first word of a name that says what the tool does; what stands before may be the product's name."""
    words = (word.casefold() for word in _WORD.findall(name))
    return next((word for word in words if word in _DESTROYING | _WRITING | _READING), "")


def _confusable(names: Collection[str], others: Iterable[str]) -> Iterator[Finding]:
    found: dict[str, set[str]] = defaultdict(set)
    for group in alike({*names, *others}):
        for name in names:
            if name in group:
                found[name] |= {*group} - {name}
    for name in sorted(found):
        said = f"the name may be taken for {', '.join(map(quoted, sorted(found[name])))}"
        yield Finding(Severity.WARNING, name, ("name",), said, "approve one of them, or rename it")
