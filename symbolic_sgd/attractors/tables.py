"""Fixed points in the ambient space as tables, for notebooks."""

from html import escape
from typing import TYPE_CHECKING

import sympy as sp

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.printing.blocks import Math
from symbolic_sgd.printing.displays import expression_latex
from symbolic_sgd.printing.tables import Table, html_table

if TYPE_CHECKING:
    from symbolic_sgd.attractors.attractors import Attractor, Attractors
    from symbolic_sgd.attractors.optimality import Optimality

HEADER = ("point", Math("R", "R"), "eigenvalues", "stability")


def point_html(point: "Attractor") -> str:
    """One fixed point."""
    return html_table(Table("Fixed point", HEADER, (_row(point),)))


def points_html(found: "Attractors") -> str:
    """All that were found, and what is known beyond them."""
    table = html_table(Table("Fixed points", HEADER, tuple(map(_row, found.points)))) if found.points else ""
    return f"{table}\n<p>{escape(found.reason)}.</p>"


def optimality_html(found: "Optimality") -> str:
    """The verdict on a point."""
    place = ", ".join(f"{expression_latex(s)} = {_shown(a)}" for s, a in found.point.items())
    gap = "" if found.gap is None else Math(_shown(found.gap))
    row = (Math(place), Math(_shown(found.regularizer)), gap, found.verdict)
    header = ("point", Math("R", "R"), Math(r"R - \min R \le", "R − min R ≤"), "verdict")
    return f"{html_table(Table('Optimality', header, (row,)))}\n<p>{escape(found.reason)}.</p>"


def _row(point: "Attractor") -> tuple[Math | str, ...]:
    place = ", ".join(f"{expression_latex(s)} = {_shown(a)}" for s, a in point.point.items())
    height = "" if point.regularizer is None else Math(_shown(point.regularizer))
    values = ", ".join(_shown(v) for v in point.eigenvalues)
    orbit = f", orbit of dimension {point.orbit}" if point.orbit else ""
    return Math(place), height, Math(values), f"{point.stability}{orbit}"


def _shown(value: Expression) -> str:
    short = not value.has(sp.CRootOf, sp.Float) and operations(value) <= 12
    return expression_latex(value if short else sp.N(value, 6))
