"""Radau IIA collocation of a gradient flow ẋ = −∇L(x) and of its linear variations, many points at once.

All arrays of stages are stage-major: (s, B, D) for s stages of B points in D dimensions. Because the Hessian is
symmetric, one eigendecomposition H = V diag(λ) Vᵀ per point serves every stage: with A = T diag(μ) T⁻¹ the simplified
Newton system (I + hA ⊗ H) ΔZ = R falls into numbers, ΔẐ = R̂ / (1 + hμλ).

Source: Hairer & Wanner, Solving Ordinary Differential Equations II, IV.5 (the methods) and IV.8 (their implementation).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from scipy.special import roots_jacobi, roots_legendre

MOST_NEWTON_ITERATIONS = 16
"""A step that needs more is cheaper as two steps."""

MOST_LINEAR_ITERATIONS = 40
"""The linear variational systems cost no evaluation of the loss, so that patience is cheap."""

SLOWEST_CONTRACTION = 0.8
"""A simplified Newton iteration that shrinks by less is given up, except at the level of rounding."""

ROUNDING = 1e-15
"""Relative size, a few units in the last place, below which a Newton correction says nothing."""

STALLED = 1e-10
"""Relative size below which a Newton correction that no longer shrinks is taken for rounding (of stiff gradients)."""


@dataclass(frozen=True)
class Collocation:
    """Radau IIA with s stages, order 2s − 1.

    `into` and `back` take the s stages to the eigenbasis of A, one of each conjugate pair, real parts stacked upon
    imaginary parts, and back again. `monomials` takes stages to the coefficients of θ, …, θˢ. The last four describe
    the s points of Gauss at which the defect of the collocation polynomial is sampled and integrated.
    """

    nodes: np.ndarray
    matrix: np.ndarray
    eigenvalues: np.ndarray
    into: np.ndarray
    back: np.ndarray
    monomials: np.ndarray
    defect_nodes: np.ndarray
    defect_values: np.ndarray
    defect_slopes: np.ndarray
    defect_weights: np.ndarray

    @property
    def stages(self) -> int:
        return len(self.nodes)


def radau(stages: int) -> Collocation:
    """The tables of Radau IIA, from the zeros of the Jacobi polynomial P^(1,0)_{s−1} and the end of the step."""
    nodes = np.append((1 + roots_jacobi(stages - 1, 1, 0)[0]) / 2, 1.0)
    others, weights = (1 + roots_legendre(stages)[0]) / 2, roots_legendre(stages)[1] / 2
    matrix = _integrals(nodes, stages) @ np.linalg.inv(_legendre(nodes, stages))
    eigenvalues, into, back = _half_spectrum(matrix)
    # The polynomial that vanishes at 0 with values Z on the nodes has the slopes matrix⁻¹ Z there, of degree s − 1.
    slopes = np.linalg.inv(matrix)
    to_others = _legendre(others, stages) @ np.linalg.inv(_legendre(nodes, stages))
    integrals = _integrals(others, stages) @ np.linalg.inv(_legendre(nodes, stages))
    return Collocation(
        nodes=nodes,
        matrix=matrix,
        eigenvalues=eigenvalues,
        into=into,
        back=back,
        monomials=np.linalg.inv(nodes[:, None] ** np.arange(1, stages + 1)),
        defect_nodes=others,
        defect_values=integrals @ slopes,
        defect_slopes=to_others @ slopes,
        defect_weights=weights,
    )


def _legendre(points: np.ndarray, count: int) -> np.ndarray:
    """Values at points of [0, 1] of the first shifted Legendre polynomials: points × count."""
    return legendre.legvander(2 * points - 1, count - 1)


def _integrals(points: np.ndarray, count: int) -> np.ndarray:
    """∫₀^c of the first shifted Legendre polynomials: points × count."""
    antiderivatives = [legendre.legint(row, lbnd=-1) / 2 for row in np.eye(count)]
    return np.column_stack([legendre.legval(2 * points - 1, row) for row in antiderivatives])


def _half_spectrum(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One of each pair of conjugate eigenvalues of A, and the real matrices to and from their eigenvectors."""
    values, vectors = np.linalg.eig(matrix)
    rows = np.linalg.inv(vectors)
    half = np.flatnonzero(np.imag(values) > -1e-12)
    twice = np.where(np.abs(np.imag(values[half])) > 1e-12, 2.0, 1.0)
    columns = vectors[:, half] * twice
    return (
        values[half],
        np.vstack([np.real(rows[half]), np.imag(rows[half])]),
        np.hstack([np.real(columns), -np.imag(columns)]),
    )


