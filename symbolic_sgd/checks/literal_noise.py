"""σ by SymPy from what each noise model says of itself, not from the columns that the derivation uses."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.problems.noise import GradientNoise, IsotropicNoise, LabelNoise, Noise, SamplingNoise
from symbolic_sgd.problems.perturbation import LossPerturbation
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import real_gradient

Gradient = Callable[[Expression], list[Expression]]
"""f ↦ ∇f."""


def _stated(problem: Problem, gradient: Gradient) -> sp.Matrix:
    noise: Any = problem.noise
    return noise.sigma


def _isotropic(problem: Problem, gradient: Gradient) -> sp.Matrix:
    noise: Any = problem.noise
    return sp.sympify(noise.scale) * sp.eye(problem.dimension)


def _labels(problem: Problem, gradient: Gradient) -> sp.Matrix:
    """((r_i ± δ)∇r_i − ∇L)/√(2n): one residual of n, and one sign, are drawn with equal odds; δ∇r_i/n where all are taken.

    Of a batch of b the mean of the r_i∇r_i has the variance of one over b, times (n − b)/(n − 1) because none is drawn twice; beside it
    stand the labels, δ∇r_i/√(bn).
    """
    noise: Any = problem.noise
    slopes = [gradient(r) for r in problem.residuals]
    n = len(slopes)
    stated = noise.amplitude if isinstance(noise.amplitude, tuple) else (noise.amplitude,) * n
    amplitudes = [sp.sympify(delta) for delta in stated]
    if noise.batch_size == n > 1:
        return sp.Matrix([[delta * g / n for g in slope] for delta, slope in zip(amplitudes, slopes, strict=True)]).T
    if noise.batch_size not in (None, 1):
        b, mean = noise.batch_size, gradient(problem.loss)
        apart = [[r * g for g in slope] for r, slope in zip(problem.residuals, slopes, strict=True)]
        moved = [[delta * g for g in slope] for delta, slope in zip(amplitudes, slopes, strict=True)]
        varied = _centred(apart, [sp.Rational(n - b, n * b * (n - 1))] * n, mean)
        return varied.row_join(_centred(moved, [sp.Rational(1, b * n)] * n, [sp.S.Zero] * len(mean)))
    samples = [
        [(residual + sign * amplitude) * g for g in slope]
        for residual, slope, amplitude in zip(problem.residuals, slopes, amplitudes, strict=True)
        for sign in (1, -1)
    ]
    return _centred(samples, [sp.Rational(1, len(samples))] * len(samples), gradient(problem.loss))


def _samples(problem: Problem, gradient: Gradient) -> sp.Matrix:
    """√p_ξ (∇ℓ_ξ − ∇L)."""
    noise: Any = problem.noise
    weights = [sp.Rational(p.numerator, p.denominator) for p in noise.weights]
    return _centred([gradient(loss) for loss in noise.losses], weights, gradient(problem.loss))


def _perturbed(problem: Problem, gradient: Gradient) -> sp.Matrix:
    """∂_ξ∂_xL̂(x, 0)V^{1/2}."""
    noise: Any = problem.noise
    slopes, at_rest = sp.Matrix(gradient(noise.loss)), dict.fromkeys(noise.perturbations, 0)
    coupling = slopes.jacobian(list(noise.perturbations)).subs(at_rest)
    return coupling if noise.covariance is None else coupling * sp.Matrix(noise.covariance).cholesky(hermitian=False)


def literal_mean_slope(problem: Problem) -> list[Expression]:
    """∇R₀ of a perturbed loss, as ½Σ_kl V_kl ∂_ξk∂_ξl∂_xL̂(x, 0)."""
    noise: Any = problem.noise
    xi, at_rest = noise.perturbations, dict.fromkeys(noise.perturbations, 0)
    variance = sp.eye(len(xi)) if noise.covariance is None else noise.covariance
    slopes = real_gradient(noise.loss, problem.parameters)
    return [
        sp.Add(*[variance[k, m] * sp.diff(s, a, b) for k, a in enumerate(xi) for m, b in enumerate(xi)]).subs(at_rest)
        / 2
        for s in slopes
    ]


def _centred(samples: Sequence[Sequence[Expression]], weights: Sequence[sp.Expr], mean: Sequence[Expression]) -> Any:
    columns = [
        [sp.sqrt(p) * (g - m) for g, m in zip(sample, mean, strict=True)]
        for sample, p in zip(samples, weights, strict=True)
    ]
    return sp.Matrix(columns).T


LITERAL: Mapping[type[Noise], Callable[[Problem, Gradient], sp.Matrix]] = {
    GradientNoise: _stated,
    IsotropicNoise: _isotropic,
    LabelNoise: _labels,
    SamplingNoise: _samples,
    LossPerturbation: _perturbed,
}
"""σ(x), D×Ξ with Σ = σσᵀ, column for column as `Noise.columns` orders them. (A model of the user's own is taken at its word.)"""
