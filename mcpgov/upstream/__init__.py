"""Stage 6 of 6 · forward: the one way out.

    switch.py         Upstreams: remote or local, and what a reload ends
    retrying.py       Retrying: asks again, where a policy says so and nothing can have been changed
    renewing.py       Renewing: asks once more with a new credential, where the upstream refused the old one
    forward.py        RemoteForwarder: Streamable HTTP, one pool a connection
    http_client.py    the seam under it: pooled_client.py is our own client, aiohttp_client.py the other
    local.py          LocalForwarder: MCP servers that mcpgov starts and speaks to over stdio
    memory.py         MemoryUpstream: the twin that needs no socket

Nothing here decides whether a call may be made; that it was allowed and written down is the caller's promise.
"""
