"""A URL of a server leads to one database of one server, or is refused without being repeated."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.credential.references import Unfit
from mcpgov.server_urls import check_postgres_url, check_redis_url, is_postgres, shown


@pytest.mark.parametrize("url", ["redis://h", "redis://h:1/", "redis://h:1/15", "rediss://u:p%23@h", "redis://[::1]:1"])
def test_a_redis_is_named_by_host_and_database(url: str) -> None:
    check_redis_url(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://h", "not the URL"),
        ("redis://h:99999", "not the URL"),
        ("redis://h:0", "not the URL"),
        ("redis://:a b@h", "not the URL"),
        ("redis://h/0?ssl_cert_reqs=none", "more behind the host"),
        ("redis://:pass@h#word", "more behind the host"),
    ],
)
def test_what_is_no_redis_is_refused(url: str, says: str) -> None:
    with pytest.raises(Unfit, match=says):
        check_redis_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h/db",
        "postgres://u@h:5432/db",
        "postgresql://u:hunt%2Fer@h/my-db_1",
        "postgresql://u:p@[::1]:5432/db",
        "postgresql://u:p@h/db?sslmode=verify-full",
        "postgresql://u:p@h/d%20b?sslmode=disable",
    ],
)
def test_a_postgresql_is_named_by_host_and_database(url: str) -> None:
    assert is_postgres(url)
    check_postgres_url(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://h/db", "not the URL"),
        ("postgresql:///db", "not the URL"),
        ("postgresql://h", "not the URL"),
        ("postgresql://h/", "not the URL"),
        ("postgresql://h/a/b", "not the URL"),
        ("postgresql://h:0/db", "not the URL"),
        ("postgresql://h:99999/db", "not the URL"),
        ("postgresql://h1,h2/db", "not the URL"),
        ("postgresql://u:hunt er2@h/db", "not the URL"),
        ("postgresql://u:hunt/er2@h/db", "not the URL"),
        ("postgresql://[/db", "not the URL"),
        ("postgresql://h/db#more", "more behind the name of the database"),
        ("postgresql://h/db?sslmode=prefer", "more behind the name of the database"),
        ("postgresql://h/db?host=elsewhere", "more behind the name of the database"),
        ("postgresql://h/db?sslmode=require&host=elsewhere", "more behind the name of the database"),
        ("postgresql://h/db?options=-c%20fsync=off", "more behind the name of the database"),
    ],
)
def test_what_leads_nowhere_or_elsewhere_or_says_more_is_refused(url: str, says: str) -> None:
    with pytest.raises(Unfit, match=says) as raised:
        check_postgres_url(url)
    assert "hunt" not in f"{raised.value} {raised.value.mend}"


def told(check: Callable[[str], None], url: str) -> str:
    """What a check says of a URL."""
    try:
        check(url)
    except Unfit as unfit:
        return f"{unfit} {unfit.mend}"
    return ""


@given(st.text())
def test_no_text_breaks_the_checks_or_is_repeated(text: str) -> None:
    for check, scheme in ((check_redis_url, "redis"), (check_postgres_url, "postgresql")):
        assert "hunter2" not in told(check, f"{scheme}://user:hunter2@{text}")


@pytest.mark.parametrize("url", ["postgresql://db.contoso.com:5432/worm", "sqlite:////mnt/worm/checkpoints.db"])
def test_a_url_is_shown_without_who_signs_in(url: str) -> None:
    assert shown(url) == url
    assert shown("postgresql://auditor:hunter2@db/worm?sslmode=require") == "postgresql://db/worm"
