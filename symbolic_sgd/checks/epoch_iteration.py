"""Epochs of reshuffled samples as the oracle of their limit: every order of the samples is followed, and no formula enters.

From x ∈ Γ one epoch is made in each of the n! orders, with σ_a(x) and its negative (what is odd in ε is no part of the limit), and then
the noiseless iteration goes on until it rests. The blocks are those of epochs whose σ stays what it is at x, in parts Πσ for Π = P, Q,
P − Q; what is left of the drift is what the motion of σ adds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.checks.by_sympy import BySymPy, precise
from symbolic_sgd.checks.extended import DIGITS, Extended, extended
from symbolic_sgd.checks.literal import number_at
from symbolic_sgd.checks.observation import Observation, extrapolate
from symbolic_sgd.checks.own_iteration import LEVELS, MODERATE, RATES, REACH, Point, extrapolated, mean
from symbolic_sgd.checks.settling import Settling
from symbolic_sgd.errors import FlowDidNotConverge, ProblemTooLarge
from symbolic_sgd.numeric.optimizer_move import no_slow_fields, optimizer_move
from symbolic_sgd.numeric.random_move import RandomMove
from symbolic_sgd.optimizers.optimizer import with_symbols_of
from symbolic_sgd.optimizers.random_reshuffling import RandomReshuffling
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.regular_point import kernel

ORDERS = 24
"""Of the samples in an epoch, at most."""

BLOCKS = {
    "tangent_noise_compensation": lambda d: d["Pσ"],
    "mixed_regularization": lambda d: (d["σ"] - d["(P−Q)σ"]) / 2,
    "normal_regularization": lambda d: d["Qσ"],
    "noise_curvature_drift": lambda d: d["epoch"] - d["σ"],
    "imposed_drift": lambda d: d["slow fields"],
    "drift": lambda d: d["epoch"] + d["slow fields"],
}
"""How the terms follow from the drifts of epochs, and of such whose σ stays."""


def observed_of_epochs(
    problem: Problem, optimizer: RandomReshuffling, point: Point, rank: int, length: float = 1.0
) -> dict[str, Observation]:
    """Drift, its blocks, and covariance per unit of t, at a point of Γ, by following epochs in every order.

    Args:
        problem: the loss and its samples.
        optimizer: with a learning rate or without.
        point: x ∈ Γ with the constants, to many digits.
        rank: M.
        length: over which ∇²L changes.

    Returns:
        The values of `BLOCKS`, and "covariance" (D², row by row), each with its accuracy.

    Raises:
        FlowDidNotConverge: an iteration does not come to rest.
        ProblemTooLarge: there are more orders than are followed.
    """
    optimizer = optimizer.on(problem)
    n = optimizer.epoch
    if factorial(n) > ORDERS:
        raise ProblemTooLarge(f"an epoch visits {n} samples in any of {factorial(n):,} orders, more than {ORDERS}")
    with mp.workdps(DIGITS):
        oracle = _Epochs.of(problem, optimizer, point, rank, length)
        if optimizer.is_finite:
            return oracle.at(Fraction(float(number_at(optimizer.rate, oracle.point))))
        largest = Fraction(MODERATE / oracle.steepest)
        rates = [largest / k for k in range(1, RATES + 1)]
        return extrapolated([oracle.at(rate) for rate in rates], rates)


@dataclass(frozen=True)
class _Epochs:
    """Epochs at a point of Γ.

    Args:
        optimizer: on the problem.
        point: with values of the optimizer's symbols.
        kind: of the numbers.
        epoch: one, with noise σ(x)a + f in each step, and the slow fields times a number.
        rest: one without.
        state, draws, slow: the symbols of x, of (a, f) for every step, and of that number.
        sigma: σ at the point, D×n.
        along: P.
        steepest: the largest curvature.
        length: over which ∇²L changes.
    """

    optimizer: RandomReshuffling
    point: dict[sp.Symbol, Any]
    kind: Extended
    epoch: Program
    rest: Program
    state: tuple[sp.Symbol, ...]
    draws: tuple[sp.Symbol, ...]
    slow: sp.Symbol
    sigma: np.ndarray
    along: np.ndarray
    steepest: float
    length: float

    @staticmethod
    def of(problem: Problem, optimizer: RandomReshuffling, point: Point, rank: int, length: float) -> "_Epochs":
        known = with_symbols_of(optimizer, problem, iterated=True)
        at = {s: point.get(s, mp.mpf(1) / 2) for s in known.symbols}  # of symbols that the limit does not depend on
        by_sympy, slow = BySymPy(known), sp.Dummy("slow")
        curvature = precise(by_sympy.derivatives.select("hessian"), at)["hessian"]
        sigma = np.array(precise(by_sympy.noise, at)["noise_factor"].tolist(), dtype=float)
        tangent = kernel(curvature, rank)
        noisy, still = _move(known, by_sympy, sigma.shape[1], noisy=True), _move(known, by_sympy, 0, noisy=False)
        graph = noisy.variables[0].graph
        fields = [graph.symbol(slow) * from_sympy(optimizer.rate * g, graph) for g in optimizer.slow_field(known)]
        epoch = optimizer_move(optimizer, known, noisy, slow=fields)
        rest = optimizer_move(optimizer, known, still, slow=no_slow_fields(known, still.variables[0].graph))
        return _Epochs(
            optimizer,
            at,
            extended(i.op for program in (epoch.program, rest.program) for i in program.instructions),
            epoch.program,
            rest.program,
            epoch.state,
            tuple(a for draw in epoch.draws for a in draw),
            slow,
            sigma,
            tangent @ tangent.T,
            float(np.linalg.eigvalsh(np.array(curvature.tolist(), dtype=float))[-1]),
            length,
        )

    def at(self, rate: Fraction) -> dict[str, Observation]:
        """What is seen at a learning rate."""
        if float(rate) * self.steepest >= 2:
            raise FlowDidNotConverge(
                f"the largest curvature {self.steepest:.6g} at the point is beyond the edge of stability {2 / float(rate):.6g} of "
                f"{self.optimizer.label}"
            )
        n, size = self.optimizer.epoch, float(rate) * np.sqrt(self.sigma.shape[1]) * np.abs(self.sigma).max()
        scales = REACH * self.length / size / 2.0 ** np.arange(LEVELS) if size else 2.0 ** -np.arange(4, 4 + LEVELS)
        parts, d = self._parts, len(self.along)
        each = [np.zeros((len(self.draws), 1 + LEVELS)), *(e * part for e in scales for part in parts.values())]
        weights = np.zeros(sum(columns.shape[1] for columns in each))
        weights[1 : 1 + LEVELS] = scales**2
        ends = self._ends(np.concatenate(each, axis=1), weights, rate)
        shifts = (ends[:, 1:] - ends[:, :1]).astype(float)
        slow, moved = shifts[:, :LEVELS], shifts[:, LEVELS:].reshape(d, LEVELS, len(parts), -1)
        per = float(rate) ** 2 * n * scales**2
        drifts = {name: [mean(moved[:, k, i]) / p for k, p in enumerate(per)] for i, name in enumerate(parts)}
        drifts["slow fields"] = [slow[:, k] / p for k, p in enumerate(per)]
        drift = {name: np.array(values) for name, values in drifts.items()}
        squares = [moved[:, k, 0] @ moved[:, k, 0].T / moved.shape[-1] / p for k, p in enumerate(per)]
        seen = {name: extrapolate(combined(drift), 2) for name, combined in BLOCKS.items()}
        return seen | {"covariance": extrapolate([c.ravel() for c in squares], 2)}

    @property
    def _parts(self) -> dict[str, np.ndarray]:
        """The draws (a, f) of every order and both signs, for σ as it moves and for parts of it that stay; all as wide."""
        n, d = self.optimizer.epoch, len(self.along)
        identity, nothing = np.eye(d), np.zeros((d, d))
        stays = {"σ": identity, "Pσ": self.along, "Qσ": identity - self.along, "(P−Q)σ": 2 * self.along - identity}
        chosen = {"epoch": (1.0, nothing), **{name: (0.0, part) for name, part in stays.items()}}
        orders = np.array(list(permutations(range(n)))).T
        found = {}
        for name, (whole, part) in chosen.items():
            sample = np.sqrt(n) * np.concatenate([whole * np.eye(n), part @ self.sigma])  # (n + D)×n
            drawn = np.concatenate([sample[:, order] for order in orders])
            found[name] = np.concatenate([drawn, -drawn], axis=1)
        return found

    def _ends(self, draws: np.ndarray, slow: np.ndarray, rate: Fraction) -> np.ndarray:
        kind, parameters = self.kind, self.state
        known: dict[sp.Symbol, Any] = {s: kind.number(a) for s, a in self.point.items()}
        if not self.optimizer.is_finite:
            known[self.optimizer.rate] = kind.arithmetic.constant(rate)
        start = np.array([known[s] for s in parameters], dtype=kind.dtype)
        z = np.repeat(start[:, None], len(slow), axis=1)
        drawn = {s: row.astype(kind.dtype) for s, row in zip(self.draws, draws, strict=True)}
        moved = np.empty_like(z)
        with np.errstate(all="ignore"):
            given = {**known, **drawn, self.slow: slow.astype(kind.dtype)}
            kind.function(self.epoch, parameters, given, z.shape[1])(z, moved)
            return Settling(kind, self.rest, parameters, (), self.optimizer.label).ends(moved, known)


def _move(problem: Problem, by_sympy: BySymPy, count: int, *, noisy: bool) -> RandomMove:
    """∇L, and noise σ(x)a + f with symbols for a (n) and f (D); all by SymPy."""
    graph, d = Graph(), problem.dimension
    gradient = by_sympy.derivatives.select("gradient").on(graph)["gradient"].entries
    variables = tuple(map(graph.symbol, problem.parameters))
    if not noisy:
        return RandomMove(variables, gradient, (), gradient=gradient, noise=[graph.constant(0)] * d)
    symbols = (*(sp.Dummy(f"a{k}") for k in range(count)), *(sp.Dummy(f"f{i}") for i in range(d)))
    a, f = symbols[:count], symbols[count:]
    driven: Sequence[Any] = (by_sympy.noise.on(graph)["noise_factor"] @ Matrix.column(map(graph.symbol, a))).entries
    noise = [s + graph.symbol(stays) for s, stays in zip(driven, f, strict=True)]
    force = [g + s for g, s in zip(gradient, noise, strict=True)]
    return RandomMove(variables, force, symbols, gradient=gradient, noise=noise)
