// The ledger's PostgreSQL and the counters' Redis, at private addresses alone.
// The gateway signs in to both by password: it has no way yet to bring a token of its identity. People sign in to
// PostgreSQL by Entra; who, is for `az postgres flexible-server microsoft-entra-admin create`.
param name string
param location string
param tags object
param networkId string
param subnetId string
param vaultName string

@secure()
param postgresPassword string

resource postgres 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Standard_D2ds_v5'
    tier: 'GeneralPurpose'
  }
  properties: {
    version: '16'
    administratorLogin: 'mcpgov'
    administratorLoginPassword: postgresPassword
    authConfig: {
      activeDirectoryAuth: 'Enabled'
      passwordAuth: 'Enabled'
      tenantId: tenant().tenantId
    }
    storage: {
      storageSizeGB: 128
      autoGrow: 'Enabled'
    }
    backup: {
      backupRetentionDays: 35
      geoRedundantBackup: 'Disabled'
    }
    // The standby is synchronous: a failover loses no record.
    highAvailability: {
      mode: 'ZoneRedundant'
    }
    network: {
      publicNetworkAccess: 'Disabled'
    }
  }
}

resource database 'Microsoft.DBforPostgreSQL/flexibleServers/databases@2024-08-01' = {
  parent: postgres
  name: 'mcpgov'
  properties: {
    charset: 'UTF8'
    collation: 'en_US.utf8'
  }
}

module postgresAddress 'private-endpoint.bicep' = {
  name: 'postgres-address'
  params: {
    name: 'postgres'
    location: location
    tags: tags
    networkId: networkId
    subnetId: subnetId
    serviceId: postgres.id
    kind: 'postgresqlServer'
    zoneName: 'privatelink.postgres.database.azure.com'
  }
}

resource redis 'Microsoft.Cache/redisEnterprise@2025-07-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Balanced_B0'
  }
  properties: {
    minimumTlsVersion: '1.2'
    highAvailability: 'Enabled'
    publicNetworkAccess: 'Disabled'
  }
}

// One endpoint that passes commands on, and nothing is evicted: docs/operations.md#counters.
resource counters 'Microsoft.Cache/redisEnterprise/databases@2025-07-01' = {
  parent: redis
  name: 'default'
  properties: {
    port: 10000
    clientProtocol: 'Encrypted'
    clusteringPolicy: 'EnterpriseCluster'
    evictionPolicy: 'NoEviction'
    accessKeysAuthentication: 'Enabled'
    persistence: {
      aofEnabled: true
      aofFrequency: '1s'
    }
  }
}

module redisAddress 'private-endpoint.bicep' = {
  name: 'redis-address'
  params: {
    name: 'redis'
    location: location
    tags: tags
    networkId: networkId
    subnetId: subnetId
    serviceId: redis.id
    kind: 'redisEnterprise'
    zoneName: 'privatelink.redis.azure.net'
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vaultName
}

// As it stands in a URL: the key may hold a slash.
resource redisPassword 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'redis-password'
  properties: {
    value: uriComponent(counters.listKeys().primaryKey)
  }
}

output postgresHost string = postgres.properties.fullyQualifiedDomainName
output redisHost string = redis.properties.hostName
