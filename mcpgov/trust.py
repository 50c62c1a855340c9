"""Whose certificates are believed where mcpgov is the client: those that the system trusts, or SSL_CERT_FILE names.

Rule: no key of a connection is ever written anywhere. `ssl.create_default_context()` follows SSLKEYLOGFILE, and who
reads that file reads every credential that goes out (invariant 7).
"""

from __future__ import annotations

import ssl


def system_trust() -> ssl.SSLContext:
    """What a client believes: a certificate for the very name, from whom the system trusts, over TLS 1.2 or 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which asks for a certificate, and looks at its name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    return context
