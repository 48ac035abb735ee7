"""What a reader sees: the ledger of claims, tables, figures and pages."""
