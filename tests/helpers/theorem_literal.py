"""The corrected theorem, transcribed literally: eigenvectors, full derivative tensors, many digits, no frame.

On Γ (gradient zero, H = ∇²L positive semidefinite of rank M), with H = V diag(λ) Vᵀ, Σ = σσᵀ, Q = I − P:

    P = Σ_{λ_a = 0} v_a v_aᵀ,   H† = Σ_{λ_a > 0} v_a v_aᵀ / λ_a,
    S = Σ_{λ_a, λ_b > 0} v_a (v_aᵀ Σ_⊥ v_b) v_bᵀ / (λ_a + λ_b),
    dY = Pσ dW − ½ H† T[Σ_∥] dt − P T[H† Σ_⊥∥] dt − ½ P T[S] dt,   T[B]_k = Σ_ij ∂_i∂_j∂_k L B_ij.

Every derivative is a central difference taken with step 10^−n at 5n digits, so that truncation and rounding
are both of order 10^−2n up to third order.

Source: the poster of Li, Wang and Arora (ICLR 2022), Lemmas 1 and 2 and Main Theorem, the mixed coefficient corrected
from −½ to −1 because both Σ_⊥∥ and Σ_∥⊥ contribute to ½∂²Φ[Σ].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import mpmath as mp
import sympy as sp

PRECISION_FACTOR = 5
NEWTON_STEPS = 60


@dataclass(frozen=True, eq=False)
class LiteralTerms:
    """The theorem at one point of Γ: D×D, D×Ξ and D×1 mpmath matrices, named as the theorem's parts are."""

    codimension: int
    tangent_projection: mp.matrix
    hessian_pinv: mp.matrix
    lyapunov_solution: mp.matrix
    tangent_noise: mp.matrix
    tangent_noise_compensation: mp.matrix
    mixed_regularization: mp.matrix
    normal_regularization: mp.matrix
    drift: mp.matrix


@dataclass(frozen=True, eq=False)
class Spectrum:
    """H = Σ_a λ_a v_a v_aᵀ with λ_1 ≥ … ≥ λ_D: the list of the λ_a and the D×D matrix of columns v_a."""

    values: list
    vectors: mp.matrix

    def spectral_function(self, weight: Callable) -> mp.matrix:
        """Σ_a w(a) v_a v_aᵀ = V diag(w) Vᵀ; D×D. The weight is a function of the index a."""
        return self.vectors * mp.diag([weight(a) for a in range(len(self.values))]) * self.vectors.T


@dataclass(frozen=True, eq=False)
class LiteralLandscape:
    """L at one point of Γ: H's spectrum, M = `rank`, and the third derivatives (D×D×D)."""

    parameters: tuple[sp.Symbol, ...]
    location: tuple[mp.mpf, ...]
    spectrum: Spectrum
    rank: int
    third: list
    digits: int

    def terms(self, sigma: sp.MatrixBase) -> LiteralTerms:
        """The terms of dY for a noise σ(x), D×Ξ."""
        with mp.workdps(PRECISION_FACTOR * self.digits):
            noise = _evaluator(sp.ImmutableMatrix(sigma), self.parameters)(*self.location)
        with mp.workdps(2 * self.digits):
            return _terms(self.spectrum, self.rank, self.third, noise)


def literal_terms(
    loss: sp.Expr,
    parameters: Sequence[sp.Symbol],
    sigma: sp.MatrixBase,
    point: Sequence,
    codimension: int | None = None,
    digits: int = 50,
) -> LiteralTerms:
    """P, H†, S and the four terms of dY at one point, as stated at the head of this file.

    loss: expression in the D parameters; sigma: D×Ξ; point: D exact or mpf numbers, on Γ to `digits` digits.
    codimension: M, or None to count the eigenvalues above 10^(−digits/2) of the largest.
    Raises ValueError where the theorem says nothing: ∇L ≠ 0, or H with a negative eigenvalue.
    Source: the Main Theorem of Li, Wang and Arora (ICLR 2022), the mixed coefficient corrected to −1.
    """
    return literal_landscape(loss, parameters, point, codimension, digits).terms(sigma)


def literal_landscape(
    loss: sp.Expr, parameters: Sequence[sp.Symbol], point: Sequence, codimension: int | None = None, digits: int = 50
) -> LiteralLandscape:
    """What the theorem needs of L at a point of Γ; arguments and errors as those of `literal_terms`."""
    with mp.workdps(PRECISION_FACTOR * digits):
        location = [_number(coordinate) for coordinate in point]
        derivative = _differences(_evaluator(loss, tuple(parameters)), location, mp.mpf(10) ** -digits)
        gradient, hessian = _gradient(derivative, len(location)), _hessian(derivative, len(location))
        third = _third_derivatives(derivative, len(location))
    with mp.workdps(2 * digits):
        spectrum = _spectrum(hessian)
        _require_minimum(gradient, spectrum, digits)
        rank = _rank(spectrum, digits) if codimension is None else codimension
    return LiteralLandscape(tuple(parameters), tuple(location), spectrum, rank, third, digits)


