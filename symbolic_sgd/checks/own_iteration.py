"""The optimizer's own iteration as the oracle of its limit: nothing is random, and no formula enters.

From x ∈ Γ one step is made with every atom of a noise of the stated covariance, and then the noiseless iteration goes on until it
rests. With Φ_G the limit of that iteration, (E Φ_G(G(x, εξ)) − x)/ε² = drift + O(ε²) per step, and likewise the covariance; the
means are finite sums, and Richardson's extrapolation removes the powers of ε. Where the learning rate tends to 0, so it is
extrapolated, too.

Where each step draws one of n samples, or a batch of them, all of which rest on Γ, G is a random map: every sequence of k samples (of k
batches) is followed, and then the mean map. What this leaves out is a sum of J powers μᵏ, one for each eigenvalue of the linear map of
second moments across Γ, whatever these eigenvalues are: the limit follows from 2J + 1 depths k.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import ceil, comb
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import from_sympy, nodes_of
from symbolic_sgd.checks.by_sympy import BySymPy, precise
from symbolic_sgd.checks.extended import DIGITS, extended
from symbolic_sgd.checks.observation import Observation, extrapolate
from symbolic_sgd.checks.settling import Settling
from symbolic_sgd.errors import BadInput, FlowDidNotConverge, ProblemTooLarge
from symbolic_sgd.numeric.optimizer_move import no_slow_fields, optimizer_move
from symbolic_sgd.numeric.random_move import RandomMove
from symbolic_sgd.optimizers.optimizer import NOISE_SCALE, Optimizer, with_symbols_of
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.perturbation import LossPerturbation
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.regular_point import kernel
from symbolic_sgd.simulate.optimizers import at_numbers

Point = Mapping[sp.Symbol, PreciseNumber]

LEVELS = 6
"""Noise scales, each half the one before."""

REACH = 2.0**-4
"""The largest displacement, beside the length over which the loss changes."""

RATES = 6
"""Learning rates γ, γ/2, …, γ/6, where they tend to 0."""

MODERATE = 0.125
"""The largest of these times the largest curvature, at most."""

SOURCES = 400
"""Independent sources of noise in a step, at most: each is followed by itself, with both signs."""

BATCHES = 400
"""Of samples, each a map of its own, at most."""

SEQUENCES = 20
"""Of samples, that are followed at most."""

TWINS = 8
"""Sequences that differ by the errors of their entries, by which the error of their limit is known."""

FEW = 4
"""Noise scales where sequences of samples are followed."""

BLOCKS = {
    "tangent_noise_compensation": lambda d: d["Pσ"],
    "mixed_regularization": lambda d: (d["σ"] - d["(P−Q)σ"]) / 2,
    "normal_regularization": lambda d: d["Qσ"],
    "imposed_drift": lambda d: d["slow fields"],
    "drift": lambda d: d["map"] + d["slow fields"],
}
"""How the terms follow from the drifts under parts of the noise."""


def observed(
    problem: Problem,
    optimizer: Optimizer,
    point: Point,
    rank: int,
    length: float = 1.0,
    sequences: int = SEQUENCES,
) -> dict[str, Observation]:
    """Drift, its blocks, and covariance per unit of t, at a point of Γ, by iterating the optimizer.

    Args:
        problem: the loss and the noise, of whose covariance alone use is made.
        optimizer: which.
        point: x ∈ Γ with the constants, and the optimizer's symbols where the limit depends on them, to many digits.
        rank: M.
        length: over which ∇²L changes.
        sequences: of samples, that are followed at most.

    Returns:
        The values of `BLOCKS`, and "covariance" (D², row by row), each with its accuracy.

    Raises:
        FlowDidNotConverge: an iteration does not come to rest.
        ProblemTooLarge: more sources of noise, or sequences of samples, would have to be followed; a random map with a memory.
    """
    with mp.workdps(DIGITS):
        if optimizer.whole_time is not None:
            return _observed_in_whole_time(problem, optimizer, optimizer.whole_time, point, rank, length)
        oracle = _Oracle(problem, optimizer, dict(point), rank, length)
        if not optimizer.is_finite:
            rates = oracle.rates()
            return extrapolated([oracle.at(rate) for rate in rates], rates)
        if not oracle.samples:
            return oracle.at(None)
        order = rank * (rank + 1) // 2
        needed = len(oracle.samples) ** (2 * order)
        if oracle.has_memory or needed > sequences:
            what = "a memory beside them" if oracle.has_memory else f"{needed:,} sequences, more than {sequences:,}"
            kind = "samples" if oracle.problem.noise.batch(oracle.problem) == 1 else "batches"
            raise ProblemTooLarge(f"each step draws one of {len(oracle.samples)} {kind}, and there are {what}")
        return _summed([oracle.at(None, depth) for depth in range(2 * order + 1)], order)


def _observed_in_whole_time(
    problem: Problem, optimizer: Optimizer, time: sp.Expr, point: Point, rank: int, length: float
) -> dict[str, Observation]:
    """At learning rates α/n, α/2n, … for a time α that steps have to fill: of each an optimizer of its own, without draws of samples."""
    values = {s: Fraction(float(value)) for s, value in point.items()}
    known: Any = time.xreplace({s: sp.Rational(a.numerator, a.denominator) for s, a in values.items()})
    whole = Fraction(int(known.p), int(known.q)) if known.is_Rational else Fraction(float(known))

    def oracle(steps: int) -> _Oracle:
        of_steps = at_numbers(optimizer, values, whole / steps)
        return _Oracle(problem, of_steps, dict(point), rank, length, sampled=False)

    first = ceil(whole * Fraction(oracle(1).largest / MODERATE))
    counts = [first * n for n in range(1, RATES + 1)]
    return extrapolated([oracle(n).at(None) for n in counts], [whole / n for n in counts])


class _Oracle:
    """One step with every atom, and the noiseless iteration, as programs on many columns of extended numbers."""

    def __init__(
        self,
        problem: Problem,
        optimizer: Optimizer,
        point: dict[sp.Symbol, Any],
        rank: int,
        length: float,
        *,
        sampled: bool = True,
    ):
        self.problem, self.optimizer = with_symbols_of(optimizer.stated, problem, iterated=True), optimizer.stated
        self.unit, self.perturbed = optimizer.time_unit, problem.noise.mean_potential is not None
        optimizer = self.optimizer
        for s in self.problem.constants:
            point.setdefault(s, mp.mpf(1) / 2)  # of the optimizer; the limit does not depend on it
        self.point, self.length, self.d = point, length, problem.dimension
        self.by_sympy = BySymPy(self.problem)
        hessian = precise(self.by_sympy.derivatives.select("hessian"), point)["hessian"]
        self.iteration = optimizer.iteration_of(self.problem)
        tangent, metric = kernel(hessian, rank), self._metric()
        # Noise Πσ of the gradient moves by SΠσ: along Γ where SΠ = PS, for the projection P on its tangent space along range S∇²L.
        self.along = tangent @ np.linalg.solve(tangent.T @ np.linalg.solve(metric, tangent), tangent.T)
        self.along = np.linalg.solve(metric, self.along)
        if optimizer.step_factor(self.problem) is not None:  # Π of the steps themselves: P
            self.along = metric @ self.along @ np.linalg.inv(metric)
        curvature = np.array(hessian.tolist(), dtype=float)
        self.largest = float(np.linalg.eigvals(metric @ curvature).real.max())
        self.first, self.further = (
            _step(self.problem, optimizer, self.by_sympy),
            _rest(self.problem, optimizer, self.by_sympy),
        )
        drawn = sampled and optimizer.is_finite
        self.samples = _samples(self.problem, optimizer, self.by_sympy) if drawn else ()
        self.dual = _dual(self.problem, optimizer)
        programs = [self.first.program, self.further.program, *(sample.program for sample in self.samples)]
        programs += [] if self.dual is None else [self.dual.into.program, self.dual.back.program]
        self.kind = extended(i.op for program in programs for i in program.instructions)
        self.known = {s: self.kind.number(point[s]) for s in self.problem.symbols}

    def _metric(self) -> np.ndarray:
        """S at the point; I where there is none."""
        metric = self.optimizer.metric(self.problem)
        if metric is None:
            return np.eye(self.d)
        entries = nodes_of(metric, Graph())
        return np.array(precise(Program.of({"metric": entries}), self.point)["metric"].tolist(), dtype=float)

    @property
    def has_memory(self) -> bool:
        """Whether one step draws more than one sample, or keeps what it has drawn."""
        return self.iteration.memory > 0 or self.iteration.draws > 1

    def rates(self) -> list[Fraction]:
        """Learning rates that tend to 0, from one well below the edge."""
        rate = Fraction(MODERATE / self.largest / self._number(self.optimizer.effective_rate, Fraction(1)))
        while self._edge(rate) < self.largest / MODERATE:
            rate /= 2
        return [rate / n for n in range(1, RATES + 1)]

    def _edge(self, rate: Fraction | None) -> float:
        """The curvature beyond which steps lead away from Γ; 0 where there is no such optimizer at this rate."""
        values = {s: Fraction(float(self.point[s])) for s in self.problem.constants}
        try:
            edge = at_numbers(self.optimizer, values, rate).edge
        except BadInput:
            return 0.0
        return np.inf if edge is None else float(edge)

    def _check_edge(self, rate: Fraction | None) -> None:
        edge = self._edge(rate)
        if self.largest >= edge:
            raise FlowDidNotConverge(
                f"the largest curvature {self.largest:.6g} at the point is beyond the edge of stability {edge:.6g} of "
                f"{self.optimizer.label}"
            )

    def at(self, rate: Fraction | None, depth: int = 0) -> dict[str, Observation]:
        """What is seen at a learning rate (None where the optimizer has one), when so many steps draw samples."""
        self._check_edge(rate)
        levels = FEW if self.samples else LEVELS
        noise = precise(self.by_sympy.noise, self.point)["noise_factor"]
        sigma = np.array(noise.tolist(), dtype=float)
        sources = self.iteration.draws * sigma.shape[1]
        if sources > SOURCES:
            raise ProblemTooLarge(f"{sources:,} independent sources of noise are drawn in a step, more than {SOURCES}")
        drawn = atoms(sources)
        size = (
            self._number(self.optimizer.effective_rate, rate)
            * np.linalg.norm(sigma, axis=0).max()
            * np.abs(drawn).max()
        )
        scales = REACH * self.length / size / 2.0 ** np.arange(levels) if size else 2.0 ** -np.arange(4, 4 + levels)
        unit = self._number(self.unit.subs(NOISE_SCALE, 1), rate) * self.iteration.local_steps
        identity = np.eye(self.d)
        parts = {"σ": identity, "Pσ": self.along, "Qσ": identity - self.along, "(P−Q)σ": 2 * self.along - identity}
        if self.perturbed:  # first, so that the covariances are those of the steps themselves
            parts = {"map": identity} | parts
        drifts: dict[str, list[np.ndarray]] = {name: [] for name in (*parts, "slow fields")}
        covariances: list[np.ndarray] = []
        ends, stepped = self._ends(self._columns(drawn, scales, parts), rate, depth)
        shifts = ends[:, :, 1:] - ends[:, :, :1]  # D × sequences of samples × columns
        slow, moved = shifts[:, :, :levels], shifts[:, :, levels:].reshape(*shifts.shape[:2], levels, len(parts), -1)
        # What one step moves in the mean is the curvature of the map in its noise, which is no part of the blocks.
        bent = (stepped[:, 1 + levels :] - stepped[:, :1]).reshape(self.d, levels, len(parts), -1)
        curved: dict[str, list[np.ndarray]] = {name: [] for name in parts}
        for level, scale in enumerate(scales):
            per = unit * float(scale) ** 2
            drifts["slow fields"].append(mean(slow[:, :, level]) / per)
            for k, name in enumerate(parts):
                drifts[name].append(mean(moved[:, :, level, k]) / per)
                curved[name].append(
                    self.along.T @ mean(bent[:, level, k]) / per
                )  # P of it: what is across Γ is forgotten
            squares = _floats(moved[:, :, level, 0].reshape(self.d, -1))
            covariances.append((squares @ squares.T / squares.shape[1] / per).ravel())
        drift = {name: np.array(values) for name, values in drifts.items()}
        drift.setdefault("map", drift["σ"])
        seen = {"drift": extrapolate(BLOCKS["drift"](drift), 2)}
        if self.optimizer.curves_noise:
            seen["noise_curvature_drift"] = extrapolate(curved["σ"], 2)
            drift |= {name: drift[name] - np.array(values) for name, values in curved.items()}
        if self.perturbed:
            seen["noise_curvature_drift"] = extrapolate(drift["map"] - drift["σ"], 2)
        seen = {name: extrapolate(combined(drift), 2) for name, combined in BLOCKS.items()} | seen
        return seen | {"covariance": extrapolate(covariances, 2)}

    def _columns(self, atoms: np.ndarray, scales: np.ndarray, parts: Mapping[str, np.ndarray]) -> "_Columns":
        """x itself, x with slow fields at every scale, and every atom at every scale under every part."""
        count, width = len(scales), atoms.shape[1]
        noisy = [
            (scale * atoms, np.repeat(part.reshape(-1, 1), width, axis=1))
            for scale in scales
            for part in parts.values()
        ]
        whole = np.concatenate(
            [np.zeros(1 + count), np.tile(np.repeat([name == "map" for name in parts], width), count)]
        )
        still = np.zeros((atoms.shape[0], 1 + count))
        draws = np.concatenate([still, *(a for a, _ in noisy)], axis=1)
        projections = np.concatenate([np.zeros((self.d**2, 1 + count)), *(p for _, p in noisy)], axis=1)
        slow = np.zeros(draws.shape[1])
        slow[1 : 1 + count] = scales**2
        return _Columns(draws, projections, slow, whole)

    def _ends(self, columns: "_Columns", rate: Fraction | None, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Where the iteration ends after one step of every column and every sequence of samples, D×sequences×columns; and where that one
        step leads, D×columns."""
        width, kind = len(columns.slow), self.kind
        known: dict[sp.Symbol, Any] = dict(self.known)
        if rate is not None:
            known[self.optimizer.rate] = kind.arithmetic.constant(rate)
        z = np.zeros((len(self.first.state), width), dtype=float).astype(kind.dtype)
        z[: self.d] = np.array([known[s] for s in self.problem.parameters], dtype=kind.dtype)[:, None]
        drawn = [
            *zip(self.first.draws, columns.draws, strict=True),
            *zip(self.first.projection, columns.projections, strict=True),
            (self.first.slow, columns.slow),
            (self.first.whole, columns.whole),
        ]
        with np.errstate(all="ignore"):
            z = self._moved(self.first, z, known | {s: row.astype(kind.dtype) for s, row in drawn})
            stepped = z[: self.d].copy()  # settling goes on in place
            for _ in range(depth):
                z = np.concatenate([self._moved(sample, z, known) for sample in self.samples], axis=1)
            weights = [self._number(self.optimizer.effective_rate, rate)] * (len(z) - self.d)
            settling = Settling(self.kind, self.further.program, self.further.state, weights, self.optimizer.label)
            if self.dual is None:
                ends = settling.ends(z, known)
            else:
                ends = self._moved(self.dual.back, settling.ends(self._moved(self.dual.into, z, known), known), known)
        return ends.reshape(self.d, -1, width), stepped

    def _moved(self, step: "_Step | _Rest", z: np.ndarray, known: Mapping[sp.Symbol, Any]) -> np.ndarray:
        moved = np.empty_like(z)
        self.kind.function(step.program, step.state, known, z.shape[1])(z, moved)
        return moved

    def _number(self, expression: Any, rate: Fraction | None) -> float:
        known: dict[sp.Symbol, Any] = {s: sp.Float(str(self.point[s]), DIGITS) for s in self.problem.constants}
        if rate is not None:
            known[self.optimizer.rate] = sp.Rational(rate.numerator, rate.denominator)
        return float(sp.sympify(expression).xreplace(known))


