// A connection of a Foundry project to the gateway: as `mcpgov foundry bicep` prints it, with its name and target given.
param accountName string
param projectName string
param connectionName string
param target string
@description('A gateway key: mcpgov keys create NAME --connection CONNECTION')
@secure()
param gatewayKey string

resource account 'Microsoft.CognitiveServices/accounts@2025-04-01-preview' existing = {
  name: accountName
}

resource project 'Microsoft.CognitiveServices/accounts/projects@2025-04-01-preview' existing = {
  parent: account
  name: projectName
}

resource connection 'Microsoft.CognitiveServices/accounts/projects/connections@2025-04-01-preview' = {
  parent: project
  name: connectionName
  properties: {
    authType: 'CustomKeys'
    group: 'ServicesAndApps'
    category: 'RemoteTool'
    target: target
    isSharedToAll: true
    sharedUserList: []
    credentials: {
      keys: {
        Authorization: 'Bearer ${gatewayKey}'
      }
    }
    metadata: {
      ApiType: 'Azure'
    }
  }
}
