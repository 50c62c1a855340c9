"""A token is shown beside a URL and never in it, and whoever may not wait does not."""

from mcpgov.models import Secret
from mcpgov.store.signed_url import SignedUrl, password_of


class Held:
    """A token, and who asked for it how."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def current(self) -> Secret:
        self.asked.append("current")
        return Secret("token")

    def first(self) -> Secret:
        self.asked.append("first")
        return Secret("token")


def test_the_url_itself_says_nothing_of_a_token() -> None:
    url = SignedUrl("postgresql://me@db/x", Held())
    assert (url.reveal(), repr(url)) == ("postgresql://me@db/x", "Secret('***')")
    assert url == Secret("postgresql://me@db/x")


def test_only_who_may_wait_waits_for_the_first() -> None:
    held = Held()
    url = SignedUrl("postgresql://me@db/x", held)
    assert password_of(url, wait=True) == password_of(url, wait=False) == {"password": "token"}
    assert held.asked == ["first", "current"]


def test_a_url_with_a_password_needs_no_other() -> None:
    assert password_of(Secret("postgresql://me:pass@db/x"), wait=True) == {}
