"""The programs of nm-bus: member, supernode, ingest, command line."""
