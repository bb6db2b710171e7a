"""Checks that may take long, in a child process under limits of time and memory."""
