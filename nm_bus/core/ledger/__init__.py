"""What supernodes agree on, and what a change does: pure, no clock but ticks."""
