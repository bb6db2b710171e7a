"""What every program is made of: it reads, vouches, routes, refuses and settles here, once."""
