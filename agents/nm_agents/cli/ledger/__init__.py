"""What the ledger holds, and its past, at the command line."""
