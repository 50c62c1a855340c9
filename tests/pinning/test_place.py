"""A pin belongs to a server and to where it leads."""

from dataclasses import replace

import pytest

from mcpgov.models import LocalUpstream, RemoteUpstream
from mcpgov.pinning.place import name_in, pinned_as, place_in, place_of
from tests.audit.calls import CITY

NOTES = replace(CITY, server="com.contoso/notes")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://notes.contoso.com/mcp", "https://notes.contoso.com:443/mcp"),
        ("https://notes.contoso.com/mcp?key=secret", "https://notes.contoso.com:443/mcp?0b60fff1753750c4"),
        ("https://Notes.Contoso.com:443/Other", "https://notes.contoso.com:443/Other"),
        ("https://notes.contoso.com:8443", "https://notes.contoso.com:8443"),
        ("http://notes.contoso.com/mcp", "http://notes.contoso.com:80/mcp"),
        ("http://[::1]:9/mcp", "http://[::1]:9/mcp"),
        ("nowhere", '"nowhere"'),
    ],
)
def test_a_remote_server_is_at_its_url(url: str, place: str) -> None:
    connection = replace(NOTES, upstream=RemoteUpstream(url))
    assert pinned_as(connection) == f"com.contoso/notes {place}"
    assert (name_in(pinned_as(connection)), place_in(pinned_as(connection))) == ("com.contoso/notes", place)


def test_a_local_server_is_its_command_line_and_its_folder() -> None:
    upstreams = [
        LocalUpstream(("npx", "-y", "notes")),
        LocalUpstream(("npx", "-y notes")),
        LocalUpstream(("npx", "-y", "notes"), working_directory="/srv/notes"),
    ]
    places = [place_of(replace(NOTES, upstream=upstream)) for upstream in upstreams]
    assert places[0] == '{"command":["npx","-y","notes"],"cwd":""}'
    assert len(set(places)) == 3
    assert [name_in(pinned_as(replace(NOTES, upstream=upstream))) for upstream in upstreams] == [NOTES.server] * 3


def test_what_was_kept_without_a_place_has_none() -> None:
    assert (name_in("com.contoso/notes"), place_in("com.contoso/notes")) == ("com.contoso/notes", "")
