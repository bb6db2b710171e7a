"""`nm-bus setup`: settings files from a few questions and a certificate."""
