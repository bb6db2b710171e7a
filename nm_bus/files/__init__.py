"""Files: put in their place whole."""
