"""R = xᵀQx with Q > 0 and one F = xᵀGx: R̂ by the extreme eigenvalues of Q⁻¹G."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.function_space.closed_form import Attainment, ClosedForm, NoPointHere
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.matrix_norms import matrix_of_numbers

LARGEST = 8
"""Parameters."""


def quadratic_form(expression: Any, parameters: tuple[sp.Symbol, ...]) -> SymbolicMatrix | None:
    """Q with expression = xᵀQx, Q symmetric and rational."""
    if not sp.sympify(expression).is_polynomial(*parameters):
        return None
    polynomial = sp.Poly(expression, *parameters)
    if any(sum(m) != 2 for m in polynomial.monoms()) or not all(c.is_Rational for c in polynomial.coeffs()):
        return None
    return sp.hessian(polynomial.as_expr(), parameters) / 2


def by_eigenvalues(fibres: Fibres) -> ClosedForm | None:
    """|β| over the largest eigenvalue of the sign of β."""
    if len(fibres.predictor) != 1 or len(fibres.parameters) > LARGEST or fibres.signs:
        return None
    q, g = (quadratic_form(e, fibres.parameters) for e in (fibres.total, fibres.predictor[0]))
    if q is None or g is None or not q.is_positive_definite:
        return None
    factor = q.cholesky().inv()
    turned = sp.ImmutableDenseMatrix(sp.simplify(factor * g * factor.T))
    roots: Any = (
        sorted(turned.charpoly().all_roots(), key=lambda r: sp.N(r, 60))
        if turned.charpoly().domain.is_QQ or turned.charpoly().domain.is_ZZ
        else None
    )
    if roots is None or any(r.has(sp.CRootOf) for r in (roots[0], roots[-1])):
        return None
    (b,) = fibres.symbols
    low, high = sp.radsimp(roots[0]), sp.radsimp(roots[-1])
    # 0 is on the side on which there are β.
    above = (b / high, sp.Ge(b, 0)) if high > 0 else (sp.oo, sp.Gt(b, 0))
    pieces = [above, (b / low if low < 0 else sp.oo, sp.true)]
    expression = sp.Abs(b) / high if high == -low else sp.Piecewise(*pieces)
    bound = (f"xᵀGx ≤ {high} xᵀQx and xᵀGx ≥ {low} xᵀQx for F = xᵀGx and R = xᵀQx: the extreme eigenvalues of Q⁻¹G",)
    return ClosedForm(
        fibres.outside(expression),
        "eigenvalues",
        bound,
        _Eigenvector(fibres, turned, sp.ImmutableDenseMatrix(factor)),
        Attainment("attained", "attained on the eigenvectors of Q⁻¹G of that eigenvalue"),
    )


@dataclass(frozen=True)
class _Eigenvector:
    fibres: Fibres
    turned: sp.ImmutableDenseMatrix
    factor: sp.ImmutableDenseMatrix

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        value = beta[self.fibres.symbols[0]]
        n = self.turned.rows
        matrix = matrix_of_numbers(self.turned)
        eigenvalues, vectors = mp.eigsy(matrix)
        k = n - 1 if value > 0 else 0
        if value == 0:
            return dict.fromkeys(self.fibres.parameters, mp.mpf(0))
        if value / eigenvalues[k] < 0:
            raise NoPointHere
        size = mp.sqrt(value / eigenvalues[k])
        point = matrix_of_numbers(self.factor.T) * vectors[:, k] * size
        return {p: point[i] for i, p in enumerate(self.fibres.parameters)}
