"""Φ, the limit of the gradient flow: first integrals, closed forms, and numbers."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
