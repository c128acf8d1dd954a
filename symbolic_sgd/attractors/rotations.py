"""Continuous orthogonal symmetries of a limit: skew X with f(e^{tX}x) = f(x) and R(e^{tX}x) = R(x), by linear algebra."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.attractors.descent import Descent
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint, matrix_rank

SEED = 6007

LARGEST = 1500
"""Entries of a skew matrix up to which symmetries are sought."""

FURTHER = 12
"""Linear equations beyond the number of unknowns."""

DEPENDENT = 1e-9
"""Singular values of these equations below this, relative to the largest, are none."""

DENOMINATOR = 64
"""Entries of symmetries, in reduced form, are fractions with denominators up to this."""

WEIGHTS = 2.0
"""Standard deviation of the points at which the equations are written down."""

TURNS, BEST, STEPS, ALIKE = 64, 6, 40, 1e-7
"""Turns of a point that is sought on the orbit of another, how many of the closest are improved, by how many steps, and how close one has
to come, relative to 1 + |x|."""


@dataclass(frozen=True, eq=False)
class Rotations:
    """Generators of the symmetries, proved to be such.

    Args:
        generators: skew D×D matrices of fractions, linearly independent.
        sought: whether they were looked for.
    """

    generators: tuple[np.ndarray, ...]
    sought: bool = True

    def orbit(self, point: PrecisePoint, parameters: Sequence[sp.Symbol]) -> int:
        """The dimension of the orbit of a point: the rank of {Xx}."""
        if not self.generators:
            return 0
        with mp.workdps(HIGH):
            x = mp.matrix([point.assignment[s] for s in parameters])
            columns = [mp.matrix(g.tolist()) * x for g in self.generators]
            return matrix_rank(mp.matrix([[c[i] for c in columns] for i in range(len(x))]))

    def joins(self, x: np.ndarray, y: np.ndarray) -> bool:
        """Whether e^A x = y was found for a combination A of the generators: by Newton's method from many turns."""
        close = ALIKE * (1 + np.abs(y).max())
        if np.abs(x - y).max() <= close:
            return True
        if not self.generators or abs(np.linalg.norm(x) - np.linalg.norm(y)) > close:
            return False
        rng, generators = np.random.default_rng(SEED), np.array(self.generators)
        turns = np.einsum("sk,kij->sij", 3 * rng.normal(size=(TURNS, len(generators))), generators)
        begin = sorted((_turned(x, turn) for turn in turns), key=lambda z: float(np.linalg.norm(z - y)))
        return any(self._leads(z, y, close) for z in begin[:BEST])

    def _leads(self, z: np.ndarray, y: np.ndarray, close: float) -> bool:
        for _ in range(STEPS):
            frame = np.stack([g @ z for g in self.generators], axis=1)
            step = np.linalg.lstsq(frame, y - z, rcond=1e-9)[0]
            step *= min(1.0, 1.0 / (np.linalg.norm(step) + 1e-300))
            z = _turned(z, np.einsum("k,kij->ij", step, np.array(self.generators)))
            if np.abs(z - y).max() <= close:
                return True
            if np.linalg.norm(step) < 1e-9:
                break
        return False


def _turned(x: np.ndarray, generator: np.ndarray) -> np.ndarray:
    """e^A x for a skew A: by the eigenvectors of the Hermitian iA."""
    values, axes = np.linalg.eigh(1j * generator)
    return np.real(axes @ (np.exp(-1j * values) * (axes.conj().T @ x)))


def rotations(descent: Descent) -> Rotations:
    """The skew X with ∇f_i·Xx = 0 and ∇R·Xx = 0 identically: candidates at random points, each of them then proved.

    What is not proved is left out, so that some may be missing, and none is wrong.
    """
    d = len(descent.parameters)
    pairs = list(combinations(range(d), 2))
    if not pairs or len(pairs) > LARGEST:
        return Rotations((), sought=not pairs)
    program = Program.of({"slopes": descent.slopes, "gradient": descent.gradient})
    wanted = (len(pairs) + FURTHER) // (len(descent.equations) + 1) + FURTHER
    points = np.random.default_rng(SEED).normal(scale=WEIGHTS, size=(wanted, d))
    values = evaluate(program, descent.parameters, points)
    rows = np.concatenate([values["slopes"].reshape(wanted, -1, d), values["gradient"][:, None, :]], axis=1)
    first, second = np.array(pairs).T
    # ∇f·Xx for X = Σ a_kl (E_kl − E_lk).
    system = rows[:, :, first] * points[:, None, second] - rows[:, :, second] * points[:, None, first]
    system = system.reshape(-1, len(pairs))
    system = system[np.isfinite(system).all(axis=1)]
    lengths = np.linalg.norm(system, axis=1)
    system = system[lengths > 0] / lengths[lengths > 0][:, None]
    if len(system) < len(pairs):
        return Rotations(())
    _, sizes, axes = np.linalg.svd(system, full_matrices=False)
    kernel = axes[sizes <= DEPENDENT * sizes[0]]
    return Rotations(tuple(g for g in _reduced(kernel, pairs, d) if _proved(descent, g)))


def _reduced(kernel: np.ndarray, pairs: Sequence[tuple[int, int]], d: int) -> list[np.ndarray]:
    """A basis of a row space in reduced echelon form, as skew matrices of fractions."""
    rows, done = kernel.copy(), 0
    for column in range(rows.shape[1]):
        if done == len(rows):
            break
        place = done + int(np.argmax(np.abs(rows[done:, column])))
        if abs(rows[place, column]) < 1e-6:
            continue
        rows[[done, place]] = rows[[place, done]]
        rows[done] /= rows[done, column]
        others = np.arange(len(rows)) != done
        rows[others] -= np.outer(rows[others, column], rows[done])
        done += 1
    found = []
    for row in rows[:done]:
        generator = np.zeros((d, d))
        for (k, j), entry in zip(pairs, row, strict=True):
            fraction = Fraction(entry).limit_denominator(DENOMINATOR)
            generator[k, j], generator[j, k] = float(fraction), -float(fraction)
        found.append(generator)
    return found


def _proved(descent: Descent, generator: np.ndarray) -> bool:
    """Whether J Xx = 0 and ∇R·Xx = 0 as functions."""
    graph = descent.height.graph
    x = [graph.symbol(s) for s in descent.parameters]
    entries = [[Fraction(a).limit_denominator(DENOMINATOR) for a in row] for row in generator]
    moved = [graph.total(graph.constant(a) * x[j] for j, a in enumerate(row) if a) for row in entries]
    fields = [*(descent.slopes.entries[k : k + len(x)] for k in range(0, len(descent.slopes.entries), len(x)))]
    fields.append(descent.gradient.entries)
    return all(zero_functions([graph.total(a * b for a, b in zip(g, moved, strict=True)) for g in fields]))
