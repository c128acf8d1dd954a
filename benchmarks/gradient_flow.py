"""Limits of gradient flows: all starting points in one call, against SciPy's integrators one point at a time.

Both sides get the same hand-written NumPy derivatives, so that integrators are compared. The peer is the fastest of
SciPy's methods, each at the loosest tolerance that reaches an error of 10⁻¹⁰ after a Newton finish.

    python benchmarks/gradient_flow.py
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from symbolic_sgd.flow.numerics.many_points import limits_of_flow
from symbolic_sgd.flow.numerics.state import SmoothLoss

WANTED = 1e-10
"""Largest error relative to 1 + |x| that both sides must reach."""

DEFAULT = 1e-12
"""The tolerance of `gradient_flow_limit`."""

STIFF_PEERS = ("Radau", "BDF", "LSODA")
PEERS = ("DOP853", *STIFF_PEERS)
TOLERANCES = (1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13)

COMPARED = 20
"""Starting points that the peers integrate."""

DECAY = 14.0
"""The peers stop this many decay times of the slowest curvature on Γ after the transient: e⁻¹⁴ ≈ 10⁻⁶, of which the
Newton finish leaves the square."""

TRANSIENT = 7.0
"""Time that the transient is given, in the same unit."""

PATIENCE = 30.0
"""Seconds after which a peer is given up at one tolerance."""


@dataclass(frozen=True)
class Case:
    """A loss, its starting points, the rank of its Hessian on Γ, and the integrators that are fit for it."""

    name: str
    loss: SmoothLoss
    starts: np.ndarray
    rank: int
    peers: tuple[str, ...]


def overparametrised(inputs: np.ndarray, targets: np.ndarray) -> SmoothLoss:
    """L = Σ_i (z_i·(u² − v²) − y_i)² / 2n."""
    count, half = inputs.shape
    pairs = np.tile(inputs.T @ inputs, (2, 2)) * (4 / count)
    place = np.arange(2 * half)

    def pull(rows: np.ndarray) -> np.ndarray:
        u, v = rows[:, :half], rows[:, half:]
        return ((u * u - v * v) @ inputs.T - targets) @ inputs * (2 / count)

    def gradient(rows: np.ndarray) -> np.ndarray:
        force = pull(rows)
        return np.concatenate([force * rows[:, :half], -force * rows[:, half:]], axis=1)

    def hessian(rows: np.ndarray) -> np.ndarray:
        force = pull(rows)
        signed = np.concatenate([rows[:, :half], -rows[:, half:]], axis=1)
        result = signed[:, :, None] * pairs * signed[:, None, :]
        result[:, place, place] += np.concatenate([force, -force], axis=1)
        return result

    return SmoothLoss(2 * half, gradient, hessian, lambda rows, spread: np.full((len(rows), 2 * half), np.nan))


def valley(ratio: float) -> SmoothLoss:
    """L = ½(a − sin p)² + ½ ratio (b − cos 2p)², with parameters (p, a, b): a curved valley with steep walls."""

    def gradient(rows: np.ndarray) -> np.ndarray:
        p, a, b = rows.T
        near, steep = a - np.sin(p), ratio * (b - np.cos(2 * p))
        return np.stack([-np.cos(p) * near + 2 * np.sin(2 * p) * steep, near, steep], axis=1)

    def hessian(rows: np.ndarray) -> np.ndarray:
        p, a, b = rows.T
        cosine, double = np.cos(p), 2 * np.sin(2 * p)
        result = np.zeros((len(rows), 3, 3))
        result[:, 0, 0] = cosine**2 + (a - np.sin(p)) * np.sin(p) + ratio * double**2
        result[:, 0, 0] += 4 * ratio * (b - np.cos(2 * p)) * np.cos(2 * p)
        result[:, 0, 1] = result[:, 1, 0] = -cosine
        result[:, 0, 2] = result[:, 2, 0] = ratio * double
        result[:, 1, 1], result[:, 2, 2] = 1.0, ratio
        return result

    return SmoothLoss(3, gradient, hessian, lambda rows, spread: np.full((len(rows), 3), np.nan))


def cases() -> list[Case]:
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(2, 4)), rng.normal(size=2)
    return [
        Case("overparametrised, D = 8", overparametrised(inputs, targets), rng.normal(size=(10_000, 8)), 2, PEERS),
        Case("steep valley, ratio 10⁶, D = 3", valley(1e6), rng.normal(size=(1_000, 3)), 2, STIFF_PEERS),
    ]


def peer_limit(case: Case, start: np.ndarray, until: float, method: str, tolerance: float) -> np.ndarray:
    """SciPy's integration up to a time, and two Newton steps in the normal space."""
    loss, implicit = case.loss, method != "DOP853"
    options: dict[str, Any] = {"jac": lambda _, x: -loss.hessian(x[None])[0]} if implicit else {}

    def velocity(_: float, x: np.ndarray) -> np.ndarray:
        return -loss.gradient(x[None])[0]

    solution = solve_ivp(
        velocity, (0, until), start, method=method, rtol=tolerance, atol=tolerance / 100, t_eval=[until], **options
    )
    if not solution.success:
        return np.full(len(start), np.nan)
    return polished(case, solution.y[:, -1])


