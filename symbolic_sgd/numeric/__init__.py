"""Fast numeric callables: programs lowered to float64, back ends, and the guard of points."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
