"""A folder of settings, catalog and policies for the tests of verbs."""

from collections.abc import Mapping
from pathlib import Path

ENTRY = """\
name: com.contoso/github
upstream: https://api.contoso.com/mcp?key=in-the-query
policies: [everywhere]
connections:
  github:
    authType: CustomKeys
    keys: { Authorization: "Bearer of-the-connection" }
    backends: [https://europe-api.contoso.com]
    policies: [company]
    tools: { delete_repository: { policies: [owners-only] } }
"""
LOCAL = "name: com.contoso/time\ncommand: [sleep, --secret-flag]\nconnections: { time: {} }\n"
COMPANY = """\
inbound:
  - ip-filter: { action: allow, addresses: [10.0.0.0/24] }
  - rate-limit-by-key: { calls: 60, renewal-period: 60 }
  - choose:
      when:
        - condition: 'request.headers["x-region"] == "eu"'
          do: [set-backend-service: { base-url: https://europe-api.contoso.com }]
  - tool-rules: { deny: [delete_*, { tool: merge, hide: false, message: Ask a person. }] }
outbound:
  - set-header: { name: X-Governed, value: "yes" }
on-error:
  - set-header: { name: X-Help, value: "${{ error.reason }}" }
"""
POLICIES = {
    "company": COMPANY,
    "everywhere": "inbound: [set-header: { name: Cookie, exists-action: delete }]\n",
    "owners-only": "base: false\ninbound: [tool-rules: { deny: ['*'] }]\n",
    "trial": "mode: report\ninbound: [tool-rules: { allow: [get_*] }]\n",
}


def furnish(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """Write the files, and `files` besides or in their place; gives the settings file."""
    written = {"mcpgov.yaml": "listen: 127.0.0.1:9\n", "catalog/github.yaml": ENTRY, "catalog/time.yaml": LOCAL}
    written |= {f"policies/{name}.yaml": text for name, text in POLICIES.items()}
    for name, text in {**written, **(files or {})}.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")
    return folder / "mcpgov.yaml"
