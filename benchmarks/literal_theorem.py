"""What a user does without the package: the theorem in rational matrices, by SymPy's own linear algebra.

On Γ = {f = 0}, with J = ∂f, L = (w/2)Σf_i², G = JJᵀ and F_m = ∇²f_m:

    H† = Jᵀ G⁻² J / w,   P = I − H H†,   Q = I − P,
    S = Jᵀ Z J,   where w(G Z + Z G) = G⁻¹ J Σ Jᵀ G⁻¹,
    T[B] = w Σ_m (tr(F_m B) ∇f_m + F_m (B + Bᵀ) ∇f_m)      (residuals of degree two, on Γ),
    drift = −½ H† T[PΣP] − P T[H† QΣP] − ½ P T[S].

The peers are given what the package has to find out: M, independent equations of Γ, and that ∇²L = w JᵀJ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import sympy as sp
from models import Model
from sympy.polys.matrices import DomainMatrix


@dataclass(frozen=True)
class MatrixAlgebra:
    """How one kind of matrix, with + − *, is made, solved with, and read.

    Args:
        of: a SymPy matrix as one.
        stack: a list of rows of entries as one.
        rows: its entries, row by row.
        solve: (A, B) ↦ A⁻¹B.
        expressions: it as a SymPy matrix.
    """

    of: Callable[[sp.Matrix], Any]
    stack: Callable[[list[list[Any]]], Any]
    rows: Callable[[Any], list[list[Any]]]
    solve: Callable[[Any, Any], Any]
    expressions: Callable[[Any], sp.Matrix]


def literal_drift(model: Model, algebra: MatrixAlgebra) -> sp.Matrix:
    """½∂²Φ[Σ] on Γ, D×1, as stated at the head of this file."""
    j, w, half = algebra.of(model.jacobian()), model.weight, algebra.of(sp.Matrix([[sp.Rational(1, 2)]]))
    identity, noise, hessian = (
        algebra.of(a) for a in (sp.eye(len(model.parameters)), model.covariance(), _hessian(model))
    )
    gram, across = j * j.transpose(), j.transpose()
    dual = algebra.solve(gram, j)
    pinv = dual.transpose() * dual * algebra.of(sp.eye(len(model.parameters)) / w)
    tangent = identity - hessian * pinv
    normal = identity - tangent
    s = across * lyapunov_solution(gram, dual * noise * dual.transpose(), w, algebra) * j
    t = lambda b: third_derivative(model, b, algebra)  # noqa: E731
    return algebra.expressions(
        -(pinv * t(tangent * noise * tangent)) * half
        - tangent * t(pinv * normal * noise * tangent)
        - tangent * t(s) * half
    )


def _hessian(model: Model) -> sp.Matrix:
    return model.weight * model.jacobian().T * model.jacobian()


def third_derivative(model: Model, b: Any, algebra: MatrixAlgebra) -> Any:
    total = algebra.of(sp.zeros(len(model.parameters), 1))
    for f in model.residuals:
        slope = algebra.of(model.weight * sp.Matrix([f.diff(x) for x in model.parameters]))
        curvature = algebra.of(sp.hessian(f, model.parameters))
        product = algebra.rows(curvature * b)
        trace = algebra.stack([[sum((product[i][i] for i in range(1, len(product))), product[0][0])]])
        total = total + slope * trace + curvature * (b + b.transpose()) * slope
    return total


def lyapunov_coefficients(size: int) -> list[list[list[tuple[int, int]]]]:
    """Of G Z + Z G at the entries (a, b), a ≤ b, of a symmetric Z: for each pair, the entries of G that are summed."""
    pairs = list(combinations_with_replacement(range(size), 2))

    def terms(a: int, b: int, p: int, q: int) -> list[tuple[int, int]]:
        orders = dict.fromkeys([(p, q), (q, p)])
        return [(a, r) for r, s in orders if s == b] + [(s, b) for r, s in orders if r == a]

    return [[terms(a, b, p, q) for p, q in pairs] for a, b in pairs]


def unpacked(size: int) -> list[list[int]]:
    """The place of each entry of a symmetric matrix among the entries (a, b), a ≤ b."""
    place = {pair: k for k, pair in enumerate(combinations_with_replacement(range(size), 2))}
    return [[place[min(a, b), max(a, b)] for b in range(size)] for a in range(size)]


def lyapunov_solution(gram: Any, covariance: Any, weight: sp.Rational, algebra: MatrixAlgebra) -> Any:
    """The symmetric Z with w(G Z + Z G) = Y, by the Kronecker system on its packed entries."""
    g, y = algebra.rows(gram), algebra.rows(covariance)
    zero = g[0][0] - g[0][0]
    system = [[sum((g[i][k] for i, k in terms), zero) for terms in row] for row in lyapunov_coefficients(len(g))]
    right = algebra.stack([[y[a][b]] for a, b in combinations_with_replacement(range(len(g)), 2)])
    z = algebra.rows(algebra.solve(algebra.stack(system), right * algebra.of(sp.Matrix([[1 / weight]]))))
    return algebra.stack([[z[k][0] for k in row] for row in unpacked(len(g))])


def plain_sympy() -> MatrixAlgebra:
    """`Matrix`, nothing simplified; all systems are positive definite, so that no pivot has to be searched."""
    is_zero = lambda entry: entry == 0  # noqa: E731
    return MatrixAlgebra(
        of=lambda a: a,
        stack=sp.Matrix,
        rows=lambda a: a.tolist(),
        solve=lambda a, b: a.LUsolve(b, iszerofunc=is_zero),
        expressions=lambda a: a,
    )


def domain_matrices(parameters: Sequence[sp.Symbol]) -> MatrixAlgebra:
    """`DomainMatrix` over the fraction field: cancelled after every operation."""
    field = sp.QQ.frac_field(*parameters)

    def stack(rows: list[list[Any]]) -> DomainMatrix:
        return DomainMatrix(rows, (len(rows), len(rows[0])), field)

    return MatrixAlgebra(
        of=lambda a: DomainMatrix.from_Matrix(a).convert_to(field),
        stack=stack,
        rows=lambda a: a.to_dense().rep.to_list(),
        solve=lambda a, b: a.to_dense().lu_solve(b.to_dense()),
        expressions=lambda a: a.to_Matrix(),
    )
