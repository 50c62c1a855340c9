"""Every setting has a default and a meaning; whatever else is written is refused, all at once, with place and mend."""

import base64
import os
import secrets
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.models import Secret
from mcpgov.settings import Address, Settings, parse_settings
from mcpgov.settings_file import folder_of, lookup_for, read_text, stand_ins

KEY = base64.b64encode(bytes(range(100, 140))).decode()


def problems(text: str, **variables: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidConfiguration) as caught:
        parse_settings(text, "mcpgov.yaml", EnvironmentAndFiles(variables))
    return caught.value.problems


def loaded(place: Path) -> Settings:
    """What a file says, for verbs that fetch no secret."""
    text = read_text(place)
    return parse_settings(text, str(place), lookup_for(text, place, {}, stand_ins))


def test_without_a_word_everything_has_its_default() -> None:
    settings = parse_settings("{}", "mcpgov.yaml")
    assert settings == Settings()
    assert str(settings.listen) == "127.0.0.1:8080"
    assert settings.identity.key_headers == ("authorization", "x-api-key")
    assert not settings.identity.allow_anonymous
    assert settings.secrets.material is None


@pytest.mark.parametrize(
    ("written", "seconds"), [("off", None), ("10s", 10), ("5m", 300), ("24h", 86_400), ('"1h"', 3600)]
)
def test_servers_are_asked_as_often_as_is_written(written: str, seconds: int | None) -> None:
    assert parse_settings(f"health: {{ every: {written} }}", "mcpgov.yaml").health.every == seconds
    assert parse_settings("{}", "mcpgov.yaml").health.every == 300


def test_every_key_can_be_set() -> None:
    text = f"""
listen: "[::1]:9000"
public_url: https://mcp.contoso.com/
catalog: entries
policies: /etc/policies
global_policies: [company, default]
identity: {{ allow_anonymous: false, key_headers: [X-Gateway-Key], proxy: {{ user_header: X-User }} }}
azure: {{ tenant_id: 00000000-1111-2222-3333-444444444444 }}
audit: {{ store: "sqlite:///data/ledger.db", durability: durable }}
counters: {{ url: rediss://cache.contoso.com:6380/1, when_down: local }}
named_values: {{ region: westeurope, api.key_1-a: "${{env:API_KEY}}" }}
trusted_proxies: [10.0.0.0/8, 192.0.2.7, "2001:db8::/32"]
limits: {{ body_bytes: 1024, depth: 4, keys: 16, string_bytes: 1024 }}
secrets: {{ key: {KEY} }}
experimental: {{}}
"""
    settings = parse_settings(text, "conf/mcpgov.yaml", EnvironmentAndFiles({"API_KEY": "hunter2"}))
    assert settings.listen == Address("::1", 9000)
    assert str(settings.listen) == "[::1]:9000"
    assert settings.public_url == "https://mcp.contoso.com"
    assert (settings.catalog, settings.policies) == (Path("conf/entries"), Path("/etc/policies"))
    assert settings.global_policies == ("company", "default")
    assert settings.identity.key_headers == ("x-gateway-key",)
    assert settings.identity.proxy is not None
    assert settings.azure is not None
    assert settings.audit.store == "sqlite:///conf/data/ledger.db"
    assert settings.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32")))
    assert settings.limits.depth == 4
    assert settings.secrets.material == bytes(range(100, 140))
    assert settings.counters.url == Secret("rediss://cache.contoso.com:6380/1")
    assert settings.counters.when_down == "local"
    assert settings.named_values == {"region": "westeurope", "api.key_1-a": Secret("hunter2")}
    assert KEY not in repr(settings)
    assert "hunter2" not in repr(settings)


