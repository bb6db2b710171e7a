"""What tests and simulations need: a virtual clock, simulated links, messages that are made up."""
