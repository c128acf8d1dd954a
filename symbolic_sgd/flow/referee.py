"""The numerical flow as a referee: what a closed form claims is held against it at many random starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import RELATIONS
from symbolic_sgd.algebra.differentiate import jacobian
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.flow.first_integrals import IntegralSearch
from symbolic_sgd.flow.numerics.many_points import limits_of_flow
from symbolic_sgd.flow.numerics.state import SmoothLoss
from symbolic_sgd.manifold.manifold import Manifold

STARTS = 200
"""Random starts that are followed."""

FARTHER = (10.0, 100.0)
"""Factors on the spread of further starts, which may lie in other basins."""

FEWEST = 20
"""Starts that must have reached Γ before anything is claimed."""

AGREEMENT = 1e-8
"""Largest distance from the flow's own limit, relative to 1 + |Φ|."""

ON_THE_WAY = 1e-10
"""The same relative to |x|: the flow conserves what it should to so many digits of where it begins."""


@dataclass(frozen=True)
class Referee:
    """Starts whose flow was seen to reach the part of Γ meant.

    Args:
        rows: the starts (parameters, then constants), B×(D + C).
        limits: Φ, B×D.
    """

    rows: np.ndarray
    limits: np.ndarray

    def accepts(self, value: Callable[[np.ndarray], np.ndarray]) -> bool:
        """Whether a claimed Φ is right at every start."""
        return len(self.rows) >= FEWEST and bool(agreement(value(self.rows), self.limits, self.rows).all())


def agreement(claimed: np.ndarray, limits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which of B claimed limits are those of the flow, to the accuracy of the flow from there."""
    with np.errstate(all="ignore"):
        distance = np.linalg.norm(claimed - limits, axis=1)
    start = np.linalg.norm(rows[:, : limits.shape[1]], axis=1)
    return distance <= AGREEMENT * (1 + np.linalg.norm(limits, axis=1)) + ON_THE_WAY * start


def observe(manifold: Manifold, loss: SmoothLoss, search: IntegralSearch, rng: np.random.Generator) -> Referee:
    """Follow the flow from starts anywhere, and from starts around the points of Γ at all distances up to its size."""
    problem = manifold.problem
    anywhere = [search.random_points(STARTS // 4), *(search.random_points(STARTS // 20, spread) for spread in FARTHER)]
    near = np.array([manifold.points[k % len(manifold.points)].floats(problem.symbols) for k in range(STARTS // 2)])
    spread = np.linspace(0.02, 1, len(near))[:, None] * (1 + np.abs(near).max(axis=1, keepdims=True))
    near[:, : problem.dimension] += spread * rng.standard_normal((len(near), problem.dimension))
    rows = np.concatenate([*anywhere, near[search.floats(near).admissible]])
    # Only starts that float64 can follow: with many digits, each would take seconds.
    flow = limits_of_flow(replace(loss, precise=None), rows, manifold.codimension)
    ends = np.concatenate([flow.points, rows[:, problem.dimension :]], axis=1)
    fine = flow.reached & satisfies(problem.conditions, problem.symbols, ends)
    return Referee(rows[fine], flow.points[fine])


def on_zero_set(manifold: Manifold, equations: Sequence[Node], referee: Referee) -> np.ndarray:
    """Which limits of a referee lie on {g = 0}: |g| is small beside |∇g|(1 + |x|)."""
    variables = manifold.landscape.variables
    outputs = {"values": Matrix.column(equations), "slopes": Matrix.of(jacobian(equations, variables))}
    rows = np.concatenate([referee.limits, referee.rows[:, len(variables) :]], axis=1)
    seen = evaluate(Program.of(outputs), manifold.problem.symbols, rows)
    slopes = np.linalg.norm(seen["slopes"].reshape(len(rows), len(equations), len(variables)), axis=2)
    extent = 1 + np.linalg.norm(referee.limits, axis=1, keepdims=True)
    return np.all(np.abs(seen["values"]) <= AGREEMENT * slopes * extent + np.finfo(float).tiny, axis=1)


def satisfies(conditions: Sequence[Any], symbols: Sequence[sp.Symbol], rows: np.ndarray) -> np.ndarray:
    """Which rows (one column a symbol) satisfy every inequality."""
    inside = np.ones(len(rows), dtype=bool)
    if conditions:
        graph = Graph()
        sides = Matrix.column(from_sympy(c.lhs, graph) - from_sympy(c.rhs, graph) for c in conditions)
        values = evaluate(Program.of({"sides": sides}), tuple(symbols), rows)["sides"]
        for condition, value in zip(conditions, values.T, strict=True):
            inside &= RELATIONS[condition.rel_op](value, 0)
    return inside
