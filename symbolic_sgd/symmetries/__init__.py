"""Linear symmetries of the functions that a loss is composed of."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
