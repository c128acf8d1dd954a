"""Where a limit without noise ends: its fixed points on Γ, their stability, and certificates of global minima."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
