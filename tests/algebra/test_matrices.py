"""The linear algebra of nodes against NumPy and SciPy on random matrices."""

import numpy as np
import pytest
import scipy.linalg
import sympy as sp

from symbolic_sgd.algebra.arithmetic import FLOAT64, Valuation
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix, Orthogonal, PositiveDefinite
from symbolic_sgd.theorem.geometry import solve_lyapunov


class Lab:
    """Symbols that stand for the entries of given arrays."""

    def __init__(self):
        self.graph, self.values = Graph(), {}

    def matrix(self, array):
        return Matrix.of([self.symbol(entry) for entry in row] for row in array)

    def symbol(self, value):
        s = sp.Symbol(f"x{len(self.values)}")
        self.values[s] = value
        return self.graph.symbol(s)

    def numbers(self, matrix):
        return np.array(Valuation(FLOAT64, self.values)(matrix.entries), dtype=float).reshape(matrix.shape)


def positive_definite(rng, n):
    a = rng.standard_normal((n, n))
    return a @ a.T + 0.1 * np.eye(n)


@pytest.mark.parametrize(("d", "m"), [(2, 1), (4, 2), (5, 4), (7, 5)])
def test_orthogonal_factor(d, m):
    lab, rng = Lab(), np.random.default_rng(d * m)
    frame = rng.standard_normal((d, m))
    factor = Orthogonal.factor(lab.matrix(frame))
    columns, triangle = lab.numbers(factor.columns), lab.numbers(factor.triangle)
    np.testing.assert_allclose(columns @ triangle, frame, atol=1e-13)
    lengths = lab.numbers(Matrix.column(factor.lengths)).ravel()
    np.testing.assert_allclose(columns.T @ columns, np.diag(lengths), atol=1e-12)
    np.testing.assert_allclose(lab.numbers(factor.dual).T @ columns, np.eye(m), atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_positive_definite_solve(n):
    lab, rng = Lab(), np.random.default_rng(n)
    a, b = positive_definite(rng, n), rng.standard_normal((n, 2))
    solution = PositiveDefinite.factor(lab.matrix(a)).solve(lab.matrix(b))
    np.testing.assert_allclose(lab.numbers(solution), np.linalg.solve(a, b), rtol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_lyapunov_solution_against_scipy(n):
    lab, rng = Lab(), np.random.default_rng(10 + n)
    w, v = positive_definite(rng, n), positive_definite(rng, n)
    g = rng.uniform(0.5, 2, n)
    solution = lab.numbers(
        solve_lyapunov(lab.matrix(w), tuple(lab.symbol(entry) for entry in g), lab.matrix((v + v.T) / 2))
    )
    root = np.diag(np.sqrt(g))  # G^(1/2) Z G^(1/2) solves an ordinary Lyapunov equation
    inverse = np.linalg.inv(root)
    a = inverse @ w @ inverse
    expected = inverse @ scipy.linalg.solve_continuous_lyapunov(a, inverse @ v @ inverse) @ inverse
    np.testing.assert_allclose(solution, expected, rtol=1e-8, atol=1e-10)