def test_an_absolute_store_stays_where_it_is() -> None:
    store = "sqlite:////var/lib/mcpgov.db"
    assert parse_settings(f"audit: {{ store: '{store}' }}", "conf/mcpgov.yaml").audit.store == store


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("listen: 8080", "not an address to listen on"),
        ("listen: :8080", "not an address to listen on"),
        ("listen: 127.0.0.1", "not an address to listen on"),
        ("listen: 127.0.0.1:99999", "not an address to listen on"),
        ("listen: mcp.contoso.com:80", "not an IP address and port"),
        ("listen: 127.0.0.256:80", "not an IP address and port"),
        ("public_url: mcp.contoso.com", "not a URL"),
        ("public_url: https://mcp.contoso.com/base", "has a path"),
        ("public_url: https://mcp.contoso.com?x=1", "has a path"),
        ("public_url: https://u:p@mcp.contoso.com", "user name or password"),
        ("public_url: http://mcp.contoso.com", "plain http, which shows keys and tokens to the network"),
        ("public_url: http://127.0.0.1.contoso.com", "plain http"),
        ("admin: { listen: 127.0.0.1:8080 }", "where agents call"),
        ("admin:", "is empty"),
        ("admin: { keys: [x] }", "no key keys"),
        ("catalog: ''", "not the path of a folder"),
        ("catalog: [a]", "not the path of a folder"),
        ("policies: ' '", "not the path of a folder"),
        ("global_policies: default", "must be a list"),
        ("global_policies: [../default]", "not the name of a policy"),
        ("global_policies: [Default.yaml]", "not the name of a policy"),
        ("identity: { allow_anonymous: yes }", "must be"),
        ("identity: { allow_anonymous: 'true' }", "must be"),
        ("identity: { key_headers: [] }", "key_headers is empty"),
        ("identity: { key_headers: ['X Key'] }", "not the name of a header"),
        ("identity: { key_headers: [Mcp-Session-Id] }", "carries no key"),
        ("identity: { key_headers: [Proxy-Authorization] }", "carries no key"),
        ("identity: { key_headers: [Host] }", "carries no key"),
        ("identity: { key_headers: [X_Key] }", "dropped at the door"),
        ("counters: 1", "counters must be memory, a URL or a mapping"),
        ("counters: [memory]", "counters must be memory, a URL or a mapping"),
        ("counters: redis", "counters is not the URL of a Redis"),
        ("counters: 'http://cache:6379'", "not the URL of a Redis"),
        ("counters: 'redis://'", "not the URL of a Redis"),
        ("counters: 'redis://cache/zero'", "more behind the host"),
        ("counters: { url: 6379 }", "url must be text"),
        ("counters: { url: 'redis://${env:ABSENT}' }", "ABSENT, which is not set"),
        ("counters: { url: 'redis://cache', when_down: allow }", "when_down must be"),
        ("counters: { when_down: local }", "counters has no url"),
        ("counters: { url: 'redis://cache', per_worker: true }", "either shared or of each worker"),
        ("counters: per-process", "counters is not the URL of a Redis"),
        ("counters: { uri: 'redis://cache' }", "no key uri"),
        ("named_values: [a]", "named_values must be a mapping"),
        ("named_values: { 'a b': c }", "not the name of a value"),
        ("named_values: { " + "a" * 257 + ": c }", "not the name of a value"),
        ("named_values: { limit: 60 }", "limit must be text"),
        ("named_values: { key: '${env:ABSENT}' }", "ABSENT, which is not set"),
        ("azure:", "azure is empty"),
        ("azure: {}", "tenant_id is missing"),
        ("identity: { proxy: { user_header: X-User } }", "no proxy is trusted"),
        ("registry: { anonymous: true }", "anonymous is neither none nor all"),
        ("registry: { anonymous: [] }", "anonymous is neither none nor all"),
        ("registry: { anonymous: ['a b'] }", "anonymous is neither none nor all"),
        ("registry: { anonymous: [com.contoso/*, 7] }", "anonymous is neither none nor all"),
        ("registry:", "registry is empty"),
        ("experimental: { warp: true }", "no key warp"),
        ("trusted_proxies: [10.0.0.1/8]", "not a network"),
        ("trusted_proxies: [0.0.0.0/0]", "trusts everyone"),
        ("trusted_proxies: ['::/0']", "trusts everyone"),
        ("trusted_proxies: [10]", "not a network"),
        ("health: { every: 5 }", "every is no time from 10s to 24h"),
        ("health: { every: 9s }", "every is no time from 10s to 24h"),
        ("health: { every: 25h }", "every is no time from 10s to 24h"),
        ("limits: { depth: 3 }", "depth must be a whole number of levels from 4 to 256"),
        ("limits: { body_bytes: 1e9 }", "must be"),
        ("limits: { body_bytes: 1MB }", "body_bytes must be a whole number of bytes from 1024 to 67108864"),
        ("limits: { keys: true }", "whole number of keys from 16 to 100000"),
        ("limits: { keys: '100' }", "must be"),
        ("secrets: { key: 7 }", "must be text"),
        ("secrets: { key: '%%%' }", "not base64"),
        ("secrets: { key: aGVsbG8= }", "shorter than 32 bytes"),
        ("secrets: { key: '${env:ABSENT}' }", "ABSENT, which is not set"),
        ("secrets: { vault: x }", "no key vault"),
        ("secrets: { former_keys: [aGVsbG8=] }", "shorter than 32 bytes"),
        (f"secrets: {{ former_keys: [{KEY}] }}", "has former_keys and no key"),
        ("lsten: 127.0.0.1:1", "no key lsten"),
        ("- listen", "must be a mapping"),
        ("", "the file is empty"),
        ("# nothing", "the file is empty"),
        ("listen: [", "not YAML"),
        ("listen: &a x", "anchor"),
        ("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2", "written twice"),
        ("identity: { allow_anonymous: true }\nlisten: 0.0.0.0:8080", "strangers can reach 0.0.0.0:8080"),
        ("identity: { allow_anonymous: true }\npublic_url: https://mcp.contoso.com", "through the proxy"),
        ("identity: { allow_anonymous: true }\ntrusted_proxies: [10.0.0.7]", "through the proxy"),
    ],
)
def test_what_cannot_be_put_in_force_is_refused(text: str, says: str) -> None:
    found = problems(text)
    assert [problem for problem in found if says in problem.message], found
    assert all(problem.file == "mcpgov.yaml" for problem in found)


