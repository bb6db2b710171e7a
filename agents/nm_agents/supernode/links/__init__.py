"""The links of a supernode, to its peers and from them."""
