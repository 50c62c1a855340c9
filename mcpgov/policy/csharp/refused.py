"""What C# and API Management have and expressions here do not: by name, with the reason and what to do instead.

The pages say the same (docs/policies/expressions.md). Refuses to know where in an expression a name stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcpgov.frozen import frozen


@frozen
class Refused:
    """`reason`: why it is not there. `instead`: what to do."""

    reason: str
    instead: str


_IDENTITY: Final = "use context.Subscription, context.Product or context.User: they are the verified caller"
_NO_KEY: Final = Refused("the caller's credential is not visible to expressions", "context.Subscription.Id names it")
_NO_CREDENTIAL: Final = Refused("the caller's credential is not visible to expressions", _IDENTITY)
MEMBERS: Final[Mapping[tuple[str, str], Refused]] = {
    ("Response", "Body"): Refused(
        "reading the body of an answer would hold up a stream", "use result-rules or find-and-replace"
    ),
    ("Request", "Certificate"): Refused("the client's certificate is not visible to expressions here", _IDENTITY),
    ("Subscription", "Key"): _NO_KEY,
    ("Subscription", "PrimaryKey"): _NO_KEY,
    ("Subscription", "SecondaryKey"): _NO_KEY,
    ("context", "Elapsed"): Refused(
        "the time that passed would make a decision that cannot be made again", "the record of the call has it"
    ),
    ("MatchedParameters", "[]"): Refused(
        "always fails here, as the path of an MCP endpoint has no parameters",
        "the arguments of a call are in context.Request.Body",
    ),
    ("string", "TryParseJwt"): Refused("a method here gives one value", "use AsJwt(): null where it is no token"),
    ("string", "AsBasic"): _NO_CREDENTIAL,
    ("string", "TryParseBasic"): _NO_CREDENTIAL,
}
_CRYPTOGRAPHY: Final = Refused(
    "cryptography is not supported in expressions here", "keys of upstreams stand in the catalog"
)
_NOT_AGAIN: Final = Refused(
    "what gives another value each time is not supported", "Guid.NewGuid() and DateTime.UtcNow come from the request"
)
_NO_XML: Final = Refused("XML is not read in expressions here", "MCP speaks JSON: use JObject.Parse(…)")
CLASSES: Final[Mapping[str, Refused]] = {
    **dict.fromkeys(("SHA256", "HMACSHA256", "SHA512", "HMACSHA512", "MD5", "SHA1", "RSA", "Aes"), _CRYPTOGRAPHY),
    **dict.fromkeys(("Random", "Environment", "Thread", "Task"), _NOT_AGAIN),
    **dict.fromkeys(("XDocument", "XElement", "XmlDocument"), _NO_XML),
}
NO_LAMBDA: Final = "use Contains, First or Any; CEL, in YAML, has exists and all"
NO_NEW: Final = 'use JObject.Parse("…") for JSON, $"…" for text'
LINQ: Final = frozenset(
    {"Where", "Select", "SelectMany", "OrderBy", "OrderByDescending", "GroupBy", "Aggregate", "All", "Sum", "Skip"}
    | {"Take", "Distinct", "ToList", "ToArray", "ToDictionary", "Cast", "OfType", "Single", "SingleOrDefault", "Zip"}
    | {"Union"}
)
_NO_LOOP: Final = "use if, and several set-variable one after the other"
_NO_TRY: Final = "ask before: ContainsKey, GetValueOrDefault, ?. and ??"
WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("foreach", "for", "while", "do", "break", "continue", "goto", "yield"), _NO_LOOP),
    "switch": "use if and else",
    **dict.fromkeys(("try", "catch", "finally", "checked", "unchecked"), _NO_TRY),
    "throw": "use return-response, in a choose",
    **dict.fromkeys(("out", "ref"), "a method here gives one value: use it"),
    **dict.fromkeys(("const", "static", "dynamic"), "declare the variable with var"),
    "default": "write the value",
    "nameof": "write the name as text",
    **dict.fromkeys(("using", "lock", "await", "async", "in", "typeof", "sizeof", "delegate", "base", "this"), ""),
    **dict.fromkeys(("stackalloc", "fixed", "unsafe"), ""),
}
