"""Formulas as LaTeX, MathML and in SymPy's printers."""
