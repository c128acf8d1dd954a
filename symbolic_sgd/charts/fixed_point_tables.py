"""Fixed points as tables, for notebooks."""

from html import escape
from typing import TYPE_CHECKING, Any

import sympy as sp

from symbolic_sgd.printing.blocks import Math
from symbolic_sgd.printing.displays import expression_latex
from symbolic_sgd.printing.tables import Table, html_table

if TYPE_CHECKING:
    from symbolic_sgd.charts.fixed_points import FixedPoints
    from symbolic_sgd.charts.zeros_in_chart import FixedPoint

HEADER = (Math("x", "x"), "coordinates", "eigenvalues", "stability")


def point_html(point: "FixedPoint") -> str:
    """One fixed point."""
    return html_table(Table("Fixed point", HEADER, (_row(point),)))


def points_html(found: "FixedPoints") -> str:
    """Those in the chart, those elsewhere on Γ, and what is known beyond them."""
    groups = {
        "Fixed points in this chart": found.points,
        "Elsewhere on Γ": found.elsewhere,
        "Not isolated": found.continua,
    }
    tables = [html_table(Table(title, HEADER, tuple(map(_row, points)))) for title, points in groups.items() if points]
    seen = (
        f" Those elsewhere are seen in {' or '.join(f'<code>{escape(call)}</code>' for call in found.other_charts)}."
        if found.other_charts
        else ""
    )
    return "\n".join([*tables, f"<p>{escape(found.reason)}.{seen}</p>"])


def _row(point: "FixedPoint") -> tuple[Math | str, ...]:
    names = ", ".join(map(expression_latex, point.over))
    return (
        Math(f"({_listed(point.ambient, exact=point.exact)})"),
        Math(f"{names} = {_listed(point.coordinates, exact=point.exact)}"),
        Math(_listed(point.eigenvalues, exact=False)),
        point.stability,
    )


def _listed(values: tuple[Any, ...], *, exact: bool) -> str:
    """As they are, or numbers to six digits."""
    expressions = (sp.sympify(value) for value in values)
    return ", ".join(expression_latex(e if exact or e.free_symbols else sp.N(e, 6)) for e in expressions)
