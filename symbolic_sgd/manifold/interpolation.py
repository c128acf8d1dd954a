"""Γ of a large least-squares problem, where all residuals vanish: found with M×M matrices only.

Where f = 0 and the rows of J = ∂f are independent, L = ½Σ k_i f_i² has its lowest value, H = JᵀKJ, and rank H = M: neither the Hessian
nor its rank has to be computed. Steps −Jᵀ(JJᵀ + μ)⁻¹f lead there (Levenberg and Marquardt), the last of them to 120 digits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from scipy import linalg

from symbolic_sgd.algebra.arithmetic import FLOAT64, PRECISE, PreciseNumber, Valuation
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph, Node, kinks
from symbolic_sgd.algebra.lyapunov import CLOSED_FORM
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import NoManifold
from symbolic_sgd.manifold.precise import HessianRank, PrecisePoint
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import with_signs
from symbolic_sgd.regular_point import DIGITS

SEED = 20224
"""The search is the same in every run."""

LARGEST_WRITTEN = 80
"""Entries of J other than 0 up to which everything is written out entry by entry: beyond, formulas are too long to be printed, and
matrices serve better."""

FEW, MODERATE = CLOSED_FORM, 40
"""So few residuals have closed forms, which are written out for up to so many parameters all the same."""

POINTS = 4
"""How many points of Γ are found."""

SCALES = (1.0, 0.4, 2.5, 0.1, 6.0)
"""Standard deviations of the starts, tried one after the other; beside a stated point in units of `NEARBY`."""

NEARBY = 0.1
"""Standard deviation of starts beside a stated point, relative to 1 + |x|."""

ITERATIONS = 300
"""Steps of a descent at most."""

SETTLED = 1e-9
"""The Newton step, relative to 1 + |x|, from which the point is sharpened."""

FARTHEST = 100.0
"""How far from its start, relative to 1 + |x|, a descent may end."""

INDEPENDENT = 1e-5
"""Smallest singular value of J with rows of length 1 at a point of Γ: far above the rounding of float64, so that the rank is M."""


@dataclass(frozen=True)
class Residuals:
    """f and J of a least-squares problem on a graph of their own.

    Args:
        problem: with residuals and no constants.
        variables: the parameters as nodes.
        levels: the residuals that differ from each other, f_1 … f_M.
        multiplicity: how many residuals each of them stands for.
    """

    problem: Problem
    variables: tuple[Node, ...]
    levels: tuple[Node, ...]
    multiplicity: tuple[int, ...]

    @staticmethod
    def of(problem: Problem) -> "Residuals":
        graph, count = Graph(), dict[Node, int]()
        for residual in problem.residuals:
            node = from_sympy(residual, graph)
            count[node] = count.get(node, 0) + 1
        variables = tuple(graph.symbol(s) for s in problem.parameters)
        return Residuals(problem, variables, tuple(count), tuple(count.values()))

    @cached_property
    def slopes(self) -> Matrix:
        """J, M×D."""
        return Matrix.of(gradient(level, self.variables) for level in self.levels)

    @property
    def is_smooth(self) -> bool:
        """Whether nothing in them can fail to be smooth, wherever it is."""
        return not kinks(self.levels)

    @cached_property
    def _program(self) -> Program:
        return Program.of({"levels": Matrix.column(self.levels), "slopes": self.slopes})

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f (S×M) and J (S×M×D) at S points in float64."""
        with np.errstate(all="ignore"):
            values = self._program.run(FLOAT64, dict(zip(self.problem.parameters, points.T, strict=True)))
        columns = lambda entries: np.array([np.broadcast_to(e, len(points)) for e in entries], dtype=float).T  # noqa: E731
        m = len(self.levels)
        return columns(values["levels"]), columns(values["slopes"]).reshape(len(points), m, -1)


def is_large(problem: Problem) -> bool:
    """Whether Γ is sought here first: J has many entries, and nothing is stated but smooth residuals and perhaps a point."""
    if problem.dimension <= MODERATE and len(problem.residuals) <= FEW:
        return False
    trained = set(problem.parameters)
    entries = sum(len(residual.free_symbols & trained) for residual in problem.residuals)
    return entries > LARGEST_WRITTEN and not (problem.constants or problem.manifold or problem.conditions)


def interpolating_points(problem: Problem) -> tuple[tuple[PrecisePoint, HessianRank], ...] | None:
    """Points of Γ at which all residuals vanish, and M there; None where none are found, or J has not rank M at one of them."""
    residuals = Residuals.of(problem)
    if len(residuals.levels) >= problem.dimension or not residuals.is_smooth:
        return None
    rng, found = np.random.default_rng(SEED), list[tuple[PrecisePoint, HessianRank]]()
    for scale in SCALES:
        begin = starts_at(problem, scale, rng)
        for x in descended(residuals, begin):
            point = _sharpened(residuals, x)
            pivots = None if point is None else _independent_columns(residuals, point)
            if point is None or pivots is None:
                return None
            found.append((point, HessianRank(len(residuals.levels), pivots)))
            if len(found) == POINTS:
                return tuple(found)
    return None


