"""A whole federation on this machine, for whoever shows, measures or tests it."""
