"""All real solutions: none is missed, none is wrong, and what is infinite is said."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BudgetSpent
from symbolic_sgd.rational.polynomial_systems import in_small_field, real_solutions

x, y, z = sp.symbols("x y z")


def solutions(equations, unknowns):
    found = real_solutions(equations, unknowns, Effort())
    assert not found.continua
    for point in found.points:
        for e in equations:
            assert abs(sp.N(e.xreplace({s: sp.N(v, 60) for s, v in point.items()}), 50)) < 1e-45
    return [tuple(point.values()) for point in found.points]


def test_roots_that_belong_together():
    """x and y are roots of the same cubic: only one pair of nine is real and solves both."""
    assert solutions([x**3 - 2, y**3 - 2], [x, y]) == [(sp.root(2, 3), sp.root(2, 3))]
    assert solutions([x**2 - 2, x * y - 1], [x, y]) == [(-sp.sqrt(2), -sp.sqrt(2) / 2), (sp.sqrt(2), sp.sqrt(2) / 2)]


def test_no_coordinate_tells_all_solutions_apart():
    assert solutions([x**2 - 1, y**2 - 1], [x, y]) == [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    assert len(solutions([x**2 - 2, y**2 - 3, z**2 - 5], [x, y, z])) == 8


def test_multiple_roots_and_roots_that_are_not_real():
    assert solutions([(x - 1) ** 3, (y**2 + 1) * (y - 2) ** 2], [x, y]) == [(1, 2)]
    assert solutions([x**2 + y**2], [x, y]) == [(0, 0)]
    assert solutions([x**2 + y**2 + 1], [x, y]) == []
    assert solutions([x**2 * y**2 + x**2 + z**2, y - 3], [x, y, z]) == [(0, 3, 0)]
    assert solutions([sp.Integer(1)], [x]) == []


def test_roots_without_radicals():
    found = solutions([x**5 - x - 1, y - x**2], [x, y])
    assert len(found) == 1 and found[0][0].has(sp.CRootOf)


@pytest.mark.parametrize("seed", range(6))
def test_intersections_of_random_conics(seed):
    """Against the eigenvalues of a resultant in float64."""
    rng = np.random.default_rng(seed)
    monomials = [x**2, x * y, y**2, x, y, sp.Integer(1)]
    f, g = (sum(int(c) * m for c, m in zip(rng.integers(-4, 5, 6), monomials, strict=True)) for _ in range(2))
    resultant = sp.Poly(sp.resultant(f, g, y), x)
    found = solutions([f, g], [x, y])
    assert len({p[0] for p in found}) == sum(
        any(abs(sp.N(f.xreplace({x: r, y: t}), 30)) < 1e-12 for t in common(f, g, r))
        for r in set(resultant.real_roots())
    )


def common(f, g, root):
    """The real y with f = g = 0 at an x, in numbers."""
    at = sp.N(root, 40)
    candidates = sp.Poly(f.xreplace({x: at}), y).nroots(n=30)
    return [t for t in candidates if abs(sp.im(t)) < 1e-12 and abs(sp.N(g.xreplace({x: at, y: t}), 30)) < 1e-10]


def test_what_is_infinite_is_returned_as_equations():
    found = real_solutions([x * (x**2 + y**2 - 1), x * y], [x, y], Effort())
    assert found.continua == ((x,),)
    # (0, 0) solves the other part as well, and is on the line.
    assert {tuple(p.values()) for p in found.points} == {(-1, 0), (0, 0), (1, 0)}


def test_time_is_kept():
    equations = [
        sum((i * j + 1) % 7 * s**i * t**j for i in range(4) for j in range(4)) - 1 for s, t in ((x, y), (y, z), (z, x))
    ]
    with pytest.raises(BudgetSpent):
        real_solutions(equations, [x, y, z], Effort(0.3))


def test_small_fields():
    assert in_small_field([sp.sqrt(2), sp.sqrt(8), sp.sqrt(2) / 3], 2)
    assert not in_small_field([sp.sqrt(2), sp.sqrt(3)], 2)
    assert not in_small_field([sp.CRootOf(x**5 - x - 1, 0)], 100) and not in_small_field([sp.pi], 100)
