"""What a supernode does with its own broker beside messages: looks at it, and repairs it."""
