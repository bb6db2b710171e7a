"""What tests on real brokers need: a corner of one for each test, and corners joined by links."""
