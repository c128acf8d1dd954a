"""A factor of a covariance matrix that is stated as such."""

from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput


def covariance_factor(covariance: Any) -> Any:
    """σ with σσᵀ = Σ, one column for each pivot of Σ = Σ_k l_k l_kᵀ/p_k.

    Args:
        covariance: Σ, a symmetric D×D matrix of expressions.

    Raises:
        BadInput: Σ is not symmetric; it is not positive semidefinite: a pivot is negative, or 0 where its row is not; it is 0.

    >>> u, v = sp.symbols("u v")
    >>> covariance_factor(sp.Matrix([[1, u], [u, u**2 + v**2]]))
    Matrix([
    [1,       0],
    [u, sqrt(v**2)]])
    """
    if not _vanish((covariance - covariance.T).flat()):
        raise BadInput("noise: the covariance is not symmetric")
    rest, columns, left = covariance, [], list(range(covariance.rows))
    while left:
        zero = dict(zip(left, map(_vanishes, (rest[k, k] for k in left)), strict=True))
        if all(zero.values()):
            break
        k = min((k for k in left if not zero[k]), key=lambda k: sp.count_ops(rest[k, k]))
        pivot, column = rest[k, k], rest[:, k]
        if pivot.is_negative:
            raise BadInput(f"noise: the covariance is not positive semidefinite: its pivot {pivot} is negative")
        root = sp.sqrt(pivot)
        columns.append(sp.Matrix([root if i == k else entry / root for i, entry in enumerate(column)]))
        rest = (rest - column * column.T / pivot).applyfunc(sp.cancel)
        left.remove(k)
    if not _vanish([rest[i, j] for i in left for j in left]):
        raise BadInput(
            "noise: the covariance is not positive semidefinite: a diagonal entry that is left after elimination is 0, and its row is not"
        )
    if not columns:
        raise BadInput("noise: the covariance is 0; without noise nothing moves on Γ")
    return sp.ImmutableDenseMatrix(sp.Matrix.hstack(*columns))


def _vanishes(expression: Expression) -> bool:
    return zero_functions([from_sympy(expression, Graph())])[0]


def _vanish(expressions: list[Expression]) -> bool:
    return all(map(_vanishes, expressions))
