"""The page that lets people in, and the pages that say no."""

from __future__ import annotations

from mcpgov.console.html import Markup, join, tag
from mcpgov.console.layout import CONSOLE, note


def sign_in_page(problem: str = "", *, has_link: bool = False) -> Markup:
    """Where an admin key is pasted."""
    hint = "Make one with: mcpgov keys admin NAME --role viewer"
    if has_link:
        hint = "There is no admin key yet: open the link that mcpgov serve printed when it started."
    field = tag(
        "input",
        id="key",
        name="key",
        type="password",
        required=True,
        maxlength=200,
        autocomplete="off",
        spellcheck="false",
        aria_describedby="how",
    )
    form = tag(
        "form",
        tag("label", "Admin key", for_="key"),
        field,
        tag("p", hint, class_="quiet", id="how"),
        tag("button", "Sign in"),
        method="post",
        action=f"{CONSOLE}/sign-in",
    )
    wrong = note(problem, "bad") if problem else None
    return join(tag("p", tag("b", "mcpgov"), " console", class_="mark"), tag("h1", "Sign in"), wrong, form)


def refused_page(message: str) -> Markup:
    """That something is not there, or not for this person."""
    return join(tag("h1", "Not here"), tag("p", message), tag("p", tag("a", "Back to the review", href=CONSOLE)))
