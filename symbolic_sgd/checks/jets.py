"""The 2-jet of Φ at a point of Γ, for every loss at once: the flow solved to second order with letters for its derivatives.

In coordinates that diagonalise ∇²L, the first D − M of them tangent, a loss is known at a point of Γ to the order that the
theorem needs by λ_1 … λ_M > 0 and the third derivatives T_ijk, where T_ijk = 0 for three tangent directions (L is constant on Γ
to the third order there). Identities that hold for these letters hold for every loss.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement, product

import sympy as sp


@dataclass(frozen=True)
class Jet:
    """A loss at a point of Γ.

    Args:
        dimension: D.
        codimension: M.
    """

    dimension: int
    codimension: int

    @property
    def tangent(self) -> range:
        """Indices of the tangent directions."""
        return range(self.dimension - self.codimension)

    @cached_property
    def curvatures(self) -> tuple[sp.Expr, ...]:
        """The eigenvalues of ∇²L: 0 in tangent directions, λ > 0 in normal ones."""
        normal = sp.symbols(f"lambda1:{self.codimension + 1}", positive=True)
        return (*(sp.S.Zero for _ in self.tangent), *normal)

    @cached_property
    def third_derivatives(self) -> dict[tuple[int, int, int], sp.Expr]:
        """T_ijk for i ≤ j ≤ k."""
        return {
            place: sp.S.Zero if place[-1] in self.tangent else sp.Symbol("T" + "".join(str(i + 1) for i in place))
            for place in combinations_with_replacement(range(self.dimension), 3)
        }

    @property
    def hessian(self) -> sp.Matrix:
        return sp.diag(*self.curvatures)

    @property
    def pinv(self) -> sp.Matrix:
        return sp.diag(*(1 / a if a else sp.S.Zero for a in self.curvatures))

    @property
    def projection(self) -> sp.Matrix:
        return sp.diag(*(sp.S.Zero if a else sp.S.One for a in self.curvatures))

    def third(self, b: sp.Matrix) -> sp.Matrix:
        """T[B]_k = Σ_ij T_ijk B_ij."""
        d, t = range(self.dimension), self.third_derivatives
        return sp.Matrix([sum((t[_sorted(i, j, k)] * b[i, j] for i, j in product(d, d)), sp.S.Zero) for k in d])

    def second_derivative(self, b: sp.Matrix) -> sp.Matrix:
        """∂²Φ[B] from the flow itself, whatever the theorem says.

        x = εx₁ + ε²x₂ + …, x₁ = e^{−Ht}v, ẋ₂ = −Hx₂ − ½T[x₁x₁ᵀ], and ∂²Φ[vvᵀ] = 2x₂(∞): entry k is
        −Σ_ij T_ijk v_i v_j lim ∫₀ᵗ e^{−λ_k(t−s) − (λ_i+λ_j)s} ds.
        """
        d = range(self.dimension)
        entries = [
            sum(
                (
                    -self.third_derivatives[_sorted(i, j, k)] * self._weight(k, i, j) * (b[i, j] + b[j, i]) / 2
                    for i, j in product(d, d)
                    if self.third_derivatives[_sorted(i, j, k)]
                ),
                sp.S.Zero,
            )
            for k in d
        ]
        return sp.Matrix(entries)

    def _weight(self, k: int, i: int, j: int) -> sp.Expr:
        """lim_{t→∞} ∫₀ᵗ e^{−a(t−s) − bs} ds: 1/b for a = 0 < b, 1/a for b = 0 < a, 0 where both decay."""
        a, b = self.curvatures[k], self.curvatures[i] + self.curvatures[j]
        return 1 / b if not a else 1 / a if not b else sp.S.Zero

    def volume_gradient(self) -> sp.Matrix:
        """∇ln|∇²L|₊ at the point: ln of the product of the nonzero eigenvalues, differentiated along ∇²L + Σ_k x_k T_k·· to first
        order, where an eigenvalue λ_i of the diagonal ∇²L changes by T_iik."""
        d, t = range(self.dimension), self.third_derivatives
        x = sp.Symbol("x")
        product = lambda k: sp.Mul(*(a + x * t[_sorted(i, i, k)] for i, a in enumerate(self.curvatures) if a))  # noqa: E731
        return sp.Matrix([sp.diff(sp.log(product(k)), x).subs(x, 0) for k in d])

    def covariance(self) -> sp.Matrix:
        """A symmetric matrix of letters."""
        return sp.Matrix(self.dimension, self.dimension, lambda i, j: sp.Symbol(f"S{min(i, j) + 1}{max(i, j) + 1}"))

    def lyapunov(self, right: sp.Matrix) -> sp.Matrix:
        """S with HS + SH = the normal block of `right`."""
        size, a = self.dimension, self.curvatures
        return sp.Matrix(size, size, lambda i, j: right[i, j] / (a[i] + a[j]) if a[i] and a[j] else sp.S.Zero)


def _sorted(i: int, j: int, k: int) -> tuple[int, int, int]:
    first, second, third = sorted((i, j, k))
    return first, second, third


def vanishes(matrix: sp.Matrix) -> bool:
    """Whether every entry is zero as a rational function: its numerator, expanded, is 0."""
    return len(matrix) > 0 and all(sp.expand(sp.fraction(sp.together(entry))[0]) == 0 for entry in matrix)


Residual = Callable[[Jet], sp.Matrix]
