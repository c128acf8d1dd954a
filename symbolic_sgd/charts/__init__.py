"""The limiting SDE in coordinates of Γ: ranges, one dimension, stationary densities, fixed points."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
