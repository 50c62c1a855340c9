// A table for mcpgov's records in a Log Analytics workspace, and the way into it: endpoint, rule, role, function.
// columns.json is compared by a test with mcpgov/audit/formats/azure_monitor.py.

@description('The workspace that gets the table.')
param workspaceName string

@description('The principal (object) id of the identity that mcpgov runs as.')
param gatewayPrincipalId string

param location string = resourceGroup().location

@description('Days that records can be queried, and days that they are kept.')
param retentionInDays int = 90
param totalRetentionInDays int = 730

var table = 'McpGov_CL'
var stream = 'Custom-${table}'
var columns = loadJsonContent('columns.json')
// Monitoring Metrics Publisher
var publisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2022-10-01' existing = {
  name: workspaceName
}

resource records 'Microsoft.OperationalInsights/workspaces/tables@2022-10-01' = {
  parent: workspace
  name: table
  properties: {
    plan: 'Analytics'
    retentionInDays: retentionInDays
    totalRetentionInDays: totalRetentionInDays
    schema: {
      name: table
      columns: map(columns, column => {
        name: column.name
        type: column.type == 'datetime' ? 'dateTime' : column.type
      })
    }
  }
}

resource endpoint 'Microsoft.Insights/dataCollectionEndpoints@2023-03-11' = {
  name: 'mcpgov'
  location: location
  properties: {
    networkAcls: {
      publicNetworkAccess: 'Enabled'
    }
  }
}

resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: 'mcpgov'
  location: location
  dependsOn: [
    records
  ]
  properties: {
    dataCollectionEndpointId: endpoint.id
    streamDeclarations: {
      '${stream}': {
        columns: columns
      }
    }
    destinations: {
      logAnalytics: [
        {
          name: 'workspace'
          workspaceResourceId: workspace.id
        }
      ]
    }
    dataFlows: [
      {
        streams: [
          stream
        ]
        destinations: [
          'workspace'
        ]
        transformKql: 'source'
        outputStream: stream
      }
    ]
  }
}

resource mayPublish 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(rule.id, gatewayPrincipalId, publisher)
  scope: rule
  properties: {
    principalId: gatewayPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', publisher)
  }
}

resource calls 'Microsoft.OperationalInsights/workspaces/savedSearches@2020-08-01' = {
  parent: workspace
  name: 'McpGovCalls'
  properties: {
    category: 'mcpgov'
    displayName: 'McpGovCalls'
    functionAlias: 'McpGovCalls'
    query: loadTextContent('calls.kql')
  }
  dependsOn: [
    records
  ]
}

@description('audit.exports.to in mcpgov.yaml')
output exportTo string = '${endpoint.properties.logsIngestion.endpoint}/dataCollectionRules/${rule.properties.immutableId}/streams/${stream}?api-version=2023-01-01'
