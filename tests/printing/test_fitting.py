"""Formulas that fit their lines: whatever is too wide gets a name, and what the names stand for is what was there."""

import random

import pytest
import sympy as sp

from symbolic_sgd.printing.displays import expression_latex
from symbolic_sgd.printing.fitting import Fitted, fitted, with_common_parts
from symbolic_sgd.printing.layout import Layout, laid_out
from symbolic_sgd.printing.width import visible_length

a, b, c, d, e = LETTERS = sp.symbols("a b c d e")
WIDEST = 30


def drawn(rng: random.Random, depth: int) -> sp.Expr:
    """A random nest of sums, products, quotients and functions."""
    if not depth:
        return rng.choice(LETTERS) * rng.randint(1, 40)
    parts = [drawn(rng, depth - 1) for _ in range(rng.randint(2, 4))]
    return rng.choice([
        lambda: sp.Add(*parts),
        lambda: sp.Mul(*parts),
        lambda: parts[0] / (1 + parts[1] ** 2),
        lambda: sp.exp(parts[0]) * sp.sqrt(1 + parts[1] ** 2),
    ])()  # fmt: skip


def put_back(found: Fitted) -> list[sp.Expr]:
    """The entries without names."""
    meanings, entries = dict(found.parts), list(found.entries)
    while any(entry.free_symbols & meanings.keys() for entry in entries):
        entries = [entry.xreplace(meanings) for entry in entries]
    return entries


@pytest.mark.parametrize("seed", range(12))
def test_every_term_fits_and_nothing_else_has_changed(seed):
    rng = random.Random(seed)
    matrix = sp.ImmutableDenseMatrix([drawn(rng, 3) for _ in range(3)])
    for found in (
        fitted(matrix.flat(), WIDEST, expression_latex),
        with_common_parts(matrix, WIDEST, expression_latex),
    ):
        point = {s: sp.Rational(rng.randint(1, 9), 7) for s in LETTERS}
        for ours, theirs in zip(put_back(found), matrix.flat(), strict=True):
            assert abs(sp.N(ours.subs(point) / theirs.subs(point), 40) - 1) < 1e-30
        for shown in (*found.entries, *(value for _, value in found.parts)):
            assert max(visible_length(expression_latex(term)) for term in sp.Add.make_args(shown)) <= WIDEST + 5
        assert [name.name for name, _ in found.parts] == [f"t{k}" for k in range(1, len(found.parts) + 1)]


def test_a_long_product_is_halved():
    symbols = sp.symbols("x1:13")
    found = fitted([sp.Mul(*symbols)], WIDEST, expression_latex)
    assert found.parts and put_back(found) == [sp.Mul(*symbols)]


def test_what_fits_has_no_names():
    assert fitted([a + b / c], WIDEST, expression_latex) == Fitted((a + b / c,), ())


def test_a_name_has_one_meaning_in_a_layout():
    wide = (a + b + c + d + e) ** 2 * (a - b - c - d - e) ** 2 * sp.exp(a + b)
    with laid_out(Layout()):
        first, second = (fitted([wide + k], 20, expression_latex) for k in range(2))
    assert not {name for name, _ in first.parts} & {name for name, _ in second.parts}
    assert first.parts[0][0].name == fitted([wide], 20, expression_latex).parts[0][0].name == "t1"


def test_names_are_none_of_the_problems():
    t1 = sp.Symbol("t_1")
    found = fitted([(a + b + c + t1) ** 2 * (a - b - c - d) ** 2], 20, expression_latex)
    assert t1 not in {name for name, _ in found.parts} and "t1" not in {name.name for name, _ in found.parts}
