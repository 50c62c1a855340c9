"""mcpgov: the governed front door for MCP tools.

No call without a decision, no decision without a record, no record that can be changed unseen.

Reading map, in the order of a call:

    pipeline.py      govern(): the whole flow in one straight function; start here
    models.py        the values that travel, with decision.py (why) and errors.py (how a refusal is answered)
    endpoint/    1   wire in, wire out: HTTP and JSON-RPC to an MCPRequest, and the reply back
    identity/    2   who calls: keys and tokens to a Principal
    policy/      3   may they: documents and elements to a Decision; pure
    credential/  4   with whose credential: what the upstream is shown
    audit/       5   write it down: the intent before the forward, the outcome after every exit
    upstream/    6   forward: the one way out

Around the flow: catalog/ (what is served), snapshot.py (one generation of what is in force), settings.py, store/ (all
persistence), cli/ (verbs), telemetry.py. app.py puts it all together: it alone names concrete classes, and nobody
imports it.
"""

__version__ = "0.1.0.dev0"
