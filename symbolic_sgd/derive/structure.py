"""Structure of the noise across Γ that spares the Lyapunov equation, used only where it is an identity.

What holds at the points of Γ that were found need not hold on other parts of Γ, nor for other values of the constants. So
Σ_⊥ and ∇²L are compared where they are restricted to Γ by the equations that the loss contains, but at random points of
all of space and with random constants: analytic functions that agree there are the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.graph import Node, is_analytic
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.rational import rational
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.derive.inverses import NormalHessian
from symbolic_sgd.derive.manifold import Manifold
from symbolic_sgd.derive.noise_on_manifold import NoiseOnManifold
from symbolic_sgd.derive.precise import DIGITS, HIGH, PrecisePoint
from symbolic_sgd.errors import ComplexValue, NotSmooth

PROBES = 4
"""Random points at which an identity is tested, to 50 digits."""

DRAWS = 200
"""How many are drawn until so many lie where everything is real."""

LARGEST_DENOMINATOR = 10**12
"""A constant is recognised as a rational up to this denominator: 50 digits are known."""

POWERS = (0, 1, 2, -1, -2, 4)
"""Powers of the problem's constants that c in Σ_⊥ = c∇²L is tried with."""

MOST_CONSTANTS = 3
"""Constants whose powers are tried together."""


@dataclass(frozen=True)
class NormalNoise:
    """What Σ_⊥ contributes.

    Args:
        solution: S = 𝓛_H⁻¹(Σ_⊥), D×D.
        source: a matrix B with P T[B] = P T[S], as small as the structure allows (P T[P] = 0 on Γ).
        proportion: c where Σ_⊥ = cH with a constant c, as an expression; else None.
        isotropy: s² where Σ_⊥ = s²(I − ∂Φ) with a constant s², as an expression; else None.
        words: what was recognised.
    """

    solution: Matrix
    source: Matrix
    proportion: Expression | None
    isotropy: Expression | None
    words: str


def normal_noise(normal: NormalHessian, noise: NoiseOnManifold) -> NormalNoise:
    """S by the first structure that Σ_⊥ has, else by the Lyapunov equation.

    Σ_⊥ = 0, Σ_⊥ = cH, Σ_⊥ = s²(I − ∂Φ), or HΣ_⊥ = Σ_⊥H.
    """
    y, manifold = noise.normal_covariance, normal.frame.manifold
    graph, d = manifold.landscape.graph, manifold.landscape.dimension
    if all(entry.is_zero for entry in y.entries):
        zero = Matrix.diagonal(graph, [0] * d)
        return NormalNoise(zero, zero, sp.S.Zero, sp.S.Zero, "Σ_⊥ = 0 on Γ")
    isotropy = _constant_ratio(manifold, y, normal.metric)
    proportion = _constant_ratio(manifold, y, normal.core)
    if proportion is not None:
        half = from_sympy(proportion, graph) / 2
        words = f"Σ_⊥ = c∇²L on Γ with c = {proportion}: S = (c/2)(I − ∂Φ), normal regularization = −(c/4)∂Φ∇tr ∇²L"
        identity = Matrix.diagonal(graph, [1] * d)
        solution = (identity - normal.tangent_part(identity)).scaled(half)
        source = identity.scaled(half)
        return NormalNoise(solution, source, proportion, isotropy, words)
    if isotropy is not None:
        half = from_sympy(isotropy, graph) / 2
        solution = normal.pseudo_inverse(Matrix.diagonal(graph, [half] * d))
        words = (
            f"Σ_⊥ = s²(I − ∂Φ) on Γ with s² = {isotropy}: S = (s²/2)∇²L†, normal regularization = −(s²/4)∂Φ∇ln|∇²L|₊"
        )
        return NormalNoise(solution, solution, None, isotropy, words)
    if y.shape[0] > 1 and _vanishes_identically(manifold, _asymmetry(normal.product(y))):
        solution = normal.commuting_inverse(y)
        return NormalNoise(solution, solution, None, None, "Σ_⊥ commutes with ∇²L on Γ: S = ½ ∇²L† Σ_⊥")
    solution = normal.lyapunov_inverse(y)
    return NormalNoise(
        solution, solution, None, None, "No structure of Σ_⊥ was recognised: S solves the Lyapunov equation"
    )


