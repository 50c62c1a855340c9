// The gateway: an environment of Container Apps, and the app with its files and secrets.
// A change of a file is a new revision, by MCPGOV_FILES; the old one serves until the new one is ready.
param name string
param location string
param tags object
param image string
param registryServer string
param appClientId string
param identityId string
param identityClientId string
param subnetId string
param workspaceName string
param vaultUri string
param postgresHost string
param redisHost string
param exportTo string

@description('Where the ingress calls from: the addresses that Container Apps keeps for itself.')
param trustedProxies string = '100.100.0.0/16'

param minReplicas int = 2
param maxReplicas int = 8

var url = 'https://${name}.${environment.properties.defaultDomain}'
var written = loadTextContent('../gateway/settings/mcpgov.yaml')
var reached = replace(replace(written, 'https://mcp.contoso.com', url), '100.100.0.0/16', trustedProxies)
var tenanted = replace(reached, '11111111-1111-1111-1111-111111111111', tenant().tenantId)
var audienced = replace(tenanted, '22222222-2222-2222-2222-222222222222', appClientId)
var identified = replace(audienced, '33333333-3333-3333-3333-333333333333', identityClientId)
var stored = replace(identified, 'postgres.contoso.internal', postgresHost)
var counted = replace(stored, 'redis.contoso.internal', redisHost)
var settings = replace(counted, 'https://contoso.westeurope-1.ingest.monitor.azure.com/dataCollectionRules/dcr-00000000000000000000000000000000/streams/Custom-McpGov_CL?api-version=2023-01-01', exportTo)
var learn = loadTextContent('../gateway/catalog/learn.yaml')
var company = loadTextContent('../gateway/policies/company.yaml')

resource workspace 'Microsoft.OperationalInsights/workspaces@2022-10-01' existing = {
  name: workspaceName
}

resource environment 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    vnetConfiguration: {
      infrastructureSubnetId: subnetId
      internal: false
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: workspace.properties.customerId
        sharedKey: workspace.listKeys().primarySharedKey
      }
    }
  }
}

resource app 'Microsoft.App/containerApps@2025-01-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    managedEnvironmentId: environment.id
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: 8080
        transport: 'http'
        allowInsecure: false
      }
      registries: empty(registryServer) ? [] : [
        {
          server: registryServer
          identity: identityId
        }
      ]
      secrets: [
        {
          name: 'postgres-password'
          keyVaultUrl: '${vaultUri}secrets/postgres-password'
          identity: identityId
        }
        {
          name: 'redis-password'
          keyVaultUrl: '${vaultUri}secrets/redis-password'
          identity: identityId
        }
        {
          name: 'records-key'
          keyVaultUrl: '${vaultUri}secrets/records-key'
          identity: identityId
        }
        {
          name: 'settings'
          value: settings
        }
        {
          name: 'catalog-learn'
          value: learn
        }
        {
          name: 'policies-company'
          value: company
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 35
      containers: [
        {
          name: 'gateway'
          image: image
          args: ['serve', '--config', '/etc/mcpgov/settings/mcpgov.yaml']
          resources: {
            cpu: json('1.0')
            memory: '2Gi'
          }
          env: [
            {
              name: 'POSTGRES_PASSWORD'
              secretRef: 'postgres-password'
            }
            {
              name: 'REDIS_PASSWORD'
              secretRef: 'redis-password'
            }
            {
              name: 'MCPGOV_KEY'
              secretRef: 'records-key'
            }
            {
              name: 'MCPGOV_FILES'
              value: uniqueString(settings, learn, company)
            }
          ]
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/livez'
                port: 8080
              }
              periodSeconds: 2
              failureThreshold: 30
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/livez'
                port: 8080
              }
              periodSeconds: 10
              failureThreshold: 3
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: 8080
              }
              periodSeconds: 5
              failureThreshold: 2
            }
          ]
          volumeMounts: [
            {
              volumeName: 'settings'
              mountPath: '/etc/mcpgov/settings'
            }
            {
              volumeName: 'catalog'
              mountPath: '/etc/mcpgov/catalog'
            }
            {
              volumeName: 'policies'
              mountPath: '/etc/mcpgov/policies'
            }
            {
              volumeName: 'state'
              mountPath: '/var/lib/mcpgov'
            }
          ]
        }
      ]
      volumes: [
        {
          name: 'settings'
          storageType: 'Secret'
          secrets: [
            {
              secretRef: 'settings'
              path: 'mcpgov.yaml'
            }
          ]
        }
        {
          name: 'catalog'
          storageType: 'Secret'
          secrets: [
            {
              secretRef: 'catalog-learn'
              path: 'learn.yaml'
            }
          ]
        }
        {
          name: 'policies'
          storageType: 'Secret'
          secrets: [
            {
              secretRef: 'policies-company'
              path: 'company.yaml'
            }
          ]
        }
        {
          name: 'state'
          storageType: 'EmptyDir'
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '100'
              }
            }
          }
        ]
      }
    }
  }
}

output url string = url
