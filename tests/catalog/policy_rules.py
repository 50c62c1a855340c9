"""Azure Policy's own reading of a rule, as far as the rules here go, and of a resource by its aliases.

What its documentation says of conditions: texts are compared without regard to case, but for `match`; `like` takes one
`*`; `match` takes # for a digit, ? for a letter, . for either; a negated condition is true of what is missing, and any
other is false; an alias of another type of resource has no value. What is not known here is an error, not a guess.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Resource = Mapping[str, Any]
Parameters = Mapping[str, Any]


class UnknownRule(Exception):
    """A part of a rule that this evaluator does not know."""


def effect(definition: Mapping[str, Any], resource: Resource, given: Parameters | None = None) -> str:
    """What happens to `resource`: the effect of the rule, or the empty string where it does not apply."""
    properties = definition["properties"]
    values = {name: one["defaultValue"] for name, one in properties["parameters"].items()} | dict(given or {})
    rule = properties["policyRule"]
    if properties["mode"] == "Indexed" and "location" not in resource:
        return ""
    return str(parameter(rule["then"]["effect"], values)) if applies(rule["if"], resource, values) else ""


def applies(rule: Mapping[str, Any], resource: Resource, values: Parameters) -> bool:
    """Whether a condition or an operator is true."""
    if "allOf" in rule:
        return all(applies(one, resource, values) for one in rule["allOf"])
    if "anyOf" in rule:
        return any(applies(one, resource, values) for one in rule["anyOf"])
    if "not" in rule:
        return not applies(rule["not"], resource, values)
    (condition,) = rule.keys() - {"field"}
    return holds(condition, field(rule["field"], resource), parameter(rule[condition], values))


def parameter(written: Any, values: Parameters) -> Any:
    """What stands in a rule, or the parameter that it names."""
    named = re.fullmatch(r"\[parameters\('(\w+)'\)\]", written) if isinstance(written, str) else None
    return values[named[1]] if named else written


def field(name: str, resource: Resource) -> Any:
    """The value of a field or of an alias; None where there is none."""
    if name.lower() == "type":
        return resource["type"]
    type_, _, path = name.rpartition("/")
    if type_.lower() != resource["type"].lower():
        return None
    found = [value for key, value in resource.get("properties", {}).items() if key.lower() == path.lower()]
    return found[-1] if found else None


def holds(condition: str, value: Any, wanted: Any) -> bool:
    """Whether a condition is true of a value."""
    if condition == "exists":
        return (value is not None) is (str(wanted).lower() == "true")
    if condition.startswith("not"):
        return not holds(condition[3].lower() + condition[4:], value, wanted)
    if condition not in CONDITIONS:
        raise UnknownRule(condition)
    return isinstance(value, str) and CONDITIONS[condition](value, wanted)


def is_in(value: str, wanted: Sequence[str]) -> bool:
    """One of a list of texts."""
    return value.lower() in {one.lower() for one in wanted}


def like(value: str, pattern: str) -> bool:
    """One `*` for any run of characters."""
    if pattern.count("*") > 1:
        raise UnknownRule(pattern)
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), value, re.IGNORECASE | re.DOTALL) is not None


def match(value: str, pattern: str) -> bool:
    """The same in the same case."""
    return re.fullmatch("".join(map(matching, pattern)), value) is not None


def matching(char: str) -> str:
    """A character of `match` as that of an expression."""
    return {"#": "[0-9]", "?": "[A-Za-z]", ".": "[0-9A-Za-z]"}.get(char, re.escape(char))


CONDITIONS: Mapping[str, Callable[[str, Any], bool]] = {
    "equals": lambda value, wanted: value.lower() == str(wanted).lower(),
    "contains": lambda value, wanted: str(wanted).lower() in value.lower(),
    "in": is_in,
    "like": like,
    "match": match,
    "matchInsensitively": lambda value, wanted: match(value.lower(), str(wanted).lower()),
}
