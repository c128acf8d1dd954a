"""Random points of Γ for the checks: such as the callables take, and not where Γ is about to end or to cross itself."""

from collections.abc import Mapping, Sequence

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.errors import OffManifold, SingularPoint
from symbolic_sgd.manifold.walk import wander
from symbolic_sgd.numeric.guard import check_points
from symbolic_sgd.theorem.derivation import Derivation

ROOM = 0.05
"""A point is taken where every curvature across Γ stays of its size for at least so far along Γ, relative to 1 + |x|."""

ROUNDS = 8
"""So many times as many points as are wanted are looked at; after that, those with most room are taken."""

SHIFT = 1e-5
"""Of the central differences, relative to 1 + |x|: room needs no digits."""

Point = Mapping[sp.Symbol, PreciseNumber]


def fresh_points(derivation: Derivation, rng: np.random.Generator, count: int) -> tuple[Point, ...]:
    """Random points of Γ, to 100 digits.

    Where components of Γ cross, ∇²L loses its rank, and whatever is computed close by loses its digits: the formulas are as
    right there as elsewhere, but no independent road has the accuracy to say so. A verdict that depended on how close the
    random points happen to lie would depend on the seed.
    """
    seen: list[Point] = []
    rooms: list[float] = []
    for _ in range(ROUNDS):
        drawn = wander(derivation.problem, derivation.codimension, derivation.points, rng, count)
        seen.extend(drawn)
        rooms.extend(room(derivation, point) for point in drawn)
        if sum(a >= ROOM for a in rooms) >= count:
            break
    order = sorted(range(len(seen)), key=lambda i: -min(rooms[i], ROOM))
    return tuple(seen[i] for i in order[:count])


def room(derivation: Derivation, point: Point) -> float:
    """min_j λ_j/(|∂λ_j along Γ|(1 + |x|)) over the normal curvatures λ_j, at most 1; −1 where the callables refuse the point."""
    row = floats(derivation.problem.symbols, point)
    if not accepted(derivation, row):
        return -1.0
    d, rank = derivation.problem.dimension, derivation.codimension
    extent = 1 + float(np.linalg.norm(row[:d]))
    _, axes = np.linalg.eigh(_hessians(derivation, row[None])[0])
    moves = SHIFT * extent * axes[:, : d - rank].T
    around = np.tile(row, (2 * len(moves), 1))
    around[:, :d] += np.concatenate([moves, -moves])
    hessians = _hessians(derivation, around)
    if not np.isfinite(hessians).all():
        return 0.0
    ahead, behind = np.split(np.linalg.eigvalsh(hessians)[:, -rank:], 2)
    change = np.linalg.norm(ahead - behind, axis=0) / (2 * SHIFT)
    size = (ahead + behind).mean(axis=0) / 2
    return float(np.min(size / np.maximum(change, size)))


def accepted(derivation: Derivation, row: np.ndarray) -> bool:
    """Whether the callables take a row (the parameters, then the constants) for a point where the formulas hold."""
    try:
        check_points(derivation, row[None])
    except (OffManifold, SingularPoint):
        return False
    return True


def floats(symbols: Sequence[sp.Symbol], point: Point) -> np.ndarray:
    """A point in float64, in the order of the symbols."""
    return np.array([float(point[s]) for s in symbols])


def shown(symbols: Sequence[sp.Symbol], point: Point) -> str:
    """A point in words; what is zero to its digits is written so."""
    values = floats(symbols, point)
    tiny = 1e-30 * (1 + np.abs(values).max(initial=0.0))
    return "(" + ", ".join(f"{s} = {a if abs(a) > tiny else 0:.6g}" for s, a in zip(symbols, values, strict=True)) + ")"


def _hessians(derivation: Derivation, rows: np.ndarray) -> np.ndarray:
    d = derivation.problem.dimension
    return evaluate(derivation.guard.select("hessian"), derivation.problem.symbols, rows)["hessian"].reshape(-1, d, d)


def farthest(rows: np.ndarray, known: np.ndarray, most: int) -> np.ndarray:
    """Again and again the row that is farthest from those known and chosen, at most so many, on a scale that is linear near 0
    and logarithmic far away."""
    scaled, chosen = np.arcsinh(rows), list[int]()
    distance = np.linalg.norm(scaled[:, None] - np.arcsinh(known)[None], axis=2).min(axis=1, initial=np.inf)
    while len(chosen) < min(most, len(rows)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1))
    return rows[chosen]