def test_counters_are_in_memory_or_in_a_redis_that_refuses_while_it_is_down() -> None:
    assert parse_settings("counters: memory", "x").counters == Settings().counters
    assert Settings().counters.url is None
    redis = parse_settings("counters: redis://cache:6379", "x").counters
    assert redis == parse_settings("counters: { url: redis://cache:6379 }", "x").counters
    assert (redis.url, redis.when_down) == (Secret("redis://cache:6379"), "deny")


def test_counters_of_each_worker_are_chosen_by_name() -> None:
    chosen = parse_settings("counters: per-worker", "x").counters
    assert chosen == parse_settings("counters: { per_worker: true }", "x").counters
    assert (chosen.per_worker, chosen.url, Settings().counters.per_worker) == (True, None, False)


@pytest.mark.parametrize("url", ["redis://h", "redis://h:1/", "redis://h:1/15", "rediss://u:p%23@h", "redis://[::1]:1"])
def test_the_url_of_counters_may_come_from_a_reference(url: str) -> None:
    for text in ("counters: '${env:REDIS_URL}'", "counters: { url: '${env:REDIS_URL}' }"):
        counters = parse_settings(text, "x", EnvironmentAndFiles({"REDIS_URL": url})).counters
        assert counters.url == Secret(url)


@pytest.mark.parametrize("url", ["redis://u:hunter2@", "redis://u:hunt/er2@h", "redis://u:hunter2@h:x", "h,hunter2"])
def test_a_url_that_may_hold_a_password_is_not_repeated(url: str) -> None:
    (found,) = problems("counters: '${env:REDIS_URL}'", REDIS_URL=url)
    assert "hunt" not in str(found)
    assert "rediss://USER:PASSWORD@HOST:6379/0" in found.mend


def test_each_check_says_how_to_mend_it() -> None:
    (found,) = problems("listen: 0.0.0.0")
    assert (found.line, found.column) == (1, 9)
    assert found.mend.startswith("write ADDRESS:PORT")


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:9000"])
def test_a_public_url_of_this_machine_may_be_plain_http(host: str) -> None:
    assert parse_settings(f"public_url: http://{host}", "x").public_url == f"http://{host}"


@pytest.mark.parametrize("url", ["a.example", "http://a.example", "https://u:p@a.example", "https://a.example/base"])
def test_the_mend_of_a_public_url_leads_to_one_that_is_taken(url: str) -> None:
    (found,) = problems(f"public_url: {url}")
    mended = found.mend.rpartition(" ")[2]
    assert parse_settings(f"public_url: {mended}", "x").public_url == mended


def test_an_empty_section_is_told_how_to_be_written() -> None:
    assert [str(found) for found in problems("identity:\nlimits:\n")] == [
        "mcpgov.yaml:1:10: identity must be a mapping (write identity: {})",
        "mcpgov.yaml:2:8: limits must be a mapping (write limits: {})",
    ]


def test_a_reference_to_no_file_tells_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mcpgov.yaml").write_text("secrets: { key: '${file:nope}' }")
    place = Path("mcpgov.yaml")
    with pytest.raises(InvalidConfiguration) as caught:
        loaded(place)
    assert caught.value.problems[0].mend == f"looked for {tmp_path}/nope"