@dataclass(frozen=True)
class Solver:
    """1 / (1 + hμλ) and hμ / (1 + hμλ) for each eigenvalue μ of A (half of each pair) and λ of H.

    Real upon imaginary parts: (2, ⌈s/2⌉, B, D).
    """

    table: Collocation
    inverse: np.ndarray
    scaled: np.ndarray

    @staticmethod
    def of(table: Collocation, lengths: np.ndarray, curvature: np.ndarray) -> "Solver":
        scaled = table.eigenvalues[:, None] * lengths
        inverse = 1 / (1 + scaled[:, :, None] * curvature)
        product = scaled[:, :, None] * inverse
        return Solver(table, _parts(inverse), _parts(product))

    def take(self, rows: np.ndarray) -> "Solver":
        return Solver(self.table, self.inverse[:, :, rows], self.scaled[:, :, rows])

    def solve(self, slopes: np.ndarray, stages: np.ndarray | None = None) -> np.ndarray:
        """(I + hA ⊗ λ)⁻¹ (hA slopes − stages), all in the eigenbasis of H: (s, B, D) or (s, B, D, n)."""
        wide = slopes.ndim - 3
        half = times(self.scaled, mix(self.table.into, slopes), wide)
        if stages is not None:
            half -= times(self.inverse, mix(self.table.into, stages), wide)
        return mix(self.table.back, half)


def _parts(values: np.ndarray) -> np.ndarray:
    return np.stack([np.real(values), np.imag(values)])


def times(factor: np.ndarray, stacked: np.ndarray, wide: int) -> np.ndarray:
    """A complex factor (2, k, B, D) times complex numbers (2k, B, D, …), both as real parts upon imaginary parts."""
    real_factor, imaginary_factor = factor.reshape(factor.shape + (1,) * wide)
    half = len(real_factor)
    real, imaginary = stacked[:half], stacked[half:]
    product = np.empty_like(stacked)
    np.multiply(real_factor, real, out=product[:half])
    product[:half] -= imaginary_factor * imaginary
    np.multiply(imaginary_factor, real, out=product[half:])
    product[half:] += real_factor * imaginary
    return product


def mix(matrix: np.ndarray, stages: np.ndarray) -> np.ndarray:
    """A matrix acting on the stages: (p × s), (s, B, …) → (p, B, …)."""
    return (matrix @ stages.reshape(len(stages), -1)).reshape(len(matrix), *stages.shape[1:])


