#!/bin/sh
# Before provisioning: the secrets that the template is given. What the vault has is taken again, what it lacks is made.
# They lie in the azd environment while it provisions; forget.sh takes them out.
set -eu
vault=$(azd env get-value AZURE_KEY_VAULT_NAME 2>/dev/null) || vault=
[ -n "$(azd env get-value MCPGOV_IMAGE 2>/dev/null || true)" ] || {
  echo "set the image: azd env set MCPGOV_IMAGE REGISTRY/mcpgov@sha256:…" >&2
  exit 1
}

kept() { # the secret of this name in the vault, or nothing
  [ -z "$vault" ] || az keyvault secret show --vault-name "$vault" --name "$1" --query value --output tsv 2>/dev/null || true
}

password=$(kept postgres-password)
key=$(kept records-key)
azd env set POSTGRES_PASSWORD "${password:-$(openssl rand -hex 24)Aa}"
azd env set MCPGOV_KEY "${key:-$(openssl rand -base64 32)}"
