"""The keys' page: who can call, who can come in here, and the forms that make and revoke keys."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from mcpgov.admin.access import AdminKey, Role
from mcpgov.admin.keys import state_of
from mcpgov.console.html import Child, Markup, join, link, tag
from mcpgov.console.layout import CONSOLE, Frame, hidden, note
from mcpgov.console.times import day
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mcpgov.identity.api_key import KeyRecord
    from mcpgov.models import CallerScope, Secret

MOODS = {"in force": "ok", "overlapping": "trouble", "expired": "given-up", "revoked": "denied"}
GATEWAY_HEADS = ("Name", "Project", "Scope", "Created", "Last used", "Expires", "State", "")
ADMIN_HEADS = ("Name", "Role", "Created", "Expires", "State", "")


@frozen
class Said:
    """What came of the last form: a problem, or a new key, which is shown this once."""

    problem: str = ""
    made: Secret | None = field(default=None, repr=False)
    whose: str = ""


def keys_page(keys: Sequence[KeyRecord], admin_keys: Sequence[AdminKey], frame: Frame, said: Said) -> Markup:
    """The page. Forms stand there only for whoever may send them."""
    role = frame.session.person.role
    made = None
    if said.made is not None:
        made = tag(
            "div",
            tag("p", f"The key of {said.whose}. This is the only time it is shown."),
            tag("pre", said.made.reveal(), tabindex="0", role="region", aria_label="The new key", class_="key"),
            class_="card made",
        )
    gateway = join(
        table(GATEWAY_HEADS, [gateway_row(key, frame) for key in keys], "There is no gateway key."),
        make_gateway(frame) if role.allows(Role.OPERATOR) else None,
    )
    admin = join(
        table(ADMIN_HEADS, [admin_row(key, frame) for key in admin_keys], "There is no admin key."),
        make_admin(frame),
    )
    return join(
        tag("h1", "Keys"),
        tag(
            "p",
            "Gateway keys call tools and open nothing here; admin keys open this console and call no tool.",
            class_="lead",
        ),
        note(said.problem, "bad") if said.problem else None,
        made,
        tag("section", tag("h2", "Gateway keys"), gateway, class_="card calls"),
        tag("section", tag("h2", "Admin keys"), admin, class_="card calls") if role.allows(Role.ADMIN) else None,
    )


def table(heads: Sequence[str], rows: Sequence[Markup], none: str) -> Markup:
    """A table of keys; a column without a name is that of what can be done."""
    if not rows:
        return tag("p", none, class_="empty")
    cells = [
        tag("th", name, scope="col") if name else tag("td", tag("span", "What can be done", class_="unseen"))
        for name in heads
    ]
    return tag("table", tag("thead", tag("tr", cells)), tag("tbody", rows))


def gateway_row(key: KeyRecord, frame: Frame) -> Markup:
    """One gateway key."""
    state = state_of(key, frame.now)
    return tag(
        "tr",
        tag(
            "td",
            tag("a", key.name, href=link(CONSOLE, since="30d", principal=f"key:{key.id}")),
            tag("small", key.id),
            data_label="Name",
        ),
        tag("td", key.project, data_label="Project"),
        tag("td", scope_text(key.scope), class_="clip", data_label="Scope"),
        tag("td", when(key.created_at), data_label="Created"),
        tag("td", when(key.last_used_at), data_label="Last used"),
        tag("td", when(key.expires_at), data_label="Expires"),
        tag("td", mood(state), data_label="State"),
        tag(
            "td",
            revoke("keys", key.id, key.name, frame)
            if frame.session.person.role.allows(Role.OPERATOR) and state != "revoked"
            else None,
        ),
    )


def admin_row(key: AdminKey, frame: Frame) -> Markup:
    """One admin key."""
    state = state_of(key, frame.now)
    return tag(
        "tr",
        tag("td", key.name, tag("small", key.id), data_label="Name"),
        tag("td", key.role.value, data_label="Role"),
        tag("td", when(key.created_at), data_label="Created"),
        tag("td", when(key.expires_at), data_label="Expires"),
        tag("td", mood(state), data_label="State"),
        tag("td", revoke("admin-keys", key.id, key.name, frame) if state != "revoked" else None),
    )


def revoke(kind: str, key_id: str, name: str, frame: Frame) -> Markup:
    """The form that revokes a key, behind a question, because it cannot be taken back."""
    button = tag("button", "Revoke for good", aria_label=f"Revoke for good: {name}", class_="danger")
    form = tag("form", hidden(frame), button, method="post", action=f"{CONSOLE}/{kind}/{key_id}/revoke")
    return tag("details", tag("summary", "Revoke", aria_label=f"Revoke {name}"), form, class_="revoke")


def make_gateway(frame: Frame) -> Markup:
    """The form that makes a gateway key."""
    fields = (
        text("name", "Name", "Who will hold it", required=True),
        text("project", "Project", "The label of limits and reviews"),
        text("connections", "Connections", "github, team-*; all unless given"),
        text("tools", "Tools", "get_*, list_*; all unless given"),
        text("expires", "Expires", "90d, 12h; never unless given"),
    )
    return make("Make a gateway key", "keys", fields, frame)


def make_admin(frame: Frame) -> Markup:
    """The form that makes an admin key."""
    roles = tag("select", [tag("option", role.value, value=role.value) for role in Role], id="n-role", name="role")
    fields = (
        text("name", "Name", "Who will hold it", required=True, prefix="a"),
        tag("div", tag("label", "Role", for_="n-role"), roles, class_="field"),
        text("expires", "Expires", "90d, 12h; never unless given", prefix="a"),
    )
    return make("Make an admin key", "admin-keys", fields, frame)


def make(title: str, kind: str, fields: Sequence[Child], frame: Frame) -> Markup:
    """A form that makes a key."""
    act = tag("div", tag("button", "Make the key"), class_="field act")
    form = tag(
        "form", tag("div", fields, act, class_="fields"), hidden(frame), method="post", action=f"{CONSOLE}/{kind}"
    )
    return tag("details", tag("summary", title), form)


def text(name: str, label: str, hint: str, *, required: bool = False, prefix: str = "n") -> Markup:
    """A text of a form."""
    wanted = tag(
        "input",
        type="text",
        id=f"{prefix}-{name}",
        name=name,
        placeholder=hint,
        required=required,
        maxlength=512,
        autocomplete="off",
    )
    return tag("div", tag("label", label, for_=f"{prefix}-{name}"), wanted, class_="field")


def mood(state: str) -> Markup:
    """Whether a key holds, in a word and a colour."""
    return tag("span", tag("i", class_="dot"), state, class_=f"status {MOODS[state]}")


def scope_text(scope: CallerScope) -> str:
    """What a key is for."""
    named = (("connections", scope.connections), ("tools", scope.tools))
    return "; ".join(f"{what} {', '.join(found)}" for what, found in named if found is not None) or "everything"


def when(at: datetime | None) -> str:
    """A day, or that there is none."""
    return day(at) if at else "never"
