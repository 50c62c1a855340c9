"""How much of a call is written down: the first rule that matches says so, in the words of Kubernetes' audit policy.

Pure. `none` is the skeleton: who, what, what was decided and how it ended, and no text that the caller chose but names.
`metadata` is everything about the call but its values, and what holds where no rule matches. `request` adds the
arguments, `request-response` the answer too; how their values look, the rule's field modes say. There is no level below
the skeleton: no call goes unrecorded. A rule that names tools matches calls of tools alone, one that names principals
nobody who is unknown: what a rule cannot see it does not match.
Refuses to know: where rules are written, and what is done with a level.
"""

from __future__ import annotations

import fnmatch
import re
from enum import StrEnum
from typing import TYPE_CHECKING

from mcpgov.audit.field_modes import ALL_DIGESTS, FieldModes
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcpgov.models import MCPRequest, Principal, RequestHead


class Level(StrEnum):
    """How much of a call is written down."""

    NONE = "none"
    METADATA = "metadata"
    REQUEST = "request"
    REQUEST_RESPONSE = "request-response"

    @property
    def holds_arguments(self) -> bool:
        """Whether the arguments are written down."""
        return self in {Level.REQUEST, Level.REQUEST_RESPONSE}

    @property
    def holds_answer(self) -> bool:
        """Whether the answer is written down."""
        return self is Level.REQUEST_RESPONSE


@frozen
class About:
    """What rules match on: the connection as the path names it, and what is known of the rest, else empty."""

    connection: str
    method: str = ""
    tool: str = ""
    principal: str = ""

    @classmethod
    def of(cls, head: RequestHead, request: MCPRequest | None, principal: Principal | None) -> About:
        """What is known of a call by now."""
        method, tool = (request.method, request.tool) if request else ("", "")
        return cls(head.connection, method, tool, principal.id if principal else "")


@frozen
class Names:
    """Patterns, of which one has to match: `*` is any run of characters, `?` any one. Not given, all match."""

    patterns: tuple[re.Pattern[str], ...] | None = None

    @classmethod
    def of(cls, patterns: Iterable[str] | None) -> Names:
        """The names that these patterns match."""
        if patterns is None:
            return EVERY_NAME
        plain = (one.replace("[", "[[]") for one in patterns)  # a bracket is no class of characters here
        return cls(tuple(re.compile(fnmatch.translate(one)) for one in plain))

    def __contains__(self, name: str) -> bool:
        if self.patterns is None:
            return True
        return bool(name) and any(pattern.match(name) for pattern in self.patterns)


EVERY_NAME = Names()


@frozen
class LevelRule:
    """Which calls are written down at `level`, and how the values in their arguments and answers look."""

    level: Level = Level.METADATA
    fields: FieldModes = ALL_DIGESTS
    connections: Names = EVERY_NAME
    methods: Names = EVERY_NAME
    tools: Names = EVERY_NAME
    principals: Names = EVERY_NAME

    def matches(self, call: About) -> bool:
        """Whether every part of the call is one of those that are named."""
        return (
            call.connection in self.connections
            and call.method in self.methods
            and call.tool in self.tools
            and call.principal in self.principals
        )


DEFAULT = LevelRule()


def rule_for(rules: Sequence[LevelRule], call: About) -> LevelRule:
    """The first rule that matches, or `metadata`."""
    return next((rule for rule in rules if rule.matches(call)), DEFAULT)
