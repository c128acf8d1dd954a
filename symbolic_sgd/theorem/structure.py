"""Structure of the noise across Γ that spares the Lyapunov equation, used only where it is proved."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.manifold.manifold import Manifold
from symbolic_sgd.manifold.precise import DIGITS, HIGH
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.rational.recognition import rational
from symbolic_sgd.theorem.geometry import NodeGeometry
from symbolic_sgd.theorem.noise_on_manifold import NoiseOnManifold
from symbolic_sgd.theorem.response import Response

LARGEST_DENOMINATOR = 10**12
"""A constant is recognised as a rational up to this denominator: 50 digits are known."""

POWERS = (0, 1, 2, -1, -2, 4)
"""Powers of the problem's constants that c in Σ_⊥ = c∇²L is tried with."""

CURVATURE = sp.Symbol("lambda")
"""The letter of an eigenvalue in sentences."""

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
        square: s² where Σ_⊥ = s²H², as an expression; else None.
    """

    solution: Matrix
    source: Matrix
    proportion: Expression | None
    isotropy: Expression | None
    words: str
    square: Expression | None = None


def normal_noise(normal: NodeGeometry, noise: NoiseOnManifold, response: Response) -> NormalNoise:
    """S by the first structure that Σ_⊥ has, else by the optimizer's own equation.

    Σ_⊥ = 0, Σ_⊥ = cH, Σ_⊥ = s²(I − ∂Φ), or, for plain SGD, HΣ_⊥ = Σ_⊥H.
    """
    y, manifold = noise.normal_covariance, normal.frame.manifold
    graph, d = manifold.landscape.graph, manifold.landscape.dimension
    if all(entry.is_zero for entry in y.entries):
        zero = Matrix.diagonal(graph, [0] * d)
        return NormalNoise(zero, zero, sp.S.Zero, sp.S.Zero, "Σ_⊥ = 0 on Γ")
    if response.is_still:
        zero = Matrix.diagonal(graph, [0] * d)
        return NormalNoise(zero, zero, None, None, f"S = 0, because {response.words}")
    isotropy, say = _isotropy(manifold, normal, noise), normal.letters
    proportion = _proportion(manifold, normal, noise)
    if not response.is_lyapunov:
        return _by_response(normal, noise, response, proportion, isotropy)
    if proportion is not None:
        half = from_sympy(proportion, graph) / 2
        words = f"{say.noise} = c{say.multiple} on Γ{standing_for('c', proportion)}: S = (c/2){say.across}{say.label}"
        ambient = normal.ambient
        solution = (ambient - normal.tangent_part(ambient)).scaled(half)
        source = ambient.scaled(half)
        return NormalNoise(solution, source, proportion, isotropy, words)
    if isotropy is not None:
        solution = normal.pseudo_inverse(normal.ambient.scaled(from_sympy(isotropy, graph) / 2))
        words = (
            f"{say.noise} = s²{say.across} on Γ{standing_for('s²', isotropy)}: S = (s²/2){say.inverse}{say.isotropic}"
        )
        return NormalNoise(solution, solution, None, isotropy, words)
    if y.shape[0] > 1 and all(manifold.proved_zero(_asymmetry(normal.product(y)))):
        solution = normal.commuting_inverse(y)
        return NormalNoise(solution, solution, None, None, say.commuting)
    solution = normal.stationary(y, response)
    return NormalNoise(
        solution, solution, None, None, "No structure of Σ_⊥ was recognised: S solves the Lyapunov equation"
    )


def _by_response(
    normal: NodeGeometry,
    noise: NoiseOnManifold,
    response: Response,
    proportion: Expression | None,
    isotropy: Expression | None,
) -> NormalNoise:
    """S of an optimizer: a function of H where Σ_⊥ is a multiple of H or of I − ∂Φ, and the response has such a function."""
    say, square = normal.letters, noise.known.square
    solved = f"g({say.slope}){say.across}, g(λ)"
    across = [
        (
            proportion,
            response.of_proportion(),
            f"{say.noise} = c{say.multiple} on Γ{standing_for('c', proportion)}: S = c·{solved} = λk(λ, λ)",
        ),
        (
            isotropy,
            response.of_isotropy(),
            f"{say.noise} = s²{say.across} on Γ{standing_for('s²', isotropy)}: S = s²·{solved} = k(λ, λ)",
        ),
        (
            square,
            response.of_square(),
            f"{say.noise} = s²({say.multiple})² on Γ{standing_for('s²', square)}: S = s²·{solved} = λ²k(λ, λ)",
        ),
    ]
    for factor, function, words in across:
        if factor is not None and function is not None:
            graph, ambient = normal.frame.manifold.landscape.graph, normal.ambient
            solution = normal.function(function, ambient - normal.tangent_part(ambient))
            solution = solution.scaled(from_sympy(factor, graph))
            shown = f"{words} = {str(function.subs(A, CURVATURE)).replace(str(CURVATURE), 'λ')}"
            return NormalNoise(
                solution, solution, proportion, isotropy, f"{shown}, by {response.words}", noise.known.square
            )
    solution = normal.stationary(noise.normal_covariance, response, noise.samples)
    return NormalNoise(solution, solution, None, None, f"S is by {response.words}")


def standing_for(letter: str, value: Expression | None) -> str:
    """What a letter of a sentence stands for, unless that is the letter itself."""
    own = {"c": sp.Symbol("c"), "s²": sp.Symbol("s") ** 2}[letter]
    return "" if str(value) == str(own) else f" with {letter} = {value}"


def _proportion(manifold: Manifold, normal: NodeGeometry, noise: NoiseOnManifold) -> Expression | None:
    """c with Σ_⊥ = cH, without parameters; not asked for where Σ is known to be a multiple of I."""
    known = noise.known
    if known.proportion is not None or known.isotropy is not None:
        return known.proportion
    return _constant_ratio(manifold, noise.normal_covariance, normal.core)


def _isotropy(manifold: Manifold, normal: NodeGeometry, noise: NoiseOnManifold) -> Expression | None:
    """s² with Σ_⊥ = s²Q, without parameters."""
    known = noise.known.isotropy
    if known is not None:
        return None if known.free_symbols & set(manifold.problem.parameters) else known
    return _constant_ratio(manifold, noise.normal_covariance, normal.metric)


def _constant_ratio(manifold: Manifold, y: Matrix, reference: Matrix) -> Expression | None:
    """c with Y = c·reference on Γ, for one c that depends on the problem's constants only; else None.

    c is recognised at the points found, and then proved.
    """
    m = range(y.shape[0])
    upper = [(i, j) for i in m for j in m if i <= j]
    y_trace, trace = y.trace, reference.trace
    if not all(manifold.proved_zero([y[i, j] * trace - reference[i, j] * y_trace for i, j in upper])):
        return None
    with mp.workdps(HIGH):
        values = [point.high([y_trace, trace]) for point in manifold.points]
        if not all(b for _, b in values):
            return None
        ratio = _recognised(manifold, [a / b for a, b in values])
    if ratio is None or not all(manifold.proved_zero([y_trace - from_sympy(ratio, trace.graph) * trace])):
        return None
    return ratio


def _asymmetry(matrix: Matrix) -> list[Node]:
    n = range(matrix.shape[0])
    return [matrix[i, j] - matrix[j, i] for i in n for j in n if i < j]


def _recognised(manifold: Manifold, ratios: list[PreciseNumber]) -> Expression | None:
    """A rational times an expression in the constants that has these values."""
    graph, tiny = manifold.landscape.graph, mp.mpf(10) ** -DIGITS
    for factor in _factors(manifold):
        values = [point.high([from_sympy(factor, graph)])[0] for point in manifold.points]
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
