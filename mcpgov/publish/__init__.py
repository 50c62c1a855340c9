"""What the catalog gives to others: settings of clients, bodies for Foundry, an API Center, the Azure Policy."""
