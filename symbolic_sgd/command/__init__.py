"""The command `symbolic-sgd`."""