def gradient_and_spectrum(
    loss: sp.Expr, parameters: Sequence[sp.Symbol], point: Sequence, digits: int = 50
) -> tuple[mp.matrix, Spectrum]:
    """∇L (D×1) and H = ∇²L by its eigenvalues, descending, and eigenvectors, to about 2·`digits` digits of the largest."""
    with mp.workdps(PRECISION_FACTOR * digits):
        location = [_number(coordinate) for coordinate in point]
        derivative = _differences(_evaluator(loss, tuple(parameters)), location, mp.mpf(10) ** -digits)
        gradient, hessian = _gradient(derivative, len(location)), _hessian(derivative, len(location))
    with mp.workdps(2 * digits):
        return gradient, _spectrum(hessian)


def point_on_manifold(
    equations: Sequence[sp.Expr], parameters: Sequence[sp.Symbol], start: Sequence, digits: int = 60
) -> list:
    """A zero of g: R^D → R^M near `start`, by minimum-norm Newton steps x ← x − Jᵀ(JJᵀ)^{-1} g(x).

    start: D numbers, any kind; returns D mpf good to `digits` digits. Raises ValueError if Newton does not converge.
    Source: the Gauss–Newton iteration for underdetermined systems (Ben-Israel 1966).
    """
    functions = [_evaluator(equation, tuple(parameters)) for equation in equations]

    def step(location: list) -> mp.matrix:
        tables = [_differences(function, location, mp.mpf(10) ** -digits) for function in functions]
        residual = mp.matrix([table() for table in tables])
        jacobian = mp.matrix([list(_gradient(table, len(location))) for table in tables])
        return jacobian.T * mp.lu_solve(jacobian * jacobian.T, residual)

    return _newton(step, start, digits)


def point_by_gradient(
    loss: sp.Expr,
    parameters: Sequence[sp.Symbol],
    start: Sequence,
    digits: int = 60,
    codimension: int | None = None,
) -> list:
    """A zero of ∇L near `start`, by x ← x − V diag(w) Vᵀ ∇L(x) with H(x) = V diag(λ) Vᵀ.

    With the codimension M known, w_a = 1/λ_a for the M largest λ and 0 otherwise. Otherwise w_a = |λ_a|/(λ_a² + ‖∇L‖),
    which also converges quadratically: at distance ε from Γ the tangent λ are O(ε), their gradient components O(ε²).
    start: D numbers; returns D mpf good to `digits` digits. Raises ValueError if the iteration does not converge.
    Source: Newton's method with a truncated (Tikhonov-filtered) pseudo-inverse, as for any rank-deficient zero set.
    """
    function = _evaluator(loss, tuple(parameters))

    def step(location: list) -> mp.matrix:
        derivative = _differences(function, location, mp.mpf(10) ** -digits)
        gradient, spectrum = _gradient(derivative, len(location)), _spectrum(_hessian(derivative, len(location)))
        size = mp.norm(gradient)

        def filtered(a: int) -> mp.mpf:
            value = abs(spectrum.values[a])
            if codimension is not None:
                return 1 / spectrum.values[a] if a < codimension else mp.mpf(0)
            return value / (value**2 + size) if value else mp.mpf(0)

        return spectrum.spectral_function(filtered) * gradient

    return _newton(step, start, digits)


def _newton(step: Callable, start: Sequence, digits: int) -> list:
    """x ← x − step(x) until ‖step‖ < 10^(−digits) (1 + ‖x‖); D mpf."""
    with mp.workdps(PRECISION_FACTOR * digits):
        location = [_number(coordinate) for coordinate in start]
        for _ in range(NEWTON_STEPS):
            move = step(location)
            location = [coordinate - shift for coordinate, shift in zip(location, move, strict=True)]
            if mp.norm(move) < mp.mpf(10) ** -digits * (1 + mp.norm(location)):
                return location
    raise ValueError(f"no convergence from {list(start)} in {NEWTON_STEPS} steps")


def _terms(spectrum: Spectrum, rank: int, third: list, noise: mp.matrix) -> LiteralTerms:
    """The theorem from H's spectrum, M, the third derivatives (D×D×D) and σ (D×Ξ)."""
    half = mp.mpf(1) / 2
    tangent = spectrum.spectral_function(lambda a: mp.mpf(0) if a < rank else mp.mpf(1))
    normal = mp.eye(len(spectrum.values)) - tangent
    pinv = spectrum.spectral_function(lambda a: 1 / spectrum.values[a] if a < rank else mp.mpf(0))
    covariance = noise * noise.T
    lyapunov = _lyapunov_inverse(spectrum, rank, normal * covariance * normal)
    compensation = -half * pinv * _contract(third, tangent * covariance * tangent)
    mixed = -tangent * _contract(third, pinv * normal * covariance * tangent)
    regularization = -half * tangent * _contract(third, lyapunov)
    return LiteralTerms(
        codimension=rank,
        tangent_projection=tangent,
        hessian_pinv=pinv,
        lyapunov_solution=lyapunov,
        tangent_noise=tangent * noise,
        tangent_noise_compensation=compensation,
        mixed_regularization=mixed,
        normal_regularization=regularization,
        drift=compensation + mixed + regularization,
    )


