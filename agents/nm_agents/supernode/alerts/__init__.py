"""The alerts of one supernode: raised, resolved, published, subscribed to."""
