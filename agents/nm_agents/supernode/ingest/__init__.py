"""The ingest processes of a supernode: started, watched, and given their share."""
