"""The page that lets people in."""

from mcpgov.console.sign_in import refused_page, sign_in_page


def test_the_key_is_typed_unseen_and_the_way_to_one_is_said() -> None:
    page = str(sign_in_page())
    assert 'type="password"' in page
    assert "mcpgov keys admin NAME --role viewer" in page
    assert "link that mcpgov serve printed" in str(sign_in_page(has_link=True))
    assert "&lt;x&gt;" in str(sign_in_page("<x>"))
    assert "&lt;x&gt;" in str(refused_page("<x>"))
