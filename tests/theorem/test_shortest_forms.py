"""Functions of no manifold in their shortest rational forms: the relations between sines, roots, and signs are used."""

import pytest
import sympy as sp
from derived import gallery_sde

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.rational import fractions
from symbolic_sgd.theorem.rational_forms import shortest_forms

t, u, v = sp.symbols("t u v", real=True)
root = sp.sqrt(1 - u**2)

FORMS = {
    "a polynomial": ((u - 1) * (u**2 + u + 1), u**3 - 1),
    "a product": (u**3 + 3 * u**2 + 3 * u + 1, (u + 1) ** 3),
    "a proper fraction": ((u * v + u + 1) / (v + 1), u + 1 / (v + 1)),
    "a factor of all terms": ((u - u**5) / (2 + 2 * u**4), u * (1 - u**4) / (1 + u**4) / 2),
    "a minus sign": (-2 / (u + v - 4), 2 / (4 - u - v)),
    "a difference of squares": (u * (v - u) * (v + u), u * (v**2 - u**2)),
    "sines": (sp.sin(t) * sp.cos(t) / (1 - sp.cos(t) ** 2), sp.cos(t) / sp.sin(t)),
    "zero": (sp.sin(u * v) ** 2 + sp.cos(u * v) ** 2 - sp.exp(u) * sp.exp(-u), 0),
    "a root": (root / (root**3 + u**2 * root), 1),
    "a denominator": ((u**2 - 2) / (u - sp.sqrt(2)), u + sp.sqrt(2)),
    "an argument": (sp.exp(-u * (v - u) + u * v - u**2) * sp.tanh(u), sp.tanh(u)),
    "the inverse": (sp.exp(2 * sp.log(u**2 + 1, evaluate=False)), (u**2 + 1) ** 2),
    "sizes": (sp.Abs(u) * sp.sign(u) + u * sp.sign(u) ** 2 - u, u),
    "a divisor of zero": (1 / (1 + sp.sign(u)), 1 / (sp.sign(u) + 1)),
}


@pytest.mark.parametrize("library", ["python-flint", "SymPy"])
@pytest.mark.parametrize("name", FORMS)
def test_shortest_forms(name, library, monkeypatch):
    if library == "python-flint":
        pytest.importorskip("flint")
    else:
        monkeypatch.setattr(fractions, "flint", None)
    written, expected = FORMS[name]
    (found,) = shortest_forms([from_sympy(written, Graph())])
    assert reading_cost(found) <= reading_cost(sp.S(expected))
    values = {t: 0.3, u: 0.6, v: -0.4}
    assert float(found.subs(values)) == pytest.approx(float(sp.S(expected).subs(values)), rel=1e-12)


def test_two_roots_in_thousands_of_operations():
    """The drift of a factorisation in x₂₂ has √(3 − x²) and √(5/3 − 5x²/9), and holds 3·10⁷ operations when written out."""
    chart = gallery_sde("symmetric_factorisation").in_chart()
    (x,) = chart.coordinates
    assert chart.drift == sp.Matrix([-x / 10])


def test_what_vanishes_by_a_relation_is_no_divisor():
    graph = Graph()
    s, c = (graph.call(name, graph.symbol(t)) for name in ("sin", "cos"))
    with pytest.raises(ZeroDivisionError):
        shortest_forms([1 / (s * s + c * c - 1)])
