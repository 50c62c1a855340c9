"""The policies of test_policy_model.py, interpreted a second time, after what docs/policies says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any

Element = Mapping[str, Any]
ALLOWED, HIDDEN, NOBODYS = "allowed", "tool-hidden", "no-such-tool-anywhere"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool at a moment, in seconds."""

    tool: str
    address: str
    region: str
    now: int


@dataclass(slots=True)
class Gateway:
    """A document in force, and when each of its limits was spent."""

    document: Sequence[Element]
    spent: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def decide(self, call: Call) -> str:
        """The reason of the decision. A hidden tool gets what a tool gets that does not exist; nothing counts twice."""
        counted: dict[str, bool] = {}
        verdict = self._run(self.document, call, counted)
        if verdict == ALLOWED or not self._hides(self.document, call):
            return verdict
        other = self._run(self.document, replace(call, tool=NOBODYS), counted)
        return HIDDEN if other in {ALLOWED, HIDDEN, "tool-denied"} else other

    def _run(self, elements: Sequence[Element], call: Call, counted: dict[str, bool]) -> str:
        verdicts = (self._one(name, what, call, counted) for element in elements for name, what in element.items())
        return next((verdict for verdict in verdicts if verdict != ALLOWED), ALLOWED)

    def _one(self, name: str, what: Any, call: Call, counted: dict[str, bool]) -> str:
        if name == "ip-filter":
            listed = any(ip_address(call.address) in ip_network(one) for one in what["addresses"])
            return ALLOWED if listed is (what["action"] == "allow") else "source-ip-denied"
        if name == "rate-limit-by-key":
            return ALLOWED if self._room(what, call.now, counted) else "rate-limited"
        if name == "choose":
            return self._run(branch(what, call), call, counted)
        return against(what, call.tool)

    def _room(self, limit: Any, now: int, counted: dict[str, bool]) -> bool:
        key = limit["counter-key"]
        if key not in counted:
            within = [at for at in self.spent.get(key, []) if at > now - limit["renewal-period"]]
            counted[key] = len(within) < limit["calls"]
            self.spent[key] = [*within, now] if counted[key] else within
        return counted[key]

    def _hides(self, elements: Sequence[Element], call: Call) -> bool:
        found = [(name, what) for element in elements for name, what in element.items()]
        inside = [one for name, what in found if name == "choose" for one in branch(what, call)]
        rules = [what for name, what in found if name == "tool-rules"]
        return any(against(rule, call.tool) == HIDDEN for rule in rules) or bool(inside and self._hides(inside, call))


def branch(choose: Any, call: Call) -> Sequence[Element]:
    """What a choose does for a call."""
    for when in choose["when"]:
        if when["condition"] in (f'request.headers["x-region"] == "{call.region}"', f'mcp.tool.name == "{call.tool}"'):
            return when["do"]
    return choose.get("otherwise", [])


def against(rules: Any, tool: str) -> str:
    """What speaks against a tool: of several a rule that hides."""
    denied = [one for one in rules.get("deny", []) if fnmatchcase(tool, one["tool"])]
    if denied:
        return HIDDEN if any(one.get("hide", True) for one in denied) else "tool-denied"
    allowed = rules.get("allow")
    return ALLOWED if allowed is None or any(fnmatchcase(tool, one) for one in allowed) else HIDDEN
