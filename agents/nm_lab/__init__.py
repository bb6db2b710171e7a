"""What shows that it works: demonstration, measurements, simulations, a federation on one machine.

Nothing that a site runs for real lives here, and nothing outside imports it: the command line
finds its commands by their names.
"""
