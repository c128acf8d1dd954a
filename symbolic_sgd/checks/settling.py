"""Where a noiseless iteration comes to rest, to all digits of extended numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.extended import Extended
from symbolic_sgd.errors import FlowDidNotConverge

BLOCK = 64
"""Steps between two looks at where the iterations are."""

MOST = 2**18
"""Steps, at most."""

REST = 16
"""Roundings of 1 + |x| that an iteration at rest may move in a block, and parts of a rounding that are nothing."""


@dataclass(frozen=True)
class Settling:
    """z ← G(z, 0) for many columns at once.

    Args:
        kind: of the numbers.
        program: its output `state` is G(z, 0), the parameters first.
        state: the symbols of z.
        weights: how far a unit of each memory would move x.
        label: what the optimizer is called.
    """

    kind: Extended
    program: Program
    state: tuple[sp.Symbol, ...]
    weights: Sequence[float]
    label: str

    def ends(self, z: np.ndarray, known: Mapping[sp.Symbol, Any]) -> np.ndarray:
        """x where each column is at rest, but for rounding: what it moves in a block no longer becomes less.

        Raises:
            FlowDidNotConverge: a column leaves the neighbourhood, or is not at rest after many steps.
        """
        d = len(z) - len(self.weights)
        ends = np.zeros((d, z.shape[1]), dtype=float).astype(self.kind.dtype)
        left, before = np.arange(z.shape[1]), np.full(z.shape[1], np.inf)
        bound = 1e6 * (1 + float(np.abs(z).max()))
        weight = np.array([*[1.0] * d, *self.weights])[:, None].astype(self.kind.dtype)
        move, other = self._stepper(known, z.shape[1]), np.empty_like(z)
        for _ in range(MOST // BLOCK):
            start = z.copy()
            for _ in range(BLOCK):
                move(z, other)
                z, other = other, z
            size = np.abs(z).max(axis=0).astype(float)
            if not (size < bound).all():
                raise FlowDidNotConverge(f"the noiseless iteration of {self.label} leaves the neighbourhood of Γ")
            change = np.abs(weight * (z - start)).max(axis=0).astype(float) / (
                1 + np.abs(z[:d]).max(axis=0).astype(float)
            )
            rests = (change <= REST * self.kind.epsilon) & (change >= before) | (change <= self.kind.epsilon / REST)
            ends[:, left[rests]] = z[:d, rests]
            if rests.all():
                return ends
            before = change
            if rests.any():
                left, z, before = left[~rests], np.ascontiguousarray(z[:, ~rests]), change[~rests]
                move, other = self._stepper(known, len(left)), np.empty_like(z)
        raise FlowDidNotConverge(f"the noiseless iteration of {self.label} is not at rest after {MOST:,} steps")

    def _stepper(self, known: Mapping[sp.Symbol, Any], width: int) -> Any:
        return self.kind.function(self.program, self.state, known, width)
