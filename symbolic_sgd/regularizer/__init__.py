"""The function R that the regularization descends, or the proof that there is none."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
