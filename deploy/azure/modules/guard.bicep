// The policy that leaves agents no way around the gateway (docs/foundry.md#nobody-walks-around-it): guard.json is what
// `mcpgov foundry policy` prints with ../gateway, and the host in it is replaced.
targetScope = 'subscription'

param gatewayUrl string
param effect string
param location string

var definition = json(replace(loadTextContent('guard.json'), 'https://mcp.contoso.com', gatewayUrl))

resource policy 'Microsoft.Authorization/policyDefinitions@2023-04-01' = {
  name: 'mcp-gateway-only'
  properties: union(definition.properties, { policyType: 'Custom' })
}

resource assignment 'Microsoft.Authorization/policyAssignments@2025-03-01' = {
  name: 'mcp-gateway-only'
  location: location
  properties: {
    displayName: definition.properties.displayName
    policyDefinitionId: policy.id
    parameters: {
      effect: {
        value: effect
      }
    }
  }
}
