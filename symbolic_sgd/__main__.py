"""`python -m symbolic_sgd` is the command `symbolic-sgd`."""

from symbolic_sgd.command.main import main

if __name__ == "__main__":
    raise SystemExit(main())
