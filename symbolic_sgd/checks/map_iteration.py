"""A map z⁺ = G(z, εξ) + ε²g(z) iterated from beside Γ: the oracle of the limit of any optimizer that is stated as a map.

The drift is that of one step with every atom of the noise; its blocks are those of starts ι(x) + εΠG_ξξ for Π = P, Q, P − Q, and what
is left of the drift is the curvature of the map in its noise. The derivatives for Π and G_ξ are SymPy's, and P is by null vectors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import nodes_of
from symbolic_sgd.checks.by_sympy import precise
from symbolic_sgd.checks.extended import DIGITS, extended
from symbolic_sgd.checks.literal_map import MapBySymPy
from symbolic_sgd.checks.observation import Observation, extrapolate
from symbolic_sgd.checks.own_iteration import LEVELS, REACH, Point, atoms, mean
from symbolic_sgd.checks.settling import Settling
from symbolic_sgd.errors import FlowDidNotConverge
from symbolic_sgd.optimizers.iterated_map import IteratedMap
from symbolic_sgd.problems.problem import Problem

BLOCKS = {
    "tangent_noise_compensation": lambda d: d["Pσ"],
    "mixed_regularization": lambda d: (d["σ"] - d["(P−Q)σ"]) / 2,
    "normal_regularization": lambda d: d["Qσ"],
    "noise_curvature_drift": lambda d: d["map"] - d["σ"],
    "imposed_drift": lambda d: d["slow drift"],
    "drift": lambda d: d["map"] + d["slow drift"],
}
"""How the terms follow from the drifts under parts of the noise."""


def observed_of_map(
    problem: Problem, optimizer: IteratedMap, point: Point, rank: int, length: float = 1.0
) -> dict[str, Observation]:
    """Drift, its blocks, and covariance of x per ε², at a point of Γ, by iterating the map.

    Args:
        problem: the loss, with the map's symbols among its constants.
        optimizer: the map.
        point: x ∈ Γ with the constants, to many digits.
        rank: M.
        length: over which the map bends.

    Returns:
        The values of `BLOCKS`, and "covariance" (D², row by row), each with its accuracy.

    Raises:
        FlowDidNotConverge: an iteration does not come to rest.
    """
    with mp.workdps(DIGITS):
        local = _Local.of(problem, optimizer, point)
        projection = _projection(local.slope, problem.dimension - rank)
        size = np.linalg.norm(local.driven, axis=0).max() * np.sqrt(local.driven.shape[1])
        scales = REACH * length / size / 2.0 ** np.arange(LEVELS) if size else 2.0 ** -np.arange(4, 4 + LEVELS)
        draws = atoms(local.driven.shape[1])
        identity = np.eye(len(projection))
        parts = {"Pσ": projection, "Qσ": identity - projection, "σ": identity, "(P−Q)σ": 2 * projection - identity}
        columns = [local.rest(1), *(local.stepped(np.zeros((draws.shape[0], 1)), 0.0, e**2) for e in scales)]
        for e in scales:
            columns += [
                local.stepped(draws, e, 0.0),
                *(local.beside(e * part @ local.driven @ draws) for part in parts.values()),
            ]
        ends = local.settling.ends(np.concatenate(columns, axis=1), local.known)
        shifts = ends[:, 1:] - ends[:, :1]
        slow, moved = shifts[:, :LEVELS], shifts[:, LEVELS:].reshape(len(ends), LEVELS, 1 + len(parts), -1)
        drifts: dict[str, list[np.ndarray]] = {name: [] for name in ("slow drift", "map", *parts)}
        covariances = []
        for k, e in enumerate(scales):
            per = float(e) ** 2
            drifts["slow drift"].append(mean(slow[:, k : k + 1]) / per)
            for n, name in enumerate(("map", *parts)):
                drifts[name].append(mean(moved[:, k, n]) / per)
            squares = moved[:, k, 0].astype(float)
            covariances.append((squares @ squares.T / squares.shape[1] / per).ravel())
        drift = {name: np.array(values) for name, values in drifts.items()}
        seen = {name: extrapolate(combined(drift), 2) for name, combined in BLOCKS.items()}
        return seen | {"covariance": extrapolate(covariances, 2)}


@dataclass(frozen=True)
class _Local:
    """The map at a point of Γ, in the coordinates (x, m − ι(x)).

    Args:
        settling: its noiseless iteration.
        first: one step, with ξ and the weight of the slow drift.
        draws: ξ.
        weight: the symbol of that weight.
        known: the constants, as extended numbers.
        place: x, then zeros.
        slope: ∂G there.
        driven: G_ξ V^{1/2} there.
        root: V^{1/2}.
    """

    settling: Settling
    first: Program
    draws: tuple[sp.Symbol, ...]
    weight: sp.Symbol
    known: Mapping[sp.Symbol, Any]
    place: np.ndarray
    slope: np.ndarray
    driven: np.ndarray
    root: np.ndarray

    @staticmethod
    def of(problem: Problem, optimizer: IteratedMap, point: Point) -> "_Local":
        stated, d = MapBySymPy(problem, optimizer), problem.dimension
        number = lambda m: np.array(m.tolist(), dtype=float)  # noqa: E731
        slope = number(precise(stated.program.select("slope"), point)["slope"])
        driven = number(precise(stated.noise, point)["noise_factor"])
        root = number(precise(Program.of({"root": nodes_of(optimizer.factor, Graph())}), point)["root"])
        kind = extended(i.op for program in (stated.step, stated.rest) for i in program.instructions)
        known = {s: kind.number(point[s]) for s in problem.symbols}
        reach = np.abs(slope[:d, d:]).max(axis=0, initial=0.0)
        weights = np.where(reach > 0, np.minimum(reach, 1), 1).tolist()
        settling = Settling(kind, stated.rest, stated.state, weights, optimizer.label)
        place = [known[s] for s in problem.parameters] + [kind.number(mp.mpf(0))] * len(stated.memory)
        first = np.array(place, dtype=kind.dtype)
        return _Local(settling, stated.step, stated.draws, stated.weight, known, first, slope, driven, root)

    def rest(self, count: int) -> np.ndarray:
        """ι(x), so many times."""
        return np.repeat(self.place[:, None], count, axis=1)

    def beside(self, shifts: np.ndarray) -> np.ndarray:
        """ι(x) + shifts."""
        return self.rest(shifts.shape[1]) + shifts.astype(self.place.dtype)

    def stepped(self, atoms: np.ndarray, scale: float, weight: float) -> np.ndarray:
        """One step from ι(x) with ξ = scale·V^{1/2}a for every atom a, and the slow drift times the weight."""
        z, dtype = self.rest(atoms.shape[1]), self.place.dtype
        drawn = {s: row.astype(dtype) for s, row in zip(self.draws, scale * self.root @ atoms, strict=True)}
        drawn[self.weight] = np.full(atoms.shape[1], weight).astype(dtype)
        moved = np.empty_like(z)
        self.settling.kind.function(self.first, self.settling.state, {**self.known, **drawn}, z.shape[1])(z, moved)
        return moved


def _projection(slope: np.ndarray, tangent: int) -> np.ndarray:
    """P on ker(I − ∂G) along its range, by null vectors."""
    left, sizes, right = np.linalg.svd(np.eye(len(slope)) - slope)
    if tangent < len(slope) and sizes[-tangent - 1] < 1e-12 * max(sizes[0], 1):
        raise FlowDidNotConverge("the map rests on more than Γ: I − ∂G has more null vectors than Γ has directions")
    kernel, cokernel = right[-tangent:].T, left[:, -tangent:]
    return kernel @ np.linalg.solve(cokernel.T @ kernel, cokernel.T)