@dataclass(frozen=True)
class _Columns:
    """Draws (q×B), what the noise is multiplied by (D²×B), ε² of the slow fields (B), and 1 where the loss itself is perturbed (B)."""

    draws: np.ndarray
    projections: np.ndarray
    slow: np.ndarray
    whole: np.ndarray


@dataclass(frozen=True)
class _Step:
    """The first step: its program, and the symbols of z, of all draws, of the entries of Π, of what multiplies slow fields, and of what
    multiplies what a perturbed loss has beside its noise of first order."""

    program: Program
    state: tuple[sp.Symbol, ...]
    draws: tuple[sp.Symbol, ...]
    projection: tuple[sp.Symbol, ...]
    slow: sp.Symbol
    whole: sp.Symbol


@dataclass(frozen=True)
class _Rest:
    """A further step, without noise."""

    program: Program
    state: tuple[sp.Symbol, ...]


@dataclass(frozen=True)
class _Dual:
    """∇ψ(x), and x(y), where the step is made in y = ∇ψ(x)."""

    into: _Rest
    back: _Rest


def _step(problem: Problem, optimizer: Optimizer, by_sympy: BySymPy) -> _Step:
    """G with the noise Πσ(x)a, for a matrix Π of numbers, and slow fields times a number; ∇L and σ are SymPy's.

    Of a perturbed loss ∂_xL̂(x, V^{1/2}a) − ∇L − σ(x)a is added, times a number.
    """
    graph, d = Graph(), problem.dimension
    gradient, sigma = _gradient(by_sympy, graph), by_sympy.noise.on(graph)["noise_factor"]
    factor = optimizer.step_factor(problem)
    if factor is not None:
        gradient, sigma, optimizer = (
            _mean_field(optimizer, problem, gradient, graph),
            factor.on(graph)["factor"],
            _linear(optimizer),
        )
    projection, slow = tuple(sp.Dummy(f"p{k}") for k in range(d * d)), sp.Dummy("slow")
    symbols = tuple(sp.Dummy(f"a{k}") for k in range(sigma.shape[1]))
    onto = Matrix.of([graph.symbol(s) for s in projection[i * d : (i + 1) * d]] for i in range(d))
    draw, whole = Matrix.column(map(graph.symbol, symbols)), sp.Dummy("whole")
    noise = (onto @ sigma @ draw).entries
    if isinstance(problem.noise, LossPerturbation):
        perturbed = Matrix.column(from_sympy(e, graph) for e in problem.noise.perturbed_gradient(problem, symbols))
        beyond = perturbed - Matrix.column(gradient) - sigma @ draw
        noise = [n + graph.symbol(whole) * b for n, b in zip(noise, beyond.entries, strict=True)]
    fields = [
        graph.symbol(slow) * from_sympy(optimizer.effective_rate * g, graph) for g in optimizer.slow_field(problem)
    ]
    force = [a + b for a, b in zip(gradient, noise, strict=True)]
    variables = tuple(map(graph.symbol, problem.parameters))
    move = RandomMove(variables, force, symbols, gradient=gradient, noise=noise)
    step = optimizer_move(optimizer, problem, move, slow=fields)
    return _Step(step.program, step.state, tuple(a for draw in step.draws for a in draw), projection, slow, whole)


