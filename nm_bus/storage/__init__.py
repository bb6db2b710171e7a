"""What is kept on disk: state and the spool."""
