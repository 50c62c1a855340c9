"""Policies in API Management's XML: what is read is read back the same; a document decides or is refused."""

from __future__ import annotations

import html
import re

from mcpgov.errors import InvalidConfiguration
from mcpgov.policy.apim_xml import Node, parse_xml
from mcpgov.policy.document import PolicyDocument, parse_document
from tests.fuzz.documents import decided
from tests.fuzz.target import Target

WORDS = (
    *("<policies>", "</policies>", "<inbound>", "</inbound>", "<outbound>", "<backend>", "<on-error>", "<base />"),
    *('<ip-filter action="allow">', "</ip-filter>", "<address>10.0.0.7</address>", "<choose>", "</choose>", "<when"),
    *(' condition="@(', ')"', "<otherwise>", '<set-header name="x" exists-action="override">', "<value>", "</value>"),
    *('<rate-limit calls="1" renewal-period="60" />', "<![CDATA[", "]]>", "<!--", "-->", "&lt;", "&#65;", "&amp;"),
    *("@{ return 1; }", "<return-response>", '<set-status code="403" />', "<!DOCTYPE", "<?xml", "{{name}}", "/>"),
    *('<set-variable name="v" value="', '<rewrite-uri template="/', "<find-and-replace ", "<check-header ", "\u2028"),
)


def judge(data: bytes) -> None:
    """One file."""
    text = data.decode("utf-8", "surrogatepass") if readable(data) else data.decode("latin-1")
    try:
        node = parse_xml(text, "f.xml")
    except InvalidConfiguration as invalid:
        assert invalid.problems
        assert all(problem.line >= 0 and problem.message for problem in invalid.problems)
    else:
        if not has_expression(node):
            assert shape(parse_xml(written(node), "f.xml")) == shape(node), "read back as another"
    try:
        document = parse_document(text, "f.xml")
    except InvalidConfiguration as invalid:
        assert invalid.problems
        return
    assert isinstance(document, PolicyDocument)
    decided(document)


def readable(data: bytes) -> bool:
    """Whether these are bytes of UTF-8, half characters let in."""
    try:
        return bool(data.decode("utf-8", "surrogatepass")) or not data
    except UnicodeDecodeError:
        return False


def written(node: Node) -> str:
    """A node as well-formed XML."""
    attributes = "".join(f' {one.name}="{escaped(one.value)}"' for one in node.attributes)
    return f"<{node.name}{attributes}>{escaped(node.text)}{''.join(map(written, node.children))}</{node.name}>"


def escaped(text: str) -> str:
    """A text, also where a line end was written as a reference."""
    return re.sub(r"[\r\n\t]", lambda found: f"&#{ord(found[0])};", html.escape(text))


def shape(node: Node) -> object:
    """A node without its places."""
    return node.name, [(one.name, one.value) for one in node.attributes], node.text, [*map(shape, node.children)]


def has_expression(node: Node) -> bool:
    """Whether something in it is taken as it is written, or would be."""
    texts = (node.text, *(one.value for one in node.attributes))
    return any(text.lstrip()[:1] == "@" for text in texts) or any(map(has_expression, node.children))


TARGET = Target(judge, WORDS, 4096)
