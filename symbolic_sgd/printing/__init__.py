"""Formulas as LaTeX, MathML and in SymPy's printers."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
