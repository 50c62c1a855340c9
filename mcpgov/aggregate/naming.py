"""What the tools and prompts of the members are called at /mcp, and whose a name is. Pure.

    always         MEMBER_NAME, whatever else there is
    conditional    NAME, and MEMBER_NAME where two members have one, or where NAME looks like a prefixed name
    never          NAME; where two members have one, it is the first member's

Rules: one name is one thing of one member, and the same lists give the same names in whatever order they came. The
separator has no character that a connection's name may have, so that a prefixed name can be read in one way only.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mcpgov.frozen import frozen
from mcpgov.policy.glob import compile_wildcards

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mcpgov.models import Json


@frozen
class Item:
    """One thing that a member offers: its name at /mcp, whose it is, the name that it has there, how it is listed."""

    name: str
    member: str
    own: str
    definition: Mapping[str, Json]


Found = tuple[str, str, "Mapping[str, Json]"]  # the member, the thing's own name, how it is listed


def members_of(patterns: Iterable[str], connections: Collection[str], allowed: Sequence[str] | None) -> tuple[str, ...]:
    """The connections that `patterns` name, in their order, those of one pattern by name; `allowed` are the patterns
    that bound the caller.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        named = compile_wildcards((pattern,))
        candidates = sorted(name for name in connections if name in named) if named.globs else (pattern,)
        found |= dict.fromkeys(name for name in candidates if name in connections)
    reachable = compile_wildcards(("*",) if allowed is None else allowed)
    return tuple(name for name in found if name in reachable)


@frozen
class Naming:
    """How things are named, by the settings; `members` are those of one caller, in order."""

    members: tuple[str, ...]
    prefix: str = "always"
    separator: str = "_"

    def prefixed(self, member: str, own: str) -> str:
        """The name with its member's in front."""
        return f"{member}{self.separator}{own}"

    def split(self, name: str) -> tuple[str, str] | None:
        """The member and the own name that a prefixed name stands for; None where it is none."""
        member, _, own = name.partition(self.separator)
        return (member, own) if own and member in self.members else None

    def items(self, found: Sequence[Found]) -> list[Item]:
        """What is offered at /mcp, members in their order and then by name."""
        clashing = Counter(own for _, own, _ in found)
        places = {member: place for place, member in enumerate(self.members)}
        items: dict[str, Item] = {}
        for member, own, definition in sorted(found, key=lambda one: (places[one[0]], one[1])):
            plain = self.prefix == "never" or (
                self.prefix == "conditional" and clashing[own] == 1 and not self.split(own)
            )
            name = own if plain else self.prefixed(member, own)
            items.setdefault(name, Item(name, member, own, definition))
        return list(items.values())
