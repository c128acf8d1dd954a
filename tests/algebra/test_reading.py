"""What is easier to read costs less: each row holds an expression that a person would rather write than the other."""

import pytest
import sympy as sp

from symbolic_sgd.algebra.reading import over_one_denominator, positive_first, reading_cost, with_common_factors

u, v, w, x, y, z = sp.symbols("u v w x y z")
square = u**2 + v**2

RATHER = {
    "a difference of squares": (u * (v**2 - u**2), u * (v - u) * (u + v)),
    "an entry of a projection on the circle": (x**2, (1 - y) * (1 + y)),
    "a square of what recurs": (1 / square**2, 1 / (u**4 + v**4 + 2)),
    "one fraction": (u * (3 * v**2 - u**2) / (2 * square**2), 2 * u * v**2 / square**2 - u / (2 * square)),
    "a common factor": (u * (1 - u**4) / (1 + u**4), (u - u**5) / (1 + u**4)),
    "a common number": (u / (1 + u**4) / 2, u / (2 + 2 * u**4)),
    "no minus sign": (2 / (4 - x - y), -2 / (x + y - 4)),
    "a complete square": (7 * u**2 / 2 + (v + 2 * w) ** 2 / 4, 7 * u**2 / 2 + v**2 / 4 + v * w + w**2),
    "a cube": ((u + 1) ** 3, u**3 + 3 * u**2 + 3 * u + 1),
    "a sum of few terms": (u**3 - 1, (u - 1) * (u**2 + u + 1)),
    "u alone": (u, u + v),
    "a root": (sp.sqrt(1 - x**2), sp.sqrt(1 - x) * sp.sqrt(1 + x)),
    "a logarithm": (sp.log(square) / 4, sp.log(square**2) / 8 + sp.log(u)),
}


@pytest.mark.parametrize("name", RATHER)
def test_what_a_person_would_write_costs_less(name):
    rather, than = RATHER[name]
    assert reading_cost(rather) < reading_cost(than)


def test_the_cost_is_what_is_seen():
    assert [reading_cost(e) for e in (sp.S.Zero, u, -u, u**2, u / 2, sp.Rational(-3, 25))] == [0, 1, 2, 2, 3, 5]


def test_a_positive_term_leads():
    assert positive_first([-(x**2), -(y**2), sp.S.One]) == [1, -(x**2), -(y**2)]
    assert positive_first([-x, y, -z, w]) == [y, w, -x, -z]
    assert positive_first([x, -y, z]) == [x, -y, z]
    assert positive_first([-x, -y]) == [-x, -y]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (square / 4, "(u**2 + v**2)/4"),
        (7 * u**2 / 2 + (v + 2 * w) ** 2 / 4, "(14*u**2 + (v + 2*w)**2)/4"),
        (-x / 2 - y - 3 * z / 2, "-(x + 2*y + 3*z)/2"),
        (-x - y, "-x - y"),
        (u / 2 - v / square, "u/2 - v/(u**2 + v**2)"),
        (x / 3, "x/3"),
        (sp.sqrt(2) * (1 - x / 2 - y) / 2, "sqrt(2)*(-x - 2*y + 2)/4"),
        (-(u + v / 2) / x, "-(2*u + v)/(2*x)"),
        (x * (u / 2 + v / 2) ** -2, "4*x/(u + v)**2"),
        (2 * (y - z) * (z - y), "-2*(-y + z)**2"),
    ],
)
def test_a_number_stands_before_the_bracket_where_that_is_less(expression, text):
    written = with_common_factors(expression)
    assert str(written) == text
    assert sp.cancel(written - expression) == 0


def test_sums_and_products_of_matrices_stay():
    symbolic = sp.MatMul(sp.ImmutableMatrix([u, v]), sp.MatrixSymbol("dt", 1, 1)) + sp.MatrixSymbol("dY", 2, 1)
    assert [with_common_factors(e) for e in (symbolic, *symbolic.args)] == [symbolic, *symbolic.args]


def test_a_matrix_entry_by_entry():
    assert str(with_common_factors(sp.ImmutableMatrix([[square / 2, u]]))) == "Matrix([[(u**2 + v**2)/2, u]])"


@pytest.mark.parametrize(
    ("entries", "factor", "numerators"),
    [
        ([u**2 / square, -1 / square, 0], 1 / square, [u**2, -1, 0]),
        ([u / (2 * square**2), (v - u) / square**2], 1 / square**2 / 2, [u, 2 * v - 2 * u]),
        ([sp.sqrt(2) * u / 2, sp.sqrt(2) * (v / 2 + w / 2) / 2], sp.sqrt(2) / 4, [2 * u, v + w]),
        ([v / (u**2 * square), 1 / (u * square)], 1 / (u**2 * square), [v, u]),
        ([sp.sqrt(2) * u, sp.sqrt(2) * v / 2], sp.sqrt(2) / 2, [2 * u, v]),
        ([sp.S.Half, 1], sp.S.Half, [1, 2]),
        ([4 * u**2, 4 * u * v, 6 * v], sp.S(2), [2 * u**2, 2 * u * v, 3 * v]),
        ([-u / 10, -v / 5], sp.Rational(-1, 10), [u, 2 * v]),
        ([sp.exp(-u) / v, 1 / v], 1 / v, [sp.exp(-u), 1]),
        ([(u / 2 + v) / square, w / square], 1 / square / 2, [u + 2 * v, 2 * w]),
    ],
    ids=str,
)
def test_entries_with_one_denominator_are_over_it(entries, factor, numerators):
    found, matrix = over_one_denominator(sp.ImmutableMatrix(entries))
    assert found == factor
    assert [sp.expand(entry) for entry in matrix] == [sp.expand(entry) for entry in numerators]


@pytest.mark.parametrize(
    "entries",
    [
        [1, 0],
        [u, 1 / u],
        [u / 2, 3],
        [1 / square, 0],
        [u / square - v, 1 / square],
        [u / 2 + v / w, u / 2],
        [0.5 * u, u / 2],
    ],
    ids=str,
)
def test_other_matrices_stay(entries):
    matrix = sp.ImmutableMatrix(entries)
    assert over_one_denominator(matrix) == (1, matrix)
