"""Where the noiseless iteration of an optimizer ends: z ← G(z, 0) from z = (x, 0), many starting points at once.

At a learning rate that stays it is this limit, and not that of the gradient flow, where the limiting SDE begins.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.flow.loss_functions import smooth_loss
from symbolic_sgd.flow.numerics.state import SmoothLoss
from symbolic_sgd.numeric.in_place import InPlaceProgram
from symbolic_sgd.numeric.optimizer_move import no_slow_fields, noiseless_move, optimizer_move
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.regular_point import is_clear

BLOCK = 64
"""Steps between two looks at where the iterations are."""

MOST = 2**18
"""Steps, at most: a curvature with ηλ = 2·10⁻⁴ takes half of them."""

REST = 1e-13
"""Relative to 1 + |z|: an iteration that has moved by less in its last step and in its last block is at rest; one that has moved by
less in the block alone is in a cycle."""

NEAR = 1e-9
"""Newton distance to Γ, relative to 1 + |x|, that one Newton step removes: it errs by the square."""


@dataclass(frozen=True)
class Ends:
    """Where iterations have ended (B×D, nan where they have not reached Γ), and why not, in words ("" where they have)."""

    points: np.ndarray
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class NoiselessIteration:
    """z ← G(z, 0).

    Args:
        step: G(z, 0), of the rows of z and of the constants.
        size: rows of z.
        loss: ∇L and ∇²L.
        edge: the curvature beyond which steps lead away from Γ, of rows of constants (B×C → B).
        rank: M.
        label: what the optimizer is called.
    """

    step: InPlaceProgram
    size: int
    loss: SmoothLoss
    edge: Callable[[np.ndarray], np.ndarray]
    rank: int
    label: str

    @staticmethod
    def of(problem: Problem, optimizer: Optimizer, rank: int) -> "NoiselessIteration":
        """That of an optimizer whose learning rate stays, and whose symbols are among the problem's constants; slow fields, which
        vanish with the noise, are no part of it."""
        still = noiseless_move(optimizer.noise_source(problem))
        none = no_slow_fields(problem, still.variables[0].graph)
        move = optimizer_move(optimizer, problem, still, slow=none)
        # With a preconditioner the edge is one of S∇²L: there the iteration itself tells.
        edge_of_hessian = None if optimizer.in_metric else optimizer.edge
        limit = None if edge_of_hessian is None else Matrix.column([from_sympy(edge_of_hessian, Graph())])
        program = None if limit is None else Program.of({"edge": limit})

        def edge(constants: np.ndarray) -> np.ndarray:
            if program is None:
                return np.full(len(constants), np.inf)
            return evaluate(program, problem.constants, constants)["edge"][:, 0]

        step = InPlaceProgram(move.program, (*move.state, *problem.constants))
        return NoiselessIteration(
            step, len(move.state), smooth_loss(problem, problem.landscape()), edge, rank, optimizer.label
        )

    def ends(self, rows: np.ndarray) -> Ends:
        """From starting points x, each followed by the constants (B×(D+C))."""
        d, count = self.loss.dimension, len(rows)
        points, reasons = np.full((count, d), np.nan), [""] * count
        left, z = np.arange(count), np.zeros((self.size, count))
        z[:d] = rows[:, :d].T
        with np.errstate(all="ignore"):
            for _ in range(MOST // BLOCK):
                if not len(left):
                    break
                before, constants = z.copy(), np.ascontiguousarray(rows[left, d:].T)
                last = self._block(z, constants)
                lost = ~np.isfinite(z).all(axis=0)
                for row in left[lost]:
                    reasons[row] = "it leaves the range of float64: the learning rate is too large for this start"
                scale = REST * (1 + np.linalg.norm(z, axis=0))
                back = np.abs(z - before).max(axis=0) <= scale
                rests = back & (np.abs(last).max(axis=0) <= scale)
                points[left[rests]] = z[:d, rests].T
                for row in left[back & ~rests]:
                    reasons[row] = "it ends in a cycle: the learning rate is too large for this start"
                goes_on = ~(lost | back)
                left, z = left[goes_on], np.ascontiguousarray(z[:, goes_on])
            for row in left:
                reasons[row] = (
                    f"it is not at rest after {MOST:,} steps: a curvature is near 0 or near the edge, or it wanders"
                )
            self._judge(points, rows, reasons)
        return Ends(points, tuple(reasons))

    def _block(self, z: np.ndarray, constants: np.ndarray) -> np.ndarray:
        """A block of steps of z in place; what the last of them has moved."""
        moved = np.empty_like(z)
        for _ in range(BLOCK - 1):
            self.step(z, constants, moved)
            z[:] = moved
        self.step(z, constants, moved)
        last = moved - z
        z[:] = moved
        return last

    def _judge(self, points: np.ndarray, rows: np.ndarray, reasons: list[str]) -> None:
        """Put what has come to rest beside Γ on it, and refuse the rest."""
        d = self.loss.dimension
        rested = np.flatnonzero([not reason for reason in reasons])
        at = np.concatenate([points[rested], rows[rested, d:]], axis=1)
        curvature, axes = np.linalg.eigh(self.loss.hessian(at))
        slope = np.einsum("bij,bi->bj", axes, self.loss.gradient(at))
        newton = np.einsum("bij,bj->bi", axes[:, :, -self.rank :], (slope / curvature)[:, -self.rank :])
        distance = np.linalg.norm(newton, axis=1) / (1 + np.linalg.norm(points[rested], axis=1))
        regular = is_clear(curvature, self.rank, distance) & (curvature[:, -self.rank] > 0)
        limit = self.edge(rows[rested, d:])
        for k, row in enumerate(rested):
            where = np.array2string(points[row], precision=6, threshold=8)
            if not (regular[k] and distance[k] <= NEAR):
                reasons[row] = (
                    f"it rests at {where}, which is no regular point of Γ: ∇L is not 0 there, or ∇²L does not have "
                    f"{self.rank} positive curvatures"
                )
            elif curvature[k, -1] >= limit[k]:
                reasons[row] = (
                    f"it rests at {where}, where the largest curvature {curvature[k, -1]:.6g} is beyond the edge of stability "
                    f"{limit[k]:.6g} of {self.label}: whatever is beside it moves away"
                )
            else:
                points[row] -= newton[k]
                continue
            points[row] = np.nan
