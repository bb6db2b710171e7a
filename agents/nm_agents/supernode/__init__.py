"""The supernode: one view of the federation, alerts, and answers."""
