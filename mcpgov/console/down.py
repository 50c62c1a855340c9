"""The page that says that the store is down: what that means, and the mend. It knows nothing of why: the log does."""

from __future__ import annotations

from typing import Final

from mcpgov.console.html import Markup, join, tag
from mcpgov.console.layout import CONSOLE

AGAIN: Final = 5  # seconds after which it is worth while to ask again


def down_page() -> Markup:
    """That the ledger cannot be read or written at the moment."""
    mends = (
        ("Read why in the gateway's log: ", "audit-unavailable", " or ", "audit-index-stopped", "."),
        ("A file: is there room on its disk, and may mcpgov write it? Ask ", "mcpgov check", "."),
        ("A server: does it run, and does the URL under ", "audit.store", " lead there?"),
    )
    listed = [tag("li", [tag("code", part) if at % 2 else part for at, part in enumerate(mend)]) for mend in mends]
    return join(
        tag("h1", "The store is down"),
        tag(
            "p", "The ledger and the keys cannot be read or written at the moment. Calls are refused until they can be."
        ),
        tag("ul", listed),
        tag("p", "Nothing has to be started anew: calls and this page work again when the store does."),
        tag("p", tag("a", "Try again", href=CONSOLE, class_="button"), class_="ways"),
    )
