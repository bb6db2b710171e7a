"""What tests are made of: ledgers and histories without supernodes, and broken messages."""
