"""The federation as a supernode sees it: asked for, and what follows from it for every face."""
