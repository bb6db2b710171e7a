"""`nm-bus doctor`: the command, and a file for each thing that it looks at."""