def turn(stages: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Each stage times the point's own matrix: (s, B, D), (B, D, D) → (s, B, D)."""
    result = np.empty_like(stages)
    np.matmul(stages.transpose(1, 0, 2), axes, out=result.transpose(1, 0, 2))
    return result


@dataclass(frozen=True)
class Stages:
    """The stages Z (s, B, D) less the start of the step; whether they were found; how fast Newton's method shrank."""

    values: np.ndarray
    found: np.ndarray
    contraction: np.ndarray


def nonlinear_stages(
    velocity: Callable[[np.ndarray, np.ndarray], np.ndarray],
    solver: Solver,
    axes: np.ndarray,
    guess: np.ndarray,
    scale: np.ndarray,
    tolerance: float,
    rows: np.ndarray,
) -> Stages:
    """Z = hA F(x + Z) by simplified Newton iteration with the Hessian of the start.

    Args:
        velocity: stages Z (s, b, D) and the indices (b) of their points → F(x + Z) in the eigenbasis of H.
        solver: (I + hA ⊗ λ)⁻¹.
        axes: V (B, D, D).
        guess: Z to start from (s, B, D).
        scale: size against which corrections are measured (B).
        tolerance: relative error of Z at which to stop.
        rows: the points for which to do it; the others are returned as guessed and not found.
    """
    values = guess.copy()
    found, contraction = np.zeros(len(scale), bool), np.zeros(len(scale))
    before = np.full(len(rows), np.nan)
    for _ in range(MOST_NEWTON_ITERATIONS if len(rows) else 0):
        part = slice(None) if len(rows) == len(scale) else rows
        stages = values[:, part]
        some = solver if len(rows) == len(scale) else solver.take(rows)
        change = turn(some.solve(velocity(stages, rows), turn(stages, axes[part])), axes[part].transpose(0, 2, 1))
        values[:, part] = stages + change
        size = np.abs(change).max((0, 2)) / scale[rows]
        rate = size / before
        contraction[rows] = np.fmax(contraction[rows], np.where(before > 1e-9, rate, 0.0))
        bound = np.where(rate < 1, rate / np.maximum(1 - rate, 0.1), np.inf)
        done = (size * np.fmin(bound, 1) <= tolerance) & ~(rate >= 1) | (size <= ROUNDING)
        done |= (size < STALLED) & (rate > SLOWEST_CONTRACTION)
        failed = ~np.isfinite(size) | (rate > SLOWEST_CONTRACTION) & ~done & (size > STALLED)
        found[rows] = done
        keep = ~(done | failed)
        rows, before = rows[keep], size[keep]
        if not len(rows):
            break
    return Stages(values, found, contraction)


def coupled_stages(
    local: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    table: Collocation,
    lengths: np.ndarray,
    guess: np.ndarray,
    scale: np.ndarray,
    tolerance: float,
) -> Stages:
    """Z = hA F(x + Z) by Newton's iteration with the Hessian at every stage.

    Along a curved valley with walls λ₁ the simplified iteration contracts by about hλ₁ (angle turned)², which forbids
    steps that the error would allow; this one does not mind, for the price of a system of size sD for each point.

    Args:
        local: stages Z (s, b, D) and the indices (b) of their points → F (s, b, D), H (s, b, D, D) at x + Z.
        table: the method.
        lengths: h (B).
        guess, scale, tolerance: as for `nonlinear_stages`.
    """
    values, found = guess.copy(), np.zeros(len(scale), bool)
    rows, before = np.arange(len(scale)), np.full(len(scale), np.nan)
    inverse = np.linalg.inv(table.matrix)
    for _ in range(MOST_NEWTON_ITERATIONS):
        stages = values[:, rows]
        velocity, hessian = local(stages, rows)
        residual = velocity - mix(inverse, stages) / lengths[rows, None]
        change = solve_coupled(table, lengths[rows], hessian, residual[..., None])[..., 0]
        values[:, rows] = stages + change
        size = np.abs(change).max((0, 2)) / scale[rows]
        rate = size / before
        done = (size * np.fmin(rate, 1) <= tolerance) | (size <= ROUNDING) | (size < STALLED) & (rate > 0.1)
        failed = ~np.isfinite(size) | (rate > 2)
        found[rows] = done
        keep = ~(done | failed)
        rows, before = rows[keep], size[keep]
        if not len(rows):
            break
    return Stages(values, found, np.zeros(len(scale)))


def solve_coupled(table: Collocation, lengths: np.ndarray, hessian: np.ndarray, force: np.ndarray) -> np.ndarray:
    """(A⁻¹ ⊗ I / h + diag H_i)⁻¹ force: H (s, b, D, D), force (s, b, D, n) → (s, b, D, n); nan where not finite."""
    count, points, dimension, columns = force.shape
    matrix = np.zeros((points, count, dimension, count, dimension))
    place = np.arange(dimension)
    matrix[:, :, place, :, place] = np.linalg.inv(table.matrix) / lengths[:, None, None]
    stage = np.arange(count)
    matrix[:, stage, :, stage, :] += hessian
    flat = matrix.reshape(points, count * dimension, -1)
    sides = force.transpose(1, 0, 2, 3).reshape(points, -1, columns)
    good = np.isfinite(flat).all((1, 2)) & np.isfinite(sides).all((1, 2))
    result = np.full_like(sides, np.nan)
    result[good] = np.linalg.solve(flat[good], sides[good])
    return result.reshape(points, count, dimension, columns).transpose(1, 0, 2, 3)


def linear_stages(
    solver: Solver,
    lengths: np.ndarray,
    curvature: np.ndarray,
    remainder: np.ndarray,
    force: np.ndarray,
    scale: np.ndarray,
    tolerance: float,
) -> Stages:
    """Z = hA (force − (λ + remainder) Z), in the eigenbasis of H; directly where the iteration does not converge.

    Args:
        solver: (I + hA ⊗ λ)⁻¹.
        remainder: what the Hessian at the stages differs from that of the start (s, B, D, D).
        lengths: h (B).
        curvature: λ (B, D).
        force: the derivative at Z = 0 (s, B, D, n).
        scale: size against which corrections are measured (B).
        tolerance: relative size of the last correction.
    """
    values = solver.solve(force)
    rows, found = np.arange(len(scale)), np.zeros(len(scale), bool)
    for _ in range(MOST_LINEAR_ITERATIONS):
        part = slice(None) if len(rows) == len(scale) else rows
        some = solver if len(rows) == len(scale) else solver.take(rows)
        update = some.solve(force[:, part] - remainder[:, part] @ values[:, part])
        size = np.abs(update - values[:, part]).max((0, 2, 3), initial=0.0) / scale[rows]
        values[:, part] = update
        found[rows] = size <= tolerance
        rows = rows[(size > tolerance) & (size < 1e6)]
        if not len(rows):
            break
    rest = np.flatnonzero(~found)
    if len(rest):
        hessian = remainder[:, rest] + curvature[rest, :, None] * np.eye(curvature.shape[1])
        values[:, rest] = solve_coupled(solver.table, lengths[rest], hessian, force[:, rest])
        found[rest] = np.isfinite(values[:, rest]).all((0, 2, 3))
    return Stages(values, found, np.zeros(len(scale)))


def defect_error(
    table: Collocation, lengths: np.ndarray, curvature: np.ndarray, stages: np.ndarray, slopes: np.ndarray
) -> np.ndarray:
    """The local error of the end of the step, ∫ e^{−λ(h − t)} (F(u) − u̇) dt over the collocation polynomial u.

    The exponential is replaced by 1 / (1 + z + z²/2), which does not underflow between the points of a stiff step.
    Asymptotically exact for h → 0.

    Args:
        table: the method.
        lengths: h (B).
        curvature: λ (B, D).
        stages: Z in the eigenbasis of H (s, B, D, …).
        slopes: F(u) at the defect nodes, in the eigenbasis of H (s, B, D, …).

    Returns:
        (B, D, …), in the eigenbasis of H.
    """
    wide = (1,) * (stages.ndim - 3)
    decay = (lengths[:, None] * curvature) * (1 - table.defect_nodes)[:, None, None]
    weight = table.defect_weights[:, None, None] / (1 + decay + decay**2 / 2)
    defect = lengths.reshape(-1, 1, *wide) * slopes - mix(table.defect_slopes, stages)
    return np.sum(weight.reshape(*weight.shape, *wide) * defect, axis=0)


def coupled_defect_error(
    table: Collocation, lengths: np.ndarray, hessian: np.ndarray, stages: np.ndarray, slopes: np.ndarray
) -> np.ndarray:
    """The same with (1 + z/2)⁻² for the exponential and the Hessian of each defect node in z = (h − t) H.

    Where the walls of a valley turn within the step, it is their own normal that has to be damped.

    Args:
        hessian: at the defect nodes (s, B, D, D).
        others: as for `defect_error`, with one more axis (s, B, D, n), in the basis of the Hessian that is given.
    """
    spread = (1 - table.defect_nodes)[:, None] * lengths / 2
    matrix = spread[:, :, None, None] * hessian + np.eye(hessian.shape[-1])
    defect = lengths[:, None, None] * slopes - mix(table.defect_slopes, stages)
    good = np.isfinite(matrix).all((0, 2, 3)) & np.isfinite(defect).all((0, 2, 3))
    matrix[:, ~good] = np.eye(hessian.shape[-1])
    damped = np.linalg.solve(matrix, np.linalg.solve(matrix, defect))
    return np.sum(table.defect_weights[:, None, None, None] * damped, axis=0)


def extrapolation(table: Collocation, coefficients: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """The last step's polynomial u(1 + ratio c_i) − u(1): coefficients of θ, …, θˢ (B, s, D), ratio (B) → (s, B, D)."""
    places = 1 + ratio[:, None] * table.nodes
    powers = places[:, :, None] ** np.arange(1, table.stages + 1) - 1
    return np.ascontiguousarray((powers @ coefficients).transpose(1, 0, 2))
