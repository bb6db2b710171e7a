"""The ingest process: reads its share of the members and says what it knows of them."""