def test_a_folder_is_named_as_written_where_the_current_one_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert folder_of(Path("conf/mcpgov.yaml")) == "conf"


def test_all_errors_are_told_at_once() -> None:
    found = problems("listen: x\nregistry: []\naudit:\n  durability: cache\n  stroe: y\ncounters: redis\n")
    assert sorted((problem.line, problem.column) for problem in found) == [(1, 9), (2, 11), (4, 15), (5, 3), (6, 11)]


def test_an_unknown_key_names_its_nearest_neighbour() -> None:
    (found,) = problems("identity: { key_header: [X-Key] }")
    assert "key_headers" in found.mend


@pytest.mark.parametrize(
    ("said", "seen"),
    [("{}", ()), ("{ anonymous: none }", ()), ("{ anonymous: all }", ("*",)), ("{ anonymous: [a/*] }", ("a/*",))],
)
def test_who_shows_no_credential_sees_what_is_said_and_else_nothing(said: str, seen: tuple[str, ...]) -> None:
    assert parse_settings(f"registry: {said}", "x").registry.anonymous == seen


@pytest.mark.parametrize("listen", ["127.0.0.1:8080", "localhost:8080", "127.7.7.7:1", "'[::1]:8080'"])
def test_anonymous_callers_are_possible_on_loopback(listen: str) -> None:
    assert parse_settings(f"identity: {{ allow_anonymous: true }}\nlisten: {listen}", "x").identity.allow_anonymous


@pytest.mark.parametrize(
    "material",
    [
        b"changeme" * 4,
        b"Change-Me " + bytes(range(40)),
        b"\0" * 32,
        b"0123456789abcdef" * 4,
        b"my example key, for the docs, of enough length",
        bytes(range(19)) * 2,
    ],
)
def test_a_weak_or_placeholder_key_is_refused_and_not_repeated(material: bytes) -> None:
    key = base64.b64encode(material).decode()
    (found,) = problems("secrets: { key: '${env:KEY}' }", KEY=key)
    assert "not a secret" in found.message
    assert key not in str(found)


def test_a_placeholder_that_is_itself_base64_is_refused() -> None:
    (found,) = problems("secrets: { key: " + "your-secret-key-goes-here-ABCDEFGHIJKLMNOPQRSTUVWXYZ" + " }")
    assert "placeholder" in found.message


@given(st.binary(min_size=32, max_size=64).filter(lambda material: len(set(material)) >= 20))
def test_a_random_key_is_taken_in_either_alphabet(material: bytes) -> None:
    for text in (base64.b64encode(material).decode(), base64.urlsafe_b64encode(material).decode().rstrip("=")):
        settings = parse_settings("secrets: { key: '${env:KEY}' }", "x", EnvironmentAndFiles({"KEY": text}))
        assert settings.secrets.material == material


def test_the_recommended_ways_of_making_a_key_work() -> None:
    for text in (secrets.token_urlsafe(32), secrets.token_hex(32), base64.b64encode(secrets.token_bytes(32)).decode()):
        parse_settings("secrets: { key: '${env:KEY}' }", "x", EnvironmentAndFiles({"KEY": text}))


def test_a_file_is_loaded_with_its_folder_and_its_references(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    place = tmp_path / "mcpgov.yaml"
    place.write_text("secrets: { key: '${file:key}' }\nglobal_policies: ['${env:NO}']")
    with pytest.raises(InvalidConfiguration, match="not the name of a policy"):
        loaded(place)
    place.write_text("secrets: { key: '${file:key}' }")
    settings = loaded(place)
    assert settings.secrets.material == bytes(range(100, 140))
    assert settings.catalog == tmp_path / "catalog"


def test_what_is_no_readable_text_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "loop").symlink_to("loop")
    for name, says in (("", "not a file"), ("pipe", "not a file"), ("binary", "not text"), ("loop", "cannot be read")):
        with pytest.raises(InvalidConfiguration, match=says):
            read_text(tmp_path / name)


def test_a_litellm_reference_is_one_of_the_environment() -> None:
    text = "counters: os.environ/REDIS_URL\nnamed_values: { pat: os.environ/PAT }\nsecrets: { key: os.environ/KEY }"
    variables = {"REDIS_URL": "redis://cache", "PAT": "s3cret", "KEY": KEY}
    settings = parse_settings(text, "x", EnvironmentAndFiles(variables))
    assert settings.counters.url == Secret("redis://cache")
    assert settings.named_values == {"pat": Secret("s3cret")}
    assert settings.secrets.key == Secret(KEY)
