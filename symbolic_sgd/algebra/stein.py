"""The Stein equation X = BXBᵀ + V for any B = I − E with eigenvalues inside the unit circle, without a pivot that can vanish.

With p(a) = Π(a − a_i) for the eigenvalues a_i of E, and p*(a) = Π(a_i + (1 − a_i)a), the matrix S of

    [p*(a)p*(b) − p(a)p(b)] / (a + b − ab) = Σ_kl S_kl aᵏbˡ

is positive definite exactly where all |1 − a_i| < 1, and X = Σ_kl (S⁻¹)_kl h_k(E) V h_l(E)ᵀ with Horner's polynomials h_k of p,
Σ_k aᵏ h_k(b) = (p(b) − p(a))/(b − a): these h_k(E) are the matrices of Faddeev's and LeVerrier's recursion for p.
(The Schur–Cohn criterion, in the letter a = 1 − μ in which nothing cancels where the eigenvalues μ are close to 1.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import comb

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, PositiveDefinite, dot


@dataclass(frozen=True)
class SteinOperator:
    """X ↦ X − (I − E)X(I − E)ᵀ.

    Args:
        e: E, r×r.
        written: how intermediate matrices are written; as they are computed by default.
    """

    e: Matrix
    written: Callable[[Matrix], Matrix] = lambda matrix: matrix

    @cached_property
    def horner(self) -> list[Matrix]:
        """h_{r−1}(E) = I, …, h_0(E), with p(a) = Σ_k c_k a^{r−k}."""
        return self._recursion[0]

    @cached_property
    def coefficients(self) -> list[Node]:
        """c_0 = 1, c_1, …, c_r."""
        return self._recursion[1]

    @cached_property
    def _recursion(self) -> tuple[list[Matrix], list[Node]]:
        size, graph = self.e.shape[0], self.e[0, 0].graph
        identity = Matrix.identity(graph, size)
        matrices, found = [identity], [graph.constant(1)]
        for k in range(1, size + 1):
            product = self.written(self.e @ matrices[-1])
            found.append(self.written(Matrix.column([Fraction(-1, k) * product.trace]))[0, 0])
            if k < size:
                matrices.append(self.written(product + identity.scaled(found[-1])))
        return matrices, found

    @cached_property
    def inverse(self) -> Matrix:
        """E⁻¹ = −h_0(E)/c_r."""
        return self.written(self.horner[-1].scaled(-1 / self.coefficients[-1]))

    @cached_property
    def criterion(self) -> Matrix:
        """S, positive definite exactly where the eigenvalues of I − E are inside the unit circle."""
        return self.written(criterion(self.coefficients))

    def solution(self, right: Matrix) -> Matrix:
        """X for a symmetric right side V."""
        size = self.e.shape[0]
        inverse = PositiveDefinite.factor(self.criterion).solve(Matrix.identity(self.e[0, 0].graph, size))
        inverse = self.written(inverse)
        h = self.horner[::-1]
        turned = [matrix @ right for matrix in h]
        total = right.map(lambda entry: 0 * entry)
        for m, matrix in enumerate(h):
            weighted = turned[0].scaled(inverse[0, m])
            for k in range(1, size):
                weighted = weighted + turned[k].scaled(inverse[k, m])
            total = total + weighted @ matrix.T
        return self.written(total)


def criterion(coefficients: Sequence[Node]) -> Matrix:
    """S of the polynomial with the coefficients c_0 = 1, c_1, …, c_r.

    For r = 1 it is the 1 − μ² of |μ| < 1, in a = 1 − μ:

    >>> import sympy as sp
    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.program import Program
    >>> graph = Graph(); a = graph.symbol(sp.Symbol("a"))
    >>> sp.expand(Program.of({"s": criterion([graph.constant(1), -a])}).expand("s")[0, 0])
    -a**2 + 2*a
    """
    size, graph = len(coefficients) - 1, coefficients[0].graph
    plain = list(reversed(coefficients))
    mirrored = [graph.constant(0)] * (size + 1)
    for k, c in enumerate(coefficients):  # e_k (1 − a)ᵏ a^{r−k}, e_k = (−1)ᵏ c_k
        for j in range(k + 1):
            mirrored[size - k + j] = mirrored[size - k + j] + (-1) ** (k + j) * comb(k, j) * c
    entry = lambda i, j: dot([mirrored[i], -plain[i]], [mirrored[j], plain[j]])  # noqa: E731
    rows: list[list[Node]] = [[graph.constant(0)] * size for _ in range(size)]
    # q_{i, j−1} = n_ij − q_{i−1, j} + q_{i−1, j−1}; the matrix is symmetric.
    for i in range(size):
        for j in range(size):
            value = entry(i, j + 1)
            if i:
                value = value + rows[i - 1][j] - (rows[i - 1][j + 1] if j + 1 < size else 0)
            rows[i][j] = rows[j][i] if j < i else value
    return Matrix.of(rows)
