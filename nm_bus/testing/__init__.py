"""What tests of components need: a virtual clock, simulated links and supernodes, messages."""
