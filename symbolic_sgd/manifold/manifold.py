"""Step 1: Γ, the manifold of minimizers. Its codimension, points of it, and equations that vanish on it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.graph import Node, kinks
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.effort import Progress, silent
from symbolic_sgd.errors import (
    ConstantLoss,
    NotSmooth,
)
from symbolic_sgd.manifold.cell import has_jumps, in_cell
from symbolic_sgd.manifold.equations import Equations, find_equations
from symbolic_sgd.manifold.interpolation import interpolating_points, is_large
from symbolic_sgd.manifold.minimizers import Found, MinimizerSearch, not_smooth
from symbolic_sgd.manifold.precise import (
    HessianRank,
    PrecisePoint,
)
from symbolic_sgd.manifold.rewriting import rewritten
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem

FURTHER_PARTS = 3
"""Minimizers on which the equations found do not vanish, that are added to the points at the most."""


@dataclass(frozen=True)
class Manifold:
    """Γ near the points found: {∇L = 0} there is a manifold of dimension D − M, and rank H = M at each of them.

    Args:
        stated: what was stated.
        problem: the same in the cell in which the loss is smooth, as manifold/rewriting.py writes it.
        cell: the inequalities of that cell that were not stated.
        landscape: L, ∇L, ∇²L on the graph of this derivation.
        codimension: M.
        points: points of Γ to 120 digits, the last of them generic (reached by steps along Γ).
        ranks: the pivots of H at each point.
        equations: what is known to be constant on Γ.
    """

    stated: Problem
    problem: Problem
    cell: tuple[Any, ...]
    landscape: Landscape
    codimension: int
    points: tuple[PrecisePoint, ...]
    ranks: tuple[HessianRank, ...]
    equations: Equations

    @property
    def dimension(self) -> int:
        """D − M."""
        return self.landscape.dimension - self.codimension

    def restrict(self, matrix: Matrix) -> Matrix:
        """The matrix on Γ: everything whose value there is known, and stands in it, becomes that value."""
        vanishing = [*self.equations.vanishing, *self.landscape.gradient.entries]
        zero = self.landscape.graph.constant(0)
        try:
            return matrix.replace(dict.fromkeys(vanishing, zero) | dict(self.equations.values))
        except ZeroDivisionError as error:
            raise NotSmooth("a derivative of the loss, or the noise, divides by zero everywhere on Γ") from error

    @property
    def interpolating(self) -> bool:
        """Whether the loss has residuals, and all of them vanish on Γ."""
        residuals = [from_sympy(r, self.landscape.graph) for r in self.problem.residuals]
        further = [r for r in residuals if r not in self.equations.vanishing]
        return bool(residuals) and all(self.proved_zero(further))

    def proved_zero(self, nodes: Sequence[Node]) -> list[bool]:
        """Which nodes are proved to vanish on Γ: as an identity, or modulo equations of Γ."""
        proved = zero_functions(nodes)
        for equations in self._equations:
            rest = [i for i, zero in enumerate(proved) if not zero]
            found = zero_on(equations, [nodes[i] for i in rest], self.codimension)
            for i, zero in zip(rest, found, strict=True):
                proved[i] = zero
        return proved

    @property
    def _equations(self) -> Iterator[tuple[Node, ...]]:
        """Sets of equations that hold on Γ: M of them, and ∇L = 0 at points where rank H = M."""
        yield self.equations.defining
        if self.codimension > 1 and not set(self.equations.defining) <= set(self.equations.vanishing):
            yield self.landscape.gradient.entries

    def without_zeros(self, matrix: Matrix) -> Matrix:
        """The matrix with the entries that are proved to vanish on Γ made zero."""
        zero = self.landscape.graph.constant(0)
        flags = self.proved_zero(matrix.entries)
        return matrix.with_entries([zero if z else e for e, z in zip(matrix.entries, flags, strict=True)])


def interpolating_manifold(stated: Problem) -> tuple[Problem, tuple[PrecisePoint, ...]] | None:
    """A large least-squares problem as it is read, and points of Γ where all residuals vanish, with independent gradients; None where
    it is not large, or has none."""
    if not is_large(stated) or has_jumps(stated):
        return None
    written = _written(stated)
    found = _interpolating(written)
    return None if found is None else (written, tuple(point for point, _ in found))


def _interpolating(problem: Problem) -> tuple[Found, ...] | None:
    if problem not in _INTERPOLATING:
        _INTERPOLATING[problem] = interpolating_points(problem)
    return _INTERPOLATING[problem]


def _written(problem: Problem) -> Problem:
    known = _WRITTEN.get(problem)
    if known is None:
        known = _WRITTEN[problem] = rewritten(problem)
    return known


def find_manifold(problem: Problem, progress: Progress = silent, *, inside_cell: bool = True) -> Manifold:
    """Γ for a problem: by descent from many starts, or on the user's equations.

    Args:
        problem: what was stated.
        progress: told in words what is being done.
        inside_cell: whether a loss that is not smooth everywhere is replaced by the smooth one of a cell; what leaves Γ, as
            the gradient flow does, needs the loss as it is.

    Raises:
        NoManifold: and its subclasses, where the minimizers are no manifold that the theorem speaks of.
    """
    if not inside_cell or not has_jumps(problem):
        return _smooth_manifold(problem, _written(problem), (), progress)
    known = _CELLS.get(problem)
    if known is None:
        with np.errstate(all="ignore"):
            first = _search(problem, progress).first_point()
        smooth, cell = in_cell(problem, first)
        known = _CELLS[problem] = rewritten(smooth), cell
    return _smooth_manifold(problem, *known, progress)


_WRITTEN: WeakKeyDictionary[Problem, Problem] = WeakKeyDictionary()
_INTERPOLATING: WeakKeyDictionary[Problem, tuple[Found, ...] | None] = WeakKeyDictionary()
_CELLS: WeakKeyDictionary[Problem, tuple[Problem, tuple[Any, ...]]] = WeakKeyDictionary()
_POINTS: WeakKeyDictionary[Problem, tuple[tuple[Mapping[sp.Symbol, PreciseNumber], HessianRank], ...]] = (
    WeakKeyDictionary()
)
"""Points of Γ and their ranks, kept as numbers while their problem lives: the derivation, Φ and the simulators search once, and
have graphs of their own all the same."""


def _smooth_manifold(stated: Problem, problem: Problem, cell: tuple[Any, ...], progress: Progress) -> Manifold:
    known = _POINTS.get(problem)
    if known is None:
        known = _POINTS[problem] = tuple((point.assignment, rank) for point, rank in _searched(problem, progress))
    # On a graph of its own, without what the search has left there: programs are the same whenever they are derived.
    landscape = problem.landscape()
    found = [(PrecisePoint(assignment), rank) for assignment, rank in known]
    equations = _equations_at(problem, landscape, found)
    points, ranks = tuple(p for p, _ in found), tuple(r for _, r in found)
    return Manifold(stated, problem, cell, landscape, ranks[0].rank, points, ranks, equations)


def _searched(problem: Problem, progress: Progress) -> Sequence[Found]:
    interpolating = _interpolating(problem) if is_large(problem) else None
    if interpolating is not None:
        return interpolating
    with np.errstate(all="ignore"):
        search = _search(problem, progress)
        found = search.manifold_points()
        _check_smooth(problem, search.landscape, [p for p, _ in found])
        equations = _equations_at(problem, search.landscape, found)
        lower = [] if equations.squares else search.lower(found[0][0])
        if lower:
            found = lower
            equations = _equations_at(problem, search.landscape, found)
        for _ in range(FURTHER_PARTS):
            elsewhere = None if equations.squares else search.off(equations.shown, found[0])
            if elsewhere is None:
                break
            found.append(elsewhere)
            equations = _equations_at(problem, search.landscape, found)
    return found


def _equations_at(problem: Problem, landscape: Landscape, found: Sequence[Found]) -> Equations:
    return find_equations(problem, landscape, [p for p, _ in found], found[0][1])


def _search(problem: Problem, progress: Progress) -> MinimizerSearch:
    progress(f"∇L and ∇²L (D = {problem.dimension})")
    landscape = problem.landscape()
    if all(entry.is_zero for entry in landscape.gradient.entries):
        raise ConstantLoss("the loss does not depend on the parameters: its gradient is zero everywhere")
    return MinimizerSearch(problem, landscape, [from_sympy(e, landscape.graph) for e in problem.manifold], progress)


def _check_smooth(problem: Problem, landscape: Landscape, points: Sequence[PrecisePoint]) -> None:
    found = kinks([landscape.loss])
    for point in points:
        for (node, zero), is_zero in zip(found, point.zeros([z for _, z in found]), strict=True):
            if is_zero and zero.op != "constant":
                raise not_smooth(node.op, point.describe(problem.parameters))