def _rest(problem: Problem, optimizer: Optimizer, by_sympy: BySymPy) -> _Rest:
    """G without noise and slow fields: y − η∇L(x(y)) where the step is made in coordinates y, so that x ↦ y ↦ x is not rounded in
    each of many steps."""
    dual = optimizer.dual_coordinates(problem)
    if dual is None:
        return _noiseless(problem, optimizer, by_sympy.derivatives)
    graph = Graph()
    here = dict(zip(map(graph.symbol, problem.parameters), (from_sympy(e, graph) for e in dual.inverse), strict=True))
    rate = from_sympy(optimizer.rate, graph)
    slope = Matrix.column(_gradient(by_sympy, graph)).replace(here)
    after = Matrix.column(map(graph.symbol, dual.symbols)) - slope.scaled(rate)
    return _Rest(Program.of({"state": after}), dual.symbols)


def _dual(problem: Problem, optimizer: Optimizer) -> "_Dual | None":
    dual = optimizer.dual_coordinates(problem)
    if dual is None:
        return None
    graph = Graph()
    into = Program.of({"state": Matrix.column(from_sympy(e, graph) for e in dual.slopes)})
    back = Program.of({"state": Matrix.column(from_sympy(e, graph) for e in dual.inverse)})
    return _Dual(_Rest(into, problem.parameters), _Rest(back, dual.symbols))


