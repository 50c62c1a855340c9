#!/bin/sh
# Registers mcpgov in Entra: an app whose tokens are of version 2, with the role Mcp.Invoke for agents and apps. Run once by
# somebody who may register applications; prints the client id. A script and no template, because what is made in the
# directory outlives the subscription, and its rights are other people's to give.
set -eu
name=${1:-mcpgov}
role=$(mktemp)
trap 'rm -f "$role"' EXIT
cat > "$role" <<EOF
[{"allowedMemberTypes": ["Application"], "description": "Call tools through mcpgov", "displayName": "Mcp.Invoke",
  "id": "$(python3 -c 'import uuid; print(uuid.uuid4())')", "isEnabled": true, "value": "Mcp.Invoke"}]
EOF
id=$(az ad app list --filter "displayName eq '$name'" --query '[0].appId' --output tsv)
if [ -z "$id" ]; then
  id=$(az ad app create --display-name "$name" --sign-in-audience AzureADMyOrg --app-roles @"$role" --query appId --output tsv)
  az ad app update --id "$id" --identifier-uris "api://$id" --set api.requestedAccessTokenVersion=2
  az ad sp create --id "$id" --output none
fi
echo "$id"
