"""Rational functions and closed forms: fractions always cancelled, equations solved, integrals, recognised numbers."""
