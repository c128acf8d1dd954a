"""Where a limit without noise descends a function: b = −P∇R on Γ = {f = 0}, whose fixed points are Lagrange's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseMatrix
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BudgetSpent, ExpressionTooLarge, SymbolicSGDError, Undecided
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint, matrix_rank
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.regularizer.regularizer import Regularizer
from symbolic_sgd.theorem.derivation import Derivation

AGREES = 1e-40
"""How far b may be from −P∇R at the points of the derivation, relative to ∇R: they are known to many more digits."""


@dataclass(frozen=True, eq=False)
class Descent:
    """b = −P∇R on Γ.

    Args:
        derivation: of the SDE.
        potential: R, a function on R^D that is the regularizer on Γ.
        equations: f, which vanish on Γ; at regular points their gradients span the normal space.
        interpolating: whether f are the residuals of a least-squares loss, so that ∇²L = JᵀKJ with K > 0 where f = 0.
    """

    derivation: Derivation
    potential: Expression
    equations: tuple[Expression, ...]
    interpolating: bool

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """x."""
        return self.derivation.problem.parameters

    @cached_property
    def multipliers(self) -> tuple[sp.Symbol, ...]:
        """The symbols λ, one for each equation."""
        return tuple(sp.Dummy(f"lambda_{i + 1}", real=True) for i in range(len(self.equations)))

    @cached_property
    def levels(self) -> tuple[Node, ...]:
        """f as nodes."""
        return tuple(from_sympy(e, self._graph) for e in self.equations)

    @cached_property
    def slopes(self) -> Matrix:
        """J = ∂f."""
        return Matrix.of(jacobian(self.levels, [self._graph.symbol(s) for s in self.parameters]))

    @cached_property
    def gradient(self) -> Matrix:
        """∇R, D×1."""
        return Landscape.on_demand(self.height, self.parameters).gradient

    @cached_property
    def lagrangian(self) -> Landscape:
        """R − λᵀf, a function of x and λ, with its derivatives in x."""
        terms = (self._graph.symbol(m) * f for m, f in zip(self.multipliers, self.levels, strict=True))
        return Landscape.of(self.height - self._graph.total(terms), self.parameters)

    @cached_property
    def _graph(self) -> Graph:
        return Graph()

    @cached_property
    def height(self) -> Node:
        """R as a node."""
        return from_sympy(self.potential, self._graph)


def descent_of(derivation: Derivation, find: Callable[[], Regularizer]) -> Descent | str:
    """R and f, or in words why b is not known to descend a function.

    Args:
        derivation: of the SDE.
        find: the search for R, which may raise what `find_regularizer` does.
    """
    optimizer = derivation.optimizer
    if optimizer.in_metric or optimizer.has_slow_field or optimizer.second_moments(derivation.problem) is not None:
        return f"the limit of {optimizer.label} is not the steepest descent of its regularizer alone"
    if optimizer.curves_noise and not optimizer.curvature_regularizes:
        return "the noise curvature drift is not known to be that of a regularizer"
    try:
        found = find()
    except BudgetSpent:
        return "a regularizer was neither found nor excluded in the time there was"
    except (Undecided, ExpressionTooLarge) as error:
        return f"no regularizer is known ({error})"
    if found.expression is None:
        return f"there is no regularizer ({found.words})"
    equations = _residuals(derivation)
    interpolating = equations is not None
    try:
        descent = Descent(derivation, found.expression, equations or _equations(derivation), interpolating)
        return descent if _agrees(descent) else "−P∇R is not the drift"
    except (SymbolicSGDError, ZeroDivisionError) as error:
        return f"R or the equations of Γ are not smooth there ({error})"


def _residuals(derivation: Derivation) -> tuple[Expression, ...] | None:
    """The residuals that differ, where they all vanish on Γ: L is lowest where they do, and is as low nowhere else."""
    distinct = tuple(dict.fromkeys(derivation.problem.residuals))
    graph = Graph()
    nodes = [from_sympy(e, graph) for e in distinct]
    vanish = all(all(PrecisePoint(p).zeros(nodes)) for p in derivation.points)
    return distinct if distinct and vanish else None


def _equations(derivation: Derivation) -> tuple[Expression, ...]:
    return tuple(derivation.equations.expand("defining").flat())


def _agrees(descent: Descent) -> bool:
    """Whether rank J = M, and b = −P∇R, at the points of the derivation."""
    derivation = descent.derivation
    for assignment in derivation.points[:2]:
        point = PrecisePoint(assignment)
        slopes = point.matrix(descent.slopes)
        if matrix_rank(slopes) != derivation.codimension:
            return False
        if derivation.in_matrices is not None:
            continue
        with mp.workdps(HIGH):
            gradient = mp.matrix(point.high(descent.gradient.entries))
            fall = projected(slopes, gradient, derivation.codimension)
            drift = _drift(derivation, assignment)
            size = 1 + max(map(abs, gradient))
            if max(abs(a + b) for a, b in zip(fall, drift, strict=True)) > AGREES * size:
                return False
    return True


def _drift(derivation: Derivation, assignment: object) -> Sequence[object]:
    graph = Graph()
    drift = derivation.program.select("drift").on(graph)["drift"]
    return PrecisePoint(assignment).high(drift.entries)  # type: ignore[arg-type]


def projected(slopes: PreciseMatrix, vector: PreciseMatrix, rank: int) -> PreciseMatrix:
    """Pv, with P the projection along the rows of J, of which `rank` are independent."""
    axes = normal_axes(slopes, rank)
    return vector - axes * (axes.T * vector)


def normal_axes(slopes: PreciseMatrix, rank: int) -> PreciseMatrix:
    """An orthonormal basis of the row space of J, D×rank, at the working precision."""
    rows = independent_rows(slopes, rank)
    chosen = mp.matrix([[slopes[i, j] for i in rows] for j in range(slopes.cols)])
    return mp.qr(chosen, mode="skinny")[0]


def independent_rows(slopes: PreciseMatrix, rank: int) -> list[int]:
    """Indices of rows of J that are independent: Gram and Schmidt, the longest that is left first."""
    left = {i: [slopes[i, j] for j in range(slopes.cols)] for i in range(slopes.rows)}
    chosen: list[int] = []
    while left and len(chosen) < rank:
        pivot = max(left, key=lambda i: mp.fdot(left[i], left[i]))
        axis = left.pop(pivot)
        size = mp.fdot(axis, axis)
        if not size:
            break
        chosen.append(pivot)
        for i, row in left.items():
            part = mp.fdot(row, axis) / size
            left[i] = [a - part * b for a, b in zip(row, axis, strict=True)]
    return sorted(chosen)
