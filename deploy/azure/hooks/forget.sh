#!/bin/sh
# After provisioning: the secrets are in the vault, and nowhere else.
set -eu
azd env set POSTGRES_PASSWORD ""
azd env set MCPGOV_KEY ""
echo "the gateway is at $(azd env get-value GATEWAY_URL)"
