"""Sums of products of tensor entries: one calculus for models with matrices and networks of every size."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
