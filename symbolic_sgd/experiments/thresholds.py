"""From outcomes to thresholds: n at which half of the trials recover w*, with error bars, and their growth with d."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from symbolic_sgd.errors import BadInput
from symbolic_sgd.experiments.sparse_recovery import RECOVERED, Outcome

RESAMPLED = 60
"""Bootstrap samples of an error bar."""


@dataclass(frozen=True)
class Threshold:
    """n at 50 % recovery.

    Args:
        coordinates, sparsity, data: of the trials.
        method: "limit" or "kernel".
        samples: n, by a logistic curve in ln n.
        error: the standard deviation of n under resampling of the trials.
        probabilities: (n, recovered, trials) as counted.
    """

    coordinates: int
    sparsity: int
    data: str
    method: str
    samples: float
    error: float
    probabilities: tuple[tuple[int, int, int], ...]


METHODS: dict[str, Callable[[Outcome], float]] = {"limit": lambda o: o.limit_error, "kernel": lambda o: o.kernel_error}


def thresholds(outcomes: Iterable[Outcome], seed: int = 0) -> list[Threshold]:
    """One threshold for each d, κ, law of the data and method."""
    groups: dict[tuple[int, int, str], list[Outcome]] = {}
    for outcome in outcomes:
        trial = outcome.trial
        groups.setdefault((trial.coordinates, trial.sparsity, trial.data), []).append(outcome)
    rng = np.random.default_rng(seed)
    found = []
    for key, group in sorted(groups.items()):
        for method, error in METHODS.items():
            samples = np.array([o.trial.samples for o in group], dtype=float)
            success = np.array([error(o) <= RECOVERED for o in group])
            middle = _half(samples, success)
            draws = [
                _half(samples[k], success[k])
                for k in (rng.integers(0, len(group), len(group)) for _ in range(RESAMPLED))
            ]
            counts = tuple(
                (int(n), int(success[samples == n].sum()), int((samples == n).sum())) for n in np.unique(samples)
            )
            found.append(Threshold(*key, method, middle, float(np.std(draws)), counts))
    return found


def _half(samples: np.ndarray, success: np.ndarray) -> float:
    """exp(m) of the logistic curve 1/(1 + exp(−s(ln n − m))) of largest likelihood, s ≤ e⁶."""
    if success.all() or not success.any():
        return float("nan")
    x = np.log(samples)
    first = (x[success].min() + x[~success].max()) / 2

    def cost(p: np.ndarray) -> float:
        logit = np.exp(np.clip(p[1], -2, 6)) * (x - p[0])
        return float(np.logaddexp(0, np.where(success, -logit, logit)).sum())

    best = min((minimize(cost, [first, s], method="Nelder-Mead") for s in (1.0, 3.0)), key=lambda r: r.fun)
    return float(np.exp(best.x[0]))


@dataclass(frozen=True)
class Fit:
    """n = slope · x + intercept over the ladder, x = κ ln d or d.

    Args:
        slope, slope_error, intercept: by least squares weighted with the thresholds' errors.
        misfit: the root mean square of (n − fit)/n.
    """

    slope: float
    slope_error: float
    intercept: float
    misfit: float


def measured(found: Iterable[Threshold]) -> list[Threshold]:
    """Those that have a value and an error bar: not all trials of a size succeeded, nor failed, in any resampling."""
    return [t for t in found if np.isfinite(t.samples) and np.isfinite(t.error)]


def fit(found: Sequence[Threshold], *, intercept: bool) -> Fit:
    """n against κ ln d with an intercept, or against d without one.

    Raises:
        BadInput: too few thresholds have a value and an error bar.
    """
    good = measured(found)
    if len({(t.sparsity, t.coordinates) for t in good}) < 1 + intercept:
        raise BadInput(f"{len(good)} thresholds with error bars fix no line: more trials, or other n, are needed")
    n = np.array([t.samples for t in good])
    x = np.array([t.sparsity * np.log(t.coordinates) if intercept else t.coordinates for t in good])
    sigma = np.maximum([t.error for t in good], 0.01 * n)
    columns = np.stack([x, np.ones_like(x)], axis=1)[:, : 2 if intercept else 1]
    weighted = columns / sigma[:, None]
    covariance = np.linalg.inv(weighted.T @ weighted)
    solution = covariance @ weighted.T @ (n / sigma)
    rest = n - columns @ solution
    scatter = max(1.0, float(np.sum((rest / sigma) ** 2)) / max(1, len(n) - columns.shape[1]))
    b = float(solution[1]) if intercept else 0.0
    return Fit(
        float(solution[0]), float(np.sqrt(covariance[0, 0] * scatter)), b, float(np.sqrt(np.mean((rest / n) ** 2)))
    )
