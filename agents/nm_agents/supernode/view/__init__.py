"""What a supernode knows of the federation, and who it says that it is itself."""
