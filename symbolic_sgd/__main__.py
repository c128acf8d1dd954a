"""`python -m symbolic_sgd` is the command `symbolic-sgd`."""

from symbolic_sgd.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