def starts_at(problem: Problem, scale: float, rng: np.random.Generator) -> np.ndarray:
    draws = rng.standard_normal((POINTS, problem.dimension))
    if problem.near is None:
        draws[1::2] = np.abs(draws[1::2])  # products of many parameters have their zeros where the signs agree
        return with_signs(problem.parameters, scale * draws)
    given = np.array([problem.near[s] for s in problem.parameters])
    draws[0] = 0
    return given + NEARBY * scale * (1 + np.abs(given).max()) * draws


def descended(residuals: Residuals, begin: np.ndarray) -> np.ndarray:
    """Where steps −Jᵀ(JJᵀ + μ tr JJᵀ)⁻¹f end at a zero of f, not too far from where they began."""
    x, damping = begin.copy(), np.full(len(begin), 0.1)
    f, slopes = residuals(x)
    identity = np.eye(f.shape[1])
    for _ in range(ITERATIONS):
        gram = slopes @ np.swapaxes(slopes, 1, 2)
        size = np.trace(gram, axis1=1, axis2=2) + 1e-300
        shifted = np.where(np.isfinite(gram), gram, 0) + (damping * size)[:, None, None] * identity
        step = -np.einsum("smd,sm->sd", slopes, np.linalg.solve(shifted, np.nan_to_num(f)[..., None])[..., 0])
        if not (np.linalg.norm(step, axis=1) > 1e-14 * (1 + np.linalg.norm(x, axis=1))).any():
            break
        there, there_slopes = residuals(x + step)
        finite = np.isfinite(there).all(axis=1) & np.isfinite(there_slopes).all(axis=(1, 2))
        with np.errstate(all="ignore"):
            better = finite & ((there**2).sum(axis=1) <= (f**2).sum(axis=1))
        x[better] += step[better]
        f[better], slopes[better] = there[better], there_slopes[better]
        damping = np.where(better, np.maximum(damping / 10, 1e-15), np.minimum(damping * 5, 1e6))
    return x[
        _settled(x, f, slopes) & (np.linalg.norm(x - begin, axis=1) < FARTHEST * (1 + np.linalg.norm(begin, axis=1)))
    ]


def _settled(x: np.ndarray, f: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Where the Newton step is small."""
    finite = np.isfinite(f).all(axis=1) & np.isfinite(slopes).all(axis=(1, 2))
    steps = np.full(len(x), np.inf)
    for i in np.flatnonzero(finite):
        steps[i] = np.linalg.norm(np.linalg.lstsq(slopes[i], f[i], rcond=None)[0])
    return steps < SETTLED * (1 + np.linalg.norm(x, axis=1))


def _sharpened(residuals: Residuals, x: np.ndarray) -> PrecisePoint | None:
    """The zero of f to 120 digits, by steps −J†f with J† in float64, each of which gains about ten."""
    symbols, levels = residuals.problem.parameters, residuals.levels
    inverse = np.linalg.pinv(residuals(x[None])[1][0]).tolist()
    with mp.workdps(DIGITS + 10):
        here = {s: mp.mpf(a) for s, a in zip(symbols, x.tolist(), strict=True)}
        size = 1 + max(map(abs, here.values()))
        tiny, previous = size * mp.mpf(10) ** (5 - DIGITS), mp.inf
        for _ in range(60):
            step = _newton(inverse, levels, here)
            length = max(map(abs, step)) if step else mp.inf
            if not length < previous / 2 and length > tiny:
                return None
            here = {s: a - change for (s, a), change in zip(here.items(), step, strict=True)}
            if length <= tiny:
                point = PrecisePoint(here)
                return point if all(point.zeros(levels)) else None
            previous = length
    return None


def _newton(
    inverse: Sequence[Sequence[float]], levels: Sequence[Node], here: Mapping[sp.Symbol, PreciseNumber]
) -> list[Any]:
    try:
        values = Valuation(PRECISE, here)(levels)
    except (NoManifold, ZeroDivisionError):
        return []
    return [mp.fdot(zip(row, values, strict=True)) for row in inverse]


def _independent_columns(residuals: Residuals, point: PrecisePoint) -> tuple[int, ...] | None:
    """M columns of J that are independent at a point of Γ; None where its rows are not clearly so."""
    (slopes,) = residuals(point.floats(residuals.problem.parameters)[None])[1]
    lengths = np.linalg.norm(slopes, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        return None
    unit = slopes / lengths
    if np.linalg.svd(unit, compute_uv=False)[-1] < INDEPENDENT:
        return None
    decomposed: Any = linalg.qr(unit, mode="r", pivoting=True)
    return tuple(sorted(map(int, decomposed[1][: len(unit)])))
