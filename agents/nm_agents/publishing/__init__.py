"""A watched folder of configuration documents, whose files become changes of the ledger."""
