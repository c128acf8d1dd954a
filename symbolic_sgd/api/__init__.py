"""What users hold."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
