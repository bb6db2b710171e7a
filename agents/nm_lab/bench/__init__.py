"""How fast it is: measurements on a broker of their own, side by side with the alternatives."""
