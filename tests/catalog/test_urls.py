"""An upstream's URL is plain, and public unless the entry says otherwise."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.catalog.urls import check_fixed, check_url, parse_fixed
from mcpgov.credential.references import Unfit
from mcpgov.destinations import is_public

PUBLIC = (
    "https://api.githubcopilot.com/mcp/",
    "HTTPS://API.Contoso.com",
    "https://mcp.contoso.com:8443/a/b?tenant=1&x=$y#"[:-1],
    "https://xn--bcher-kva.example/mcp",
    "https://20.50.123.45/mcp",
    "https://[2606:4700:4700::1111]/mcp",
    "https://a_b.contoso.com/",
    "https://127.contoso.com/",
    "https://localhost.contoso.com/",
)
NOT_PUBLIC = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "0", "0.0.1"),
    *("10.0.0.7", "172.16.0.1", "192.168.1.1", "192.168.257", "169.254.0.1", "100.64.0.1"),
    *("198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[2002:7f00:1::]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[64:ff9b:1::1]", "[fe80::1]", "[fec0::1]"),
    *("localhost.localdomain", "ip6-localhost.localdomain"),
    *("[ff02::1]", "[2001:db8::1]"),
    *(
        "localhost",
        "LOCALHOST",
        "a.localhost",
        "printer.local",
        "localhost.localdomain",
        "printer.internal",
        "nas.home.arpa",
    ),
)
METADATA = (
    *("169.254.169.254", "0xA9FEA9FE", "2852039166", "169.254.43518", "0251.0376.0251.0376", "169.254.170.2"),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::169.254.169.254]", "[64:ff9b::a9fe:a9fe]"),
    *("[64:ff9b:1::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[2001:0:4136:e378:8000:63bf:5601:5601]"),
    *("[fd00:ec2::254]", "[fd00:0ec2:0:0:0:0:0:254]", "[fd20:ce::254]", "100.100.100.200", "168.63.129.16"),
    *("metadata.google.internal", "METADATA.Google.Internal", "metadata.goog", "metadata"),
)
UNFIT = (
    *("", "contoso", "//contoso.com", "/mcp", "ftp://contoso.com", "file:///etc/passwd", "unix:///run/x", "https://"),
    *(
        "https:///mcp",
        "https:contoso.com",
        "https://user@contoso.com",
        "https://u:p@contoso.com",
        "https://@contoso.com",
    ),
    *(
        "https://contoso.com/#",
        "https://contoso.com/#a",
        "https://contoso.com:",
        "https://contoso.com:0",
        "https://[::1",
    ),
    *(
        "https://contoso.com:70000",
        "https://contoso.com:http",
        "https://contoso.com\\@evil.com",
        "https://con toso.com",
    ),
    *(
        "https://contoso.com/\r\nHost: evil.com",
        "https://contoso.com/\x00",
        "https://①②⑦.0.0.1/",
        "https://bücher.example",
    ),
    *(
        "https://contoso%2ecom/",
        "https://contoso.com./",
        "https://127.0.0.1./",
        "https://.contoso.com",
        "https://-a.com",
    ),
    *(
        "https://1.2.3.4.5/",
        "https://1.2.3.256",
        "https://256.1.1.1",
        "https://4294967296",
        "https://09.1.1.1",
        "https://a.1",
    ),
    *("https://[::g]/", "https://[fe80::1%25eth0]/", "https://[v1.a:b]/", "https://contoso.com/?key=${env:KEY}"),
    *("https://" + "a" * 64 + ".com", "https://contoso.com/" + "a" * 2048),
)


@pytest.mark.parametrize("url", PUBLIC)
def test_a_public_https_url_is_fit(url: str) -> None:
    check_url(url, private=False)


@pytest.mark.parametrize("host", NOT_PUBLIC)
def test_a_host_that_is_not_public_needs_private(host: str) -> None:
    with pytest.raises(Unfit) as caught:
        check_url(f"https://{host}:8443/mcp?x=1", private=False)
    assert "private: true" in caught.value.mend
    check_url(f"https://{host}:8443/mcp?x=1", private=True)


@pytest.mark.parametrize("host", METADATA)
def test_the_metadata_service_of_a_cloud_is_never_allowed_however_it_is_written(host: str) -> None:
    for private in (True, False):
        with pytest.raises(Unfit, match="gives the secrets of this machine") as caught:
            check_url(f"https://{host}:8443/latest", private=private)
        assert "private" not in caught.value.mend
    with pytest.raises(Unfit, match="gives the secrets of this machine"):
        check_fixed(("api.contoso.com:443", "169.254.169.254:80"), ["https://api.contoso.com/"], private=True)


@pytest.mark.parametrize("url", UNFIT)
def test_an_unusual_url_is_refused_rather_than_repaired(url: str) -> None:
    for private in (True, False):
        with pytest.raises(Unfit) as caught:
            check_url(url, private=private)
        assert caught.value.mend


def test_plain_http_needs_private() -> None:
    with pytest.raises(Unfit, match="plain http"):
        check_url("http://contoso.com/mcp", private=False)
    check_url("http://contoso.com/mcp", private=True)


@given(st.from_regex(r"(0[xX][0-9a-fA-F]{0,3}|[0-9]{1,4})(\.(0[xX][0-9a-fA-F]{0,3}|[0-9]{1,4})){0,4}", fullmatch=True))
def test_a_numeric_host_is_judged_as_the_system_would_read_it(host: str) -> None:
    try:
        address = ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        address = None
    try:
        check_url(f"https://{host}/", private=False)
    except Unfit:
        fit = False
    else:
        fit = True
    assert not fit or (address is not None and is_public(address))


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("API.contoso.com:443:10.0.0.7", ("api.contoso.com:443", "10.0.0.7:443")),
        ("a_b:80:10.0.0.7:8080", ("a_b:80", "10.0.0.7:8080")),
        ("api.contoso.com:443:[2001:DB8::7]", ("api.contoso.com:443", "[2001:db8::7]:443")),
        ("api.contoso.com:443:[::ffff:10.0.0.7]:1", ("api.contoso.com:443", "[::ffff:a00:7]:1")),
    ],
)
def test_an_address_is_given_to_a_host_and_port(text: str, fixed: tuple[str, str]) -> None:
    assert parse_fixed(text) == fixed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not HOST:PORT:ADDRESS"),
        ("api.contoso.com:443", "is not HOST:PORT:ADDRESS"),
        ("api.contoso.com:443:other.contoso.com", "is not HOST:PORT:ADDRESS"),
        ("api.contoso.com:443:2001:db8::7", "is not HOST:PORT:ADDRESS"),
        ("api.contoso.com:443:[127.0.0.1", "is not HOST:PORT:ADDRESS"),
        ("api.contoso.com:443:127.1", "is not HOST:PORT:ADDRESS"),
        ("api.contoso.com:443:10.0.0.7:0", "is not HOST:PORT:ADDRESS"),
        ("api.contoso.com:65536:10.0.0.7", "is not HOST:PORT:ADDRESS"),
        ("api..contoso.com:443:10.0.0.7", "a host that is not a host name"),
        ("10.0.0.8:443:10.0.0.7", "gives an address an address"),
    ],
)
def test_what_gives_no_host_an_address_is_refused(text: str, says: str) -> None:
    with pytest.raises(Unfit, match=says):
        parse_fixed(text)


def test_an_address_is_public_unless_the_entry_says_otherwise() -> None:
    urls = ["not a URL", "https://api.contoso.com/mcp"]
    check_fixed(("api.contoso.com:443", "8.8.8.8:443"), urls, private=False)
    check_fixed(("api.contoso.com:443", "[::1]:443"), urls, private=True)
    for address in ("10.0.0.7", "[::1]", "[::ffff:10.0.0.7]", "169.254.0.1"):
        with pytest.raises(Unfit, match="not a public address"):
            check_fixed(("api.contoso.com:443", f"{address}:443"), urls, private=False)


def test_an_address_for_a_host_that_is_never_called_is_refused() -> None:
    with pytest.raises(Unfit, match="which this connection never calls"):
        check_fixed(("api.contoso.com:80", "8.8.8.8:80"), ["https://api.contoso.com/"], private=True)
