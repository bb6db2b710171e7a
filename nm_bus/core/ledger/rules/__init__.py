"""What each kind of change does: a rule looks at the state and says the outcome, and no more."""