def _samples(problem: Problem, optimizer: Optimizer, by_sympy: BySymPy) -> tuple[_Rest, ...]:
    """G for each of the equally likely samples, or batches of them, of which a step draws one; none where it takes the full gradient."""
    if problem.noise.samples(problem) is None:
        return ()
    b = problem.noise.batch(problem)
    count = comb(len(problem.residuals), b)
    if count > BATCHES:
        raise ProblemTooLarge(
            f"each step draws one of {count:,} batches of {b} samples, more than {BATCHES}, each of which is followed by itself"
        )
    losses = (by_sympy.function(sum(r**2 for r in batch) / (2 * b)) for batch in combinations(problem.residuals, b))
    return tuple(_noiseless(problem, optimizer, loss) for loss in losses)


def _noiseless(problem: Problem, optimizer: Optimizer, derivatives: Program) -> _Rest:
    graph = Graph()
    gradient = derivatives.select("gradient").on(graph)["gradient"].entries
    if optimizer.step_factor(problem) is not None:
        gradient, optimizer = _mean_field(optimizer, problem, gradient, graph), _linear(optimizer)
    variables = tuple(map(graph.symbol, problem.parameters))
    move = RandomMove(variables, gradient, (), gradient=gradient, noise=[graph.constant(0)] * len(gradient))
    step = optimizer_move(optimizer, problem, move, slow=no_slow_fields(problem, graph))
    return _Rest(step.program, step.state)


