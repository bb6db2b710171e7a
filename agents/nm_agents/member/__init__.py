"""The member agent: a service on each node that says that the node lives and how it is."""
