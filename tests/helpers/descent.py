"""SGD on arrays of any size, written out: what the limiting flow of a family is held against."""

from collections.abc import Callable
from typing import Any

import numpy as np


def label_noise_gradient(z: np.ndarray, y: np.ndarray) -> Callable[[Any, np.random.Generator], list[np.ndarray]]:
    """∇ of ½(Σ_j z_ij(u_j² − v_j²) − y_i ± 1)², a sample and a sign drawn for each of R replicas (u, v), (R, d) each."""

    def gradient(x: Any, rng: np.random.Generator) -> list[np.ndarray]:
        u, v = x
        sample, sign = rng.integers(0, len(y), len(u)), 1 - 2 * rng.integers(0, 2, len(u))
        residual = np.einsum("rj,rj->r", z[sample], u * u - v * v) - y[sample]
        pull = 2 * (residual + sign)[:, None] * z[sample]
        return [pull * u, -pull * v]

    return gradient


def stochastic_descent(
    gradient: Callable[[tuple[np.ndarray, ...], np.random.Generator], Any],
    start: tuple[np.ndarray, ...],
    *,
    learning_rate: float,
    steps: int,
    rng: np.random.Generator,
    every: int | None = None,
    record: Callable[[tuple[np.ndarray, ...]], Any] | None = None,
) -> tuple[tuple[np.ndarray, ...], list[Any]]:
    """x ← x − η g(x, ξ) on arrays (R, d), one for each parameter of a coordinate, R replicas side by side.

    Args:
        gradient: draws ξ and returns the loss's gradient for it, as arrays like x.
        start: x(0); it is not changed.
        learning_rate: η.
        steps: how many.
        rng: of the draws.
        every: steps between records.
        record: what is kept of x.

    Returns:
        x after the last step, and the records.
    """
    x = tuple(np.array(a, dtype=float) for a in start)
    kept = []
    for k in range(1, steps + 1):
        for a, g in zip(x, gradient(x, rng), strict=True):
            g *= learning_rate
            a -= g
        if every and record and k % every == 0:
            kept.append(record(x))
    return x, kept