def _mean_field(optimizer: Optimizer, problem: Problem, gradient: Sequence[Node], graph: Graph) -> Sequence[Node]:
    """F of an optimizer whose steps are no linear function of the noise, with ∇L in it."""
    slopes = [sp.Dummy(f"g{k}", real=True) for k in range(len(gradient))]
    field = Matrix.column(from_sympy(f, graph) for f in optimizer.mean_field(problem, slopes))
    return field.replace(dict(zip(map(graph.symbol, slopes), gradient, strict=True))).entries


def _linear(optimizer: Optimizer) -> Optimizer:
    """SGD, which makes the mean step and adds what it is told, with the slow fields of the optimizer."""
    return SGD(weight_decay=optimizer.decay)


def _gradient(by_sympy: BySymPy, graph: Graph) -> Sequence[Node]:
    return by_sympy.derivatives.select("gradient").on(graph)["gradient"].entries


def atoms(count: int) -> np.ndarray:
    """±√q e_i, equally likely: mean 0, covariance I, q×2q."""
    return np.sqrt(count) * np.concatenate([np.eye(count), -np.eye(count)], axis=1)


def mean(shifts: np.ndarray) -> np.ndarray:
    """Over all but the first axis."""
    flat = shifts.reshape(len(shifts), -1)
    return _floats(flat.sum(axis=1) / flat.shape[1])


