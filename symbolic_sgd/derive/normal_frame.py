"""Step 2: a normal frame, orthogonal columns N that span the range of H on Γ, with rational entries."""

from dataclasses import dataclass

import mpmath

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, Orthogonal
from symbolic_sgd.derive.manifold import Manifold
from symbolic_sgd.derive.precise import HIGH, PrecisePoint, positive_semidefinite_rank


@dataclass(frozen=True)
class NormalFrame:
    """N with orthogonal columns, range N = range H on Γ, and its dual N̂ = N(NᵀN)⁻¹; poles on Γ can only arise here.

    Args:
        manifold: Γ.
        raw: F, D×M, the columns from which N is made: gradients of equations, or columns of H.
        orthogonal: F = N U.
        dual: N̂, D×M; Q = N N̂ᵀ is the normal projection.
        equations: M equations of Γ whose gradients are independent where the frame is valid.
        minor: A, M×M, such that the frame is valid where det A ≠ 0; None where it is valid on all of Γ.
        origin: in words, what the raw columns are.
    """

    manifold: Manifold
    raw: Matrix
    orthogonal: Orthogonal
    dual: Matrix
    equations: tuple[Node, ...]
    minor: Matrix | None
    origin: str

    def tangent_part(self, right: Matrix) -> Matrix:
        """∂Φ right (Lemma 2: on Γ, ∂Φ is the orthogonal projection on the tangent space, I − N N̂ᵀ)."""
        return right - self.orthogonal.columns @ (self.dual.T @ right)


def normal_frame(manifold: Manifold) -> NormalFrame:
    """A frame from equations of Γ where there are enough of them, else from M columns of the Hessian."""
    return _from_equations(manifold) or _from_hessian(manifold)


def _from_equations(manifold: Manifold) -> NormalFrame | None:
    equations, m = manifold.equations, manifold.codimension
    if len(equations) < m:
        return None
    slopes = manifold.restrict(Matrix.of(jacobian(equations, manifold.landscape.variables)))
    chosen = _independent_rows(manifold, slopes)
    if chosen is None:
        return None
    raw = Matrix(tuple(slopes.rows[i] for i in chosen)).T
    minor = None if manifold.curvatures is not None else raw.T @ raw
    return _frame(manifold, raw, tuple(equations[i] for i in chosen), minor, "the gradients of the equations of Γ")


def _independent_rows(manifold: Manifold, slopes: Matrix) -> tuple[int, ...] | None:
    m, chosen = manifold.codimension, None
    for point in manifold.points:
        values = point.matrix(slopes if chosen is None else Matrix(tuple(slopes.rows[i] for i in chosen)))
        with mpmath.workdps(HIGH):
            gram = values * values.T
        rank = positive_semidefinite_rank(gram, lambda: "a point of Γ")
        if rank.rank < m:
            return None
        chosen = tuple(sorted(rank.pivots)) if chosen is None else chosen
    return chosen


def _from_hessian(manifold: Manifold) -> NormalFrame:
    hessian = manifold.restrict(manifold.landscape.hessian)
    chosen = _best_pivots(manifold, hessian)
    raw = hessian.columns(chosen)
    minor = Matrix(tuple(raw.rows[i] for i in chosen))
    equations = tuple(manifold.landscape.gradient[i, 0] for i in chosen)
    return _frame(manifold, raw, equations, minor, f"{len(chosen)} of the columns of the Hessian")


def _best_pivots(manifold: Manifold, hessian: Matrix) -> tuple[int, ...]:
    """The pivots I, among those found at the points, whose worst det H[I, I] relative to the best at a point is largest."""
    candidates = list(dict.fromkeys(tuple(sorted(rank.pivots)) for rank in manifold.ranks))

    def determinants(point: PrecisePoint) -> list[PreciseNumber]:
        h = point.matrix(hessian)
        with mpmath.workdps(HIGH):
            return [mpmath.det(mpmath.matrix([[h[i, j] for j in c] for i in c])) for c in candidates]

    with mpmath.workdps(HIGH):
        worst = [mpmath.mpf(1)] * len(candidates)
        for point in manifold.points:
            values = determinants(point)
            worst = [min(w, v / max(values)) for w, v in zip(worst, values, strict=True)]
    return candidates[max(range(len(candidates)), key=lambda k: worst[k])]


def _frame(
    manifold: Manifold, raw: Matrix, equations: tuple[Node, ...], minor: Matrix | None, origin: str
) -> NormalFrame:
    orthogonal = Orthogonal.factor(raw)
    return NormalFrame(manifold, raw, orthogonal, orthogonal.dual, equations, minor, origin)
