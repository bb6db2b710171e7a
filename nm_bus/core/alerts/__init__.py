"""What is wrong, as alerts: their kinds, what holds now, their life, who is responsible. Pure."""