def _floats(values: np.ndarray) -> np.ndarray:
    return values.astype(float)


def extrapolated(seen: Sequence[Mapping[str, Observation]], rates: Sequence[Fraction]) -> dict[str, Observation]:
    """The limit of a vanishing learning rate, by the polynomial through what was seen (Neville)."""
    nodes, found = [float(rate) for rate in rates], {}
    for name in seen[0]:
        found[name] = _to_zero(nodes, [each[name][0] for each in seen], max(each[name][1] for each in seen))
    return found


def _summed(seen: Sequence[Mapping[str, Observation]], order: int) -> dict[str, Observation]:
    """The limit of sequences s_k = s + Σ_j c_j μ_jᵏ with so many μ_j, the same for all: s = Σ_j γ_j s_j for the γ with Σγ_j = 1 and
    Σ_j γ_j (s_{i+j+1} − s_{i+j}) = 0 for every i (reduced rank extrapolation)."""
    sequence = np.array([np.concatenate([each[name][0] for name in each]) for each in seen])
    errors = np.concatenate(
        [np.full(len(value), max(s[name][1] for s in seen)) for name, (value, _) in seen[0].items()]
    )
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (TWINS, *sequence.shape))
    limit, *twins = (_annihilated(sequence + errors * twin, order) for twin in [0 * signs[0], *signs])
    apart = np.abs(np.array(twins) - limit).max(axis=0)
    ends = np.cumsum([len(value) for value, _ in seen[0].values()])
    parts = zip(seen[0], np.split(limit, ends[:-1]), np.split(apart, ends[:-1]), strict=True)
    return {name: (value, float(error.max())) for name, value, error in parts}


