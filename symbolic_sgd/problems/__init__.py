"""What the user states."""
