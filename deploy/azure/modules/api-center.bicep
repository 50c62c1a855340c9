// The private catalog that Foundry reads, and the environment that `mcpgov catalog publish` puts servers into.
param name string
param location string
param tags object

resource center 'Microsoft.ApiCenter/services@2024-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {}
}

resource workspace 'Microsoft.ApiCenter/services/workspaces@2024-03-01' = {
  parent: center
  name: 'default'
  properties: {
    title: 'Default workspace'
  }
}

resource mcpgov 'Microsoft.ApiCenter/services/workspaces/environments@2024-03-01' = {
  parent: workspace
  name: 'mcpgov'
  properties: {
    title: 'mcpgov'
    kind: 'mcp'
    description: 'MCP servers behind the gateway, which decides and records every call.'
    server: {
      type: 'other'
      managementPortalUri: []
    }
  }
}

output name string = center.name