def _annihilated(sequence: np.ndarray, order: int) -> np.ndarray:
    """s of `_summed`, for all entries of the rows s_k by least squares."""
    changes = np.diff(sequence, axis=0)
    system = np.concatenate([changes[i : i + order + 1].T for i in range(len(changes) - order)])
    size = np.abs(system).max()
    rows = np.concatenate([system / size if size else system, np.ones((1, order + 1))])
    weights = np.linalg.lstsq(rows, np.eye(len(rows))[-1], rcond=None)[0]
    return weights @ sequence[-order - 1 :] / weights.sum()


def _to_zero(nodes: Sequence[float], values: Sequence[np.ndarray], error: float = 0.0) -> Observation:
    """The value at 0 of the polynomial through (h, f(h)), and how accurate it is: how much its last order changes it, and what it
    makes of the error of a value.

    >>> limit, accuracy = _to_zero([1, 1/2, 1/3, 1/4, 1/5], [np.array([2 + h + h**2]) for h in (1, 1/2, 1/3, 1/4, 1/5)])
    >>> float(limit[0].round(12)), accuracy < 1e-12
    (2.0, True)
    """
    row, change = list(values), float("inf")
    for order in range(1, len(nodes)):
        last = row[-1]
        row = [
            (nodes[i] * row[i + 1] - nodes[i + order] * row[i]) / (nodes[i] - nodes[i + order])
            for i in range(len(row) - 1)
        ]
        change = float(np.abs(row[-1] - last).max())
    weights = [np.prod([b / (b - a) for b in nodes if b != a]) for a in nodes]
    return row[-1], max(change, float(np.abs(weights).sum()) * error)