def polished(case: Case, x: np.ndarray) -> np.ndarray:
    for _ in range(2):
        curvature, axes = np.linalg.eigh(case.loss.hessian(x[None])[0])
        normal = axes[:, -case.rank :]
        x = x - normal @ ((normal.T @ case.loss.gradient(x[None])[0]) / curvature[-case.rank :])
    return x


def settling_times(case: Case, limits: np.ndarray) -> np.ndarray:
    """How long the peers integrate from each start, which we know only because we know the limit."""
    slowest = np.linalg.eigvalsh(case.loss.hessian(limits))[:, -case.rank]
    return (DECAY + TRANSIENT) / slowest


def seconds(action: Callable[[], object]) -> float:
    before = time.process_time()
    action()
    return time.process_time() - before


def peer(case: Case, starts: np.ndarray, exact: np.ndarray, method: str) -> tuple[float, float, float]:
    """Seconds per point, tolerance, error: at the loosest tolerance that is good enough; nan where none is."""
    until = settling_times(case, exact)
    for tolerance in TOLERANCES:
        errors, times, first = [], [], time.process_time()
        for start, end, known in zip(starts, until, exact, strict=True):
            before = time.process_time()
            found = peer_limit(case, start, end, method, tolerance)
            times.append(time.process_time() - before)
            errors.append(np.abs(found - known).max() / (1 + np.linalg.norm(known)))
            if not errors[-1] <= WANTED or time.process_time() - first > PATIENCE:
                break
        if max(errors) <= WANTED and len(errors) == len(starts):
            return float(np.mean(times)), tolerance, max(errors)
    return float("nan"), float("nan"), float("nan")


def report(case: Case) -> None:
    """Our time on all starts in one call, the peers' on some of them, and the ratio to the fastest."""
    exact = limits_of_flow(case.loss, case.starts, case.rank, tolerance=1e-13).points
    print(f"{case.name}: {len(case.starts)} starts in one call")
    ours = {tolerance: one_call(case, exact, tolerance) for tolerance in (WANTED, DEFAULT)}
    best = np.inf
    for method in case.peers:
        each, tolerance, error = peer(case, case.starts[:COMPARED], exact[:COMPARED], method)
        best = np.fmin(best, each)
        print(f"  {method:12} {1e3 * each:10.3f} ms per point, rtol {tolerance:.0e}   error {error:.1e}")
    for tolerance, each in ours.items():
        print(f"  ratio to the fastest, at tolerance {tolerance:.0e}: {best / each:.1f}")
    print()


def one_call(case: Case, exact: np.ndarray, tolerance: float) -> float:
    """Our seconds per point."""
    runs = [seconds(lambda: limits_of_flow(case.loss, case.starts, case.rank, tolerance=tolerance)) for _ in range(3)]
    result = limits_of_flow(case.loss, case.starts, case.rank, tolerance=tolerance)
    each = median(runs) / len(case.starts)
    errors = np.abs(result.points - exact).max(1) / (1 + np.linalg.norm(exact, axis=1))
    print(
        f"  {'in one call':12} {1e3 * each:10.3f} ms per point, tolerance {tolerance:.0e}   error {errors.max():.1e}, "
        f"{result.reached.sum()} reached, at most {result.steps} steps"
    )
    return each


if __name__ == "__main__":
    for each in cases():
        report(each)
