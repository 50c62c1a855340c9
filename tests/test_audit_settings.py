"""What `audit:` may say, and that whatever else is written is refused with its mend."""

import base64
import os

import pytest

from mcpgov.audit.field_modes import Mode
from mcpgov.audit.levels import About, Level, rule_for
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Secret
from mcpgov.settings import parse_settings

KEY = base64.b64encode(os.urandom(32)).decode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("audit: { store: ./ledger.db }", "not a store"),
        ("audit: { store: 'sqlite://' }", "not a store"),
        ("audit: { store: 'sqlite:///' }", "not a store"),
        ("audit: { store: 'sqlite:///:memory:' }", "not a store"),
        ("audit: { store: 'sqlite:///a.db?mode=memory' }", "not a store"),
        ("audit: { store: 'postgresql://db/mcpgov' }", "no file lies beside a PostgreSQL"),
        ("audit: { store: 'postgresql://db' }", "not the URL of a PostgreSQL"),
        ("audit: { store: 'postgresql://${env:ABSENT}@db/x' }", "ABSENT, which is not set"),
        ("audit: { store: '${secret:https://v.vault.azure.net/secrets/x}' }", "where no Key Vault is asked"),
        ("audit: { durability: none }", "must be 'durable' or 'os-cache'"),
        ("audit: { outcome: before }", "must be 'after-reply' or 'before-reply'"),
        ("audit: { require: two }", "must be 'one' or 'all'"),
        ("audit: { sinks: [second.db] }", "sinks[0] is not a store"),
        ("audit: { sinks: ['sqlite:///./mcpgov.db'] }", "audit names a store twice"),
        ("audit: { sinks: ['postgresql://db/x', 'sqlite:///b.db', 'postgresql://db/x'] }", "audit names a store twice"),
        ("audit: { keep_days: 0 }", "keep_days is not a number of days"),
        ("audit: { keep_days: 400d }", "keep_days is not a number of days"),
        ("audit: { rules: [{ tools: [x] }] }", "level is missing"),
        ("audit: { rules: [{ level: full }] }", "none"),
        ("audit: { rules: [{ level: none, tool: [x] }] }", "no key tool"),
        ("audit: { rules: [{ level: none, tools: [] }] }", "is empty"),
        ("audit: { rules: [{ level: none, tools: [''] }] }", "is no pattern of a name"),
        ('audit: { rules: [{ level: none, tools: ["a\\u202e"] }] }', "is no pattern of a name"),
        ("audit: { rules: [{ level: none }, { level: request }] }", "behind one that matches everything"),
        ("audit: { rules: [{ level: metadata, fields: { a: drop } }] }", "no values are written down"),
        ("audit: { rules: [{ level: request, fields: { a..b: drop } }] }", "is no path to a value"),
        ("audit: { rules: [{ level: request, fields: { a: encrypt } }] }", "drop"),
        ("audit: { checkpoints: [worm] }", "checkpoints[0] is no place for checkpoints"),
        ("audit: { checkpoints: ['http://worm.contoso.com/'] }", "checkpoints[0] is no place for checkpoints"),
        ("audit: { checkpoints: ['sqlite:///worm.db'] }", "checkpoints[0] is no place for checkpoints"),
        (
            "audit: { checkpoints: ['sqlite:////w.db?mode=memory'] }",
            "checkpoints[0] is no place for checkpoints",
        ),
        ("audit: { checkpoints: ['postgresql://u:hunter2@db'] }", "checkpoints[0] is not the URL of a PostgreSQL"),
        ("audit: { store: 'sqlite:////a.db', checkpoints: ['sqlite:////./a.db'] }", "the store that they are of"),
    ],
)
def test_what_cannot_be_put_in_force_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r".") as refused:
        parse_settings(text, "conf/mcpgov.yaml")
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_store_may_be_a_postgresql_whose_url_is_a_secret() -> None:
    text = "audit: { store: 'postgresql://u:${env:P}@db/mcpgov' }\nsecrets: { key: '${env:KEY}' }"
    settings = parse_settings(text, "x", EnvironmentAndFiles({"P": "hunter2", "KEY": KEY}))
    assert settings.audit.store == Secret("postgresql://u:hunter2@db/mcpgov")
    assert "hunter2" not in f"{settings!r}"


def test_a_ledger_may_be_kept_in_several_stores_as_strictly_as_is_asked() -> None:
    asked = "require: all, durability: os-cache, outcome: before-reply"
    text = f"audit: {{ sinks: ['sqlite:///b.db', 'postgresql://u:${{env:P}}@db/mcpgov'], {asked} }}"
    audit = parse_settings(text, "conf/mcpgov.yaml", EnvironmentAndFiles({"P": "hunter2"})).audit
    assert audit.sinks == ("sqlite:///conf/b.db", Secret("postgresql://u:hunter2@db/mcpgov"))
    assert (audit.require, audit.durability, audit.outcome) == ("all", "os-cache", "before-reply")
    assert "hunter2" not in f"{audit!r}"
    plain = parse_settings("{}", "x").audit
    assert (plain.sinks, plain.require, plain.durability, plain.outcome) == ((), "one", "durable", "after-reply")


def test_checkpoints_go_to_folders_urls_and_databases_and_each_is_a_secret() -> None:
    places = ["file:///worm", "https://worm.contoso.com/x?sig=1", "sqlite:////worm/a.db", "postgresql://u:hunter2@db/x"]
    audit = parse_settings(f"audit: {{ checkpoints: {places} }}", "x").audit
    assert [place.reveal() for place in audit.checkpoints] == places
    assert "hunter2" not in f"{audit!r}"


def test_records_are_kept_for_400_days_unless_it_is_said() -> None:
    kept = [parse_settings(text, "x").audit.keep_days for text in ("{}", "audit: { keep_days: 30 }")]
    assert kept == [400, 30]
    assert parse_settings("audit: { keep_days: forever }", "x").audit.keep_days is None


def test_rules_are_asked_in_the_order_in_which_they_are_written() -> None:
    text = """
audit:
  rules:
    - { connections: ["internal-*"], methods: [tools/call], principals: ["key:*"], level: none }
    - { tools: ["delete_*"], level: request-response, fields: { user.name: clear, "**": mask } }
    - { level: request }
"""
    rules = parse_settings(text, "x").audit.levels()
    first, second, third = (
        rule_for(rules, about)
        for about in (
            About("internal-hr", "tools/call", "delete_user", "key:1"),
            About("internal-hr", "tools/call", "delete_user", "entra:1"),
            About("internal-hr", "tools/list"),
        )
    )
    assert [rule.level for rule in (first, second, third)] == [Level.NONE, Level.REQUEST_RESPONSE, Level.REQUEST]
    assert [second.fields.at(path) for path in (("user", "name"), ("user",))] == [Mode.CLEAR, Mode.MASK]
    assert parse_settings("audit: {}", "x").audit.levels() == ()