def _lyapunov_inverse(spectrum: Spectrum, rank: int, right_side: mp.matrix) -> mp.matrix:
    """S = Σ_{a,b ≤ M} v_a (v_aᵀ R v_b) v_bᵀ / (λ_a + λ_b), the solution of HS + SH = R in range H; D×D."""
    inner = spectrum.vectors.T * right_side * spectrum.vectors
    solution = mp.zeros(right_side.rows)
    for a in range(rank):
        for b in range(rank):
            solution[a, b] = inner[a, b] / (spectrum.values[a] + spectrum.values[b])
    return spectrum.vectors * solution * spectrum.vectors.T


def _contract(third: list, matrix: mp.matrix) -> mp.matrix:
    """T[B]_k = Σ_ij ∂_i∂_j∂_k L B_ij; D×1."""
    indices = range(matrix.rows)
    return mp.matrix([mp.fsum(third[i][j][k] * matrix[i, j] for i in indices for j in indices) for k in indices])


def _spectrum(hessian: mp.matrix) -> Spectrum:
    """Eigenvalues in descending order with their orthonormal eigenvectors."""
    values, vectors = mp.eigsy(hessian)
    order = sorted(range(hessian.rows), key=lambda a: -values[a])
    columns = mp.matrix(hessian.rows)
    for new, old in enumerate(order):
        columns[:, new] = vectors[:, old]
    return Spectrum([values[a] for a in order], columns)


def _rank(spectrum: Spectrum, digits: int) -> int:
    """The number of eigenvalues above 10^(−digits/2) of the largest."""
    return sum(value > mp.mpf(10) ** (-digits / 2) * spectrum.values[0] for value in spectrum.values)


def _require_minimum(gradient: mp.matrix, spectrum: Spectrum, digits: int) -> None:
    """ValueError where ‖∇L‖ > 10^(−4 digits/5) (1 + |λ_1|) or λ_D < −10^(−digits/2) (1 + |λ_1|)."""
    scale = 1 + abs(spectrum.values[0])
    if mp.norm(gradient) > mp.mpf(10) ** (-4 * digits / 5) * scale:
        raise ValueError(f"not on Γ: the gradient has norm {mp.nstr(mp.norm(gradient), 5)}")
    if spectrum.values[-1] < -(mp.mpf(10) ** (-digits / 2)) * scale:
        raise ValueError(f"not a minimum: H has the eigenvalue {mp.nstr(spectrum.values[-1], 5)}")


def _gradient(derivative: Callable, dimension: int) -> mp.matrix:
    """∇L; D×1."""
    return mp.matrix([derivative(i) for i in range(dimension)])


def _hessian(derivative: Callable, dimension: int) -> mp.matrix:
    """∇²L; D×D."""
    return mp.matrix([[derivative(*sorted((i, j))) for j in range(dimension)] for i in range(dimension)])


def _third_derivatives(derivative: Callable, dimension: int) -> list:
    """∂_i∂_j∂_k L as nested lists; D×D×D."""
    indices = range(dimension)
    return [[[derivative(*sorted((i, j, k))) for k in indices] for j in indices] for i in indices]


def _differences(function: Callable, location: list, step: mp.mpf) -> Callable:
    """The map (i, j, …) ↦ δ_iδ_j… f(x) with δ_i f(x) = (f(x + h e_i) − f(x − h e_i)) / 2h.

    Each point of the stencil, an integer offset from x in units of h, is evaluated once.
    """

    @cache
    def value(offset: tuple) -> mp.mpf:
        shifted = [coordinate + step * count for coordinate, count in zip(location, offset, strict=True)]
        return mp.mpf(function(*shifted))

    @cache
    def difference(offset: tuple, indices: tuple) -> mp.mpf:
        if not indices:
            return value(offset)
        first, rest = indices[0], indices[1:]
        return difference(_moved(offset, first, 1), rest) - difference(_moved(offset, first, -1), rest)

    def derivative(*indices: int) -> mp.mpf:
        return difference((0,) * len(location), indices) / (2 * step) ** len(indices)

    return derivative


def _moved(offset: tuple, index: int, amount: int) -> tuple:
    """The integer stencil offset, moved along one axis."""
    return (*offset[:index], offset[index] + amount, *offset[index + 1 :])


@lru_cache(maxsize=256)
def _evaluator(expression: sp.Basic, parameters: tuple) -> Callable:
    """An expression or matrix as a function of D mpf, evaluated at the ambient mpmath precision."""
    return sp.lambdify(parameters, expression, "mpmath", cse=True)


def _number(value: object) -> mp.mpf:
    """An mpf, float or exact number as an mpf at the ambient precision."""
    return +value if isinstance(value, mp.mpf) else mp.mpf(sp.N(value, mp.mp.dps))