def _constant_ratio(manifold: Manifold, y: Matrix, reference: Matrix) -> Expression | None:
    """c with Y = c·reference identically, for one c that depends on the problem's constants only; else None."""
    m = range(y.shape[0])
    upper = [(i, j) for i in m for j in m if i <= j]
    y_trace, trace = _trace(y), _trace(reference)
    crossed = [y[i, j] * trace - reference[i, j] * y_trace for i, j in upper]
    points = _random_points(manifold, [*crossed, trace, y_trace])
    if len(points) < PROBES or not all(all(point.zeros(crossed)) for point in points):
        return None
    with mp.workdps(HIGH):
        ratios = [a / b for a, b in (point.high([y_trace, trace]) for point in points)]
        return _recognised(manifold, ratios, points)


def _asymmetry(matrix: Matrix) -> list[Node]:
    n = range(matrix.shape[0])
    return [matrix[i, j] - matrix[j, i] for i in n for j in n if i < j]


def _vanishes_identically(manifold: Manifold, nodes: list[Node]) -> bool:
    points = _random_points(manifold, nodes)
    return len(points) == PROBES and all(all(point.zeros(nodes)) for point in points)


def _trace(matrix: Matrix) -> Node:
    total = matrix[0, 0]
    for i in range(1, matrix.shape[0]):
        total = total + matrix[i, i]
    return total


def _random_points(manifold: Manifold, nodes: list[Node]) -> list[PrecisePoint]:
    """Points of all of space, with constants, where the nodes are real and finite; none if they are not analytic."""
    if not is_analytic(nodes):
        return []  # what holds here need not hold there
    problem, rng = manifold.problem, np.random.default_rng(0)
    found: list[PrecisePoint] = []
    for _ in range(DRAWS):
        values = rng.standard_normal(len(problem.symbols)) * rng.choice([0.5, 1.0, 2.0])
        signed = [
            abs(a) if s.is_nonnegative else -abs(a) if s.is_nonpositive else a
            for s, a in zip(problem.symbols, values, strict=True)
        ]
        point = PrecisePoint({s: mp.mpf(float(a)) for s, a in zip(problem.symbols, signed, strict=True)})
        try:
            point.zeros(nodes)
        except (ComplexValue, NotSmooth):
            continue
        found.append(point)
        if len(found) == PROBES:
            break
    return found


def _recognised(manifold: Manifold, ratios: list[PreciseNumber], points: list[PrecisePoint]) -> Expression | None:
    """A rational times an expression in the constants that has these values."""
    graph, tiny = manifold.landscape.graph, mp.mpf(10) ** -DIGITS
    for factor in _factors(manifold):
        values = [point.high([from_sympy(factor, graph)])[0] for point in points]
        if not all(values):
            continue
        ratio = rational(ratios[0] / values[0], LARGEST_DENOMINATOR)
        if ratio:
            exact = mp.mpf(ratio.numerator) / ratio.denominator
            if all(abs(r - exact * v) <= tiny * abs(r) for r, v in zip(ratios, values, strict=True)):
                return sp.Rational(ratio.numerator, ratio.denominator) * factor
    return None


def _factors(manifold: Manifold) -> Iterator[Expression]:
    """What the noise model says of its size, then monomials in the constants."""
    problem = manifold.problem
    yield from problem.noise.variances(problem)
    constants = problem.constants[:MOST_CONSTANTS]
    for powers in product(POWERS, repeat=len(constants)):
        yield sp.Mul(*[s**k for s, k in zip(constants, powers, strict=True)])
