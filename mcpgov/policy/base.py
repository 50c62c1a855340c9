"""base: where the broader scopes run. It stands at the top of a section; putting scopes together replaces it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mcpgov.frozen import frozen
from mcpgov.policy.element import SECTIONS, PlainElement

if TYPE_CHECKING:
    from mcpgov.policy.draft import Denial, Draft


@frozen
class Base(PlainElement):
    """A mark. In the broadest scope there is nothing behind it."""

    name: ClassVar[str] = "base"
    sections: ClassVar[tuple[str, ...]] = SECTIONS

    def decide(self, _draft: Draft, /) -> Denial | None:
        """Nothing."""
        return None
