"""The demonstration: a federation on this machine, and a story that checks itself."""
