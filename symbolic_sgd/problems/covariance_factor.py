"""A factor of a covariance matrix that is stated as such."""

from collections.abc import Sequence
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput, BadShape, BadSymbol
from symbolic_sgd.problems.symbols import check_expression


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
        k = min((k for k in left if not zero[k]), key=lambda k: operations(rest[k, k]))
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


def definite_covariance(stated: Any, varying: Sequence[sp.Symbol], size: int) -> Any:
    """The covariance of what is drawn, as an immutable matrix of constants; None for I.

    Args:
        stated: V, size×size, or None.
        varying: symbols that it may not hold.
        size: how many sources of noise there are.

    Raises:
        BadShape: no square matrix of this size.
        BadSymbol: it holds one of the symbols.
        BadInput: it is not symmetric, or not known to be positive definite.
    """
    if stated is None:
        return None
    if not isinstance(stated, sp.MatrixBase) or stated.shape != (size, size):
        raise BadShape(f"covariance has to be a {size}×{size} SymPy Matrix, one row for each symbol of the noise")
    matrix: Any = sp.ImmutableDenseMatrix(stated)
    for i, entry in enumerate(matrix.flat()):
        check_expression(entry, tuple(entry.free_symbols), where=f"covariance[{i // size}, {i % size}]")
    if matrix.has(*varying):
        raise BadSymbol(
            "covariance holds a symbol that varies, and is that of what is drawn: multiply what is drawn, where it stands, by what it "
            "depends on"
        )
    if sp.simplify(matrix - matrix.T) != sp.zeros(size, size):
        raise BadInput("covariance is not symmetric")
    for k in range(1, size + 1):
        if sp.factor(matrix[:k, :k].det()).is_positive is not True:
            raise BadInput(
                f"the covariance is not known to be positive definite: its leading {k}×{k} minor is {matrix[:k, :k].det()}; declare its "
                "symbols positive, or leave out a source that depends on the others"
            )
    return matrix


def definite_factor(covariance: Any, size: int) -> Any:
    """V^{1/2} as the Cholesky factor, q×q, of a covariance that is positive definite; I for None."""
    return sp.eye(size) if covariance is None else sp.Matrix(covariance).cholesky(hermitian=False)


def _vanishes(expression: Expression) -> bool:
    return zero_functions([from_sympy(expression, Graph())])[0]


def _vanish(expressions: list[Expression]) -> bool:
    return all(map(_vanishes, expressions))
