"""Step 2: a normal frame, columns that span the range of H on Γ, with rational entries."""

from dataclasses import dataclass, replace

from symbolic_sgd.algebra.arithmetic import PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.lyapunov import CLOSED_FORM
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import determinant, mp
from symbolic_sgd.manifold.equations import Component, component_of
from symbolic_sgd.manifold.manifold import Manifold
from symbolic_sgd.manifold.precise import HIGH

SINGULAR = 1e-30
"""A minor smaller than this beside the largest at the same point counts as zero."""


FRAMELESS_CODIMENSION = CLOSED_FORM
"""Largest M for formulas in powers of H instead of a frame that is singular somewhere."""

FRAMELESS_DIMENSION = 12
"""Largest D for them: a power of H costs D³ operations."""


@dataclass(frozen=True)
class NormalFrame:
    """F, whose columns span range H on Γ; poles on Γ can only arise here.

    Args:
        manifold: Γ.
        raw: F, D×M: gradients of equations, or columns of H; None where no such F is known to have full rank on all
            of Γ, and formulas in powers of H take its place.
        equations: M equations of Γ whose gradients are independent where the frame is valid.
        minor: A, M×M, such that the frame is valid where det A ≠ 0; None where it is valid on all of Γ.
        origin: in words, what spans the normal space.
        component: the part of Γ that the frame is for; None for all of it.
    """

    manifold: Manifold
    raw: Matrix | None
    equations: tuple[Node, ...]
    minor: Matrix | None
    origin: str
    component: Component | None


def normal_frame(manifold: Manifold, *, framed: bool = False) -> NormalFrame:
    """The gradients of M levels of Γ where the loss contains them, else H itself or, where that is too large, M columns.

    Args:
        manifold: Γ.
        framed: whether columns are needed in any case.
    """
    frame = _from_levels(manifold) if manifold.equations.levels else _from_hessian(manifold)
    small = manifold.codimension <= FRAMELESS_CODIMENSION and manifold.landscape.dimension <= FRAMELESS_DIMENSION
    if manifold.equations.curvature is None and small and not framed:
        component = _component(manifold, everywhere=manifold.equations.everywhere)
        return NormalFrame(manifold, None, frame.equations, None, "powers of the Hessian, without a frame", component)
    return frame


def _from_levels(manifold: Manifold) -> NormalFrame:
    known = manifold.equations
    raw = manifold.restrict(Matrix.of(jacobian(known.levels, manifold.landscape.variables)).T)
    minor = None if known.independent else raw.T @ raw
    component = _component(manifold, everywhere=known.everywhere and known.steady)
    return NormalFrame(manifold, raw, known.shown, minor, "gradients of inner expressions of the loss", component)


def _component(manifold: Manifold, *, everywhere: bool) -> Component | None:
    return None if everywhere else component_of(manifold.points[0], manifold.problem, manifold.equations)


def _from_hessian(manifold: Manifold) -> NormalFrame:
    chosen, regular = _best_pivots(manifold)
    # Points where this minor is singular lie on a part of Γ that the frame cannot speak of.
    regular_part = replace(manifold, points=tuple(p for p, fine in zip(manifold.points, regular, strict=True) if fine))
    raw = manifold.restrict(manifold.landscape.hessian).columns(chosen)
    minor = Matrix(tuple(raw.rows[i] for i in chosen))
    origin = f"{len(chosen)} columns of the Hessian"
    component = _component(manifold, everywhere=manifold.equations.everywhere)
    return NormalFrame(regular_part, raw, manifold.equations.shown, minor, origin, component)


def _best_pivots(manifold: Manifold) -> tuple[tuple[int, ...], list[bool]]:
    """The pivots I whose det H[I, I], relative to the best there, is largest at the worst of the points where it is not 0.

    Candidates are the pivots found at the points; one that is singular at fewer points comes first.

    Returns:
        I, and at which points det H[I, I] ≠ 0.
    """
    candidates = list(dict.fromkeys(tuple(sorted(rank.pivots)) for rank in manifold.ranks))
    with mp.workdps(HIGH):
        tables = [_determinants(point.matrix(manifold.landscape.hessian), candidates) for point in manifold.points]
        relative = [[value / max(values) for value in values] for values in tables]
        columns = [[row[k] for row in relative] for k in range(len(candidates))]
        regular = [[value > SINGULAR for value in column] for column in columns]
        best = max(
            range(len(candidates)),
            key=lambda k: (sum(regular[k]), min(v for v, fine in zip(columns[k], regular[k], strict=True) if fine)),
        )
    return candidates[best], regular[best]


def _determinants(h: PreciseMatrix, candidates: list[tuple[int, ...]]) -> list[PreciseNumber]:
    return [abs(determinant(mp.matrix([[h[i, j] for j in c] for i in c]))) for c in candidates]
