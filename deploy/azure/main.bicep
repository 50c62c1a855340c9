// mcpgov on Azure Container Apps, with all that it needs: docs/deploy.md#azure. Nothing here was deployed by us.
targetScope = 'subscription'

@description('Names the resource group and, with a hash, everything in it.')
@minLength(1)
@maxLength(24)
param environmentName string

param location string

@description('Who may read the secrets, so that a later provisioning finds them: whoever runs azd.')
param operatorId string

@description('The image, by its digest: REGISTRY/mcpgov@sha256:…')
param image string

@description('The client id that hooks/entra-app.sh printed.')
param appClientId string

@secure()
param postgresPassword string

@description('Base64 of 32 random bytes: secrets.key of mcpgov.yaml.')
@secure()
param recordsKey string

@description('A container registry whose image the gateway may pull; empty where the image is public.')
param registryName string = ''
param registryGroup string = ''

@description('A project of Foundry that gets a connection; empty for none.')
param foundryGroup string = ''
param foundryAccount string = ''
param foundryProject string = ''

@description('A gateway key: mcpgov keys create NAME --connection learn. Empty for no connection.')
@secure()
param foundryGatewayKey string = ''

@description('What the policy does with connections that lead around the gateway. Audit first.')
@allowed(['Audit', 'Deny', 'Disabled'])
param guardEffect string = 'Audit'

var suffix = uniqueString(subscription().id, environmentName, location)
var tags = { 'azd-env-name': environmentName }

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: { name: 'mcpgov-${suffix}', location: location, tags: tags }
}

module pull 'modules/registry-access.bicep' = if (!empty(registryName)) {
  name: 'registry-access'
  scope: resourceGroup(empty(registryGroup) ? group.name : registryGroup)
  params: { registryName: registryName, principalId: identity.outputs.principalId }
}

module network 'modules/network.bicep' = {
  name: 'network'
  scope: group
  params: { name: 'mcpgov-${suffix}', location: location, tags: tags }
}

module logs 'modules/logs.bicep' = {
  name: 'logs'
  scope: group
  params: { name: 'mcpgov-${suffix}', location: location, tags: tags }
}

module monitor 'monitor/main.bicep' = {
  name: 'monitor'
  scope: group
  params: {
    workspaceName: logs.outputs.name
    gatewayPrincipalId: identity.outputs.principalId
    location: location
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv${suffix}'
    location: location
    tags: tags
    gatewayPrincipalId: identity.outputs.principalId
    operatorId: operatorId
    postgresPassword: postgresPassword
    recordsKey: recordsKey
  }
}

module databases 'modules/databases.bicep' = {
  name: 'databases'
  scope: group
  params: {
    name: 'mcpgov-${suffix}'
    location: location
    tags: tags
    networkId: network.outputs.id
    subnetId: network.outputs.privateSubnetId
    vaultName: vault.outputs.name
    postgresPassword: postgresPassword
  }
}

module gateway 'modules/gateway.bicep' = {
  name: 'gateway'
  scope: group
  params: {
    name: 'mcpgov'
    location: location
    tags: tags
    image: image
    registryServer: empty(registryName) ? '' : '${registryName}.azurecr.io'
    appClientId: appClientId
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    subnetId: network.outputs.appsSubnetId
    workspaceName: logs.outputs.name
    vaultUri: vault.outputs.uri
    postgresHost: databases.outputs.postgresHost
    redisHost: databases.outputs.redisHost
    exportTo: monitor.outputs.exportTo
  }
}

module catalog 'modules/api-center.bicep' = {
  name: 'api-center'
  scope: group
  params: { name: 'mcpgov-${suffix}', location: location, tags: tags }
}

module connection 'modules/foundry-connection.bicep' = if (!empty(foundryProject) && !empty(foundryGatewayKey)) {
  name: 'foundry-connection'
  scope: resourceGroup(empty(foundryGroup) ? group.name : foundryGroup)
  params: {
    accountName: foundryAccount
    projectName: foundryProject
    connectionName: 'learn'
    target: '${gateway.outputs.url}/mcp/learn'
    gatewayKey: foundryGatewayKey
  }
}

module guard 'modules/guard.bicep' = {
  name: 'guard'
  params: { gatewayUrl: gateway.outputs.url, effect: guardEffect, location: location }
}

output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output AZURE_RESOURCE_GROUP string = group.name
output GATEWAY_URL string = gateway.outputs.url
output API_CENTER_NAME string = catalog.outputs.name
