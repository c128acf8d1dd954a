"""Structure of the noise across Γ that spares the Lyapunov equation, proved at the points of Γ and never by its looks."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import mpmath
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.derive.inverses import NormalHessian
from symbolic_sgd.derive.manifold import Manifold
from symbolic_sgd.derive.noise_on_manifold import NoiseOnManifold, squared_norm
from symbolic_sgd.derive.precise import DIGITS, HIGH

LARGEST_DENOMINATOR = 10**12
"""A constant is recognised as a rational up to this denominator: 50 digits are known."""

POWERS = (0, 1, 2, -1, -2, 4)
"""Powers of the problem's constants that c in Σ_⊥ = c∇²L is tried with."""


@dataclass(frozen=True)
class NormalNoise:
    """What Σ_⊥ contributes.

    Args:
        solution: S = 𝓛_H⁻¹(Σ_⊥), D×D.
        source: a matrix B with P T[B] = P T[S], as small as the structure allows (P T[P] = 0 on Γ).
        proportion: c where Σ_⊥ = cH with a constant c, as an expression; else None.
        isotropy: s² where Σ_⊥ = s²(I − ∂Φ) with a constant s², as an expression; else None.
        assumed: what was recognised to vanish on Γ, squared and relative.
        words: what was recognised.
    """

    solution: Matrix
    source: Matrix
    proportion: Expression | None
    isotropy: Expression | None
    assumed: tuple[Node, ...]
    words: str


def normal_noise(normal: NormalHessian, noise: NoiseOnManifold) -> NormalNoise:
    """S by the first structure that Σ_⊥ has: Σ_⊥ = 0, Σ_⊥ = cH, Σ_⊥H = HΣ_⊥; else by the Lyapunov equation."""
    frame, y, core = normal.frame, noise.normal_covariance, normal.core
    graph, d = frame.manifold.landscape.graph, frame.manifold.landscape.dimension
    if all(entry.is_zero for entry in y.entries):
        zero = Matrix.diagonal(graph, [0] * d)
        return NormalNoise(zero, zero, sp.S.Zero, sp.S.Zero, (), "Σ_⊥ = 0 on Γ")
    lengths = frame.orthogonal.lengths
    unit = Matrix.diagonal(graph, [1 / length for length in lengths])
    isotropy = _constant_ratio(frame.manifold, y, unit)
    proportion = _constant_ratio(frame.manifold, y, core)
    if proportion is not None:
        c = from_sympy(proportion, graph)
        half, multiple = c / 2, core.map(lambda e: c * e)
        assumed = (squared_norm(y - multiple) / squared_norm(multiple),)
        normal_projection = frame.orthogonal.columns @ frame.dual.T
        words = f"Σ_⊥ = c∇²L on Γ with c = {proportion}: S = (c/2)(I − ∂Φ), normal regularization = −(c/4)∂Φ∇tr ∇²L"
        solution, source = normal_projection.map(lambda e: half * e), Matrix.diagonal(graph, [half] * d)
        return NormalNoise(solution, source, proportion, isotropy, assumed, words)
    skew, size = _commutator(y, core, lengths)
    if all(frame.manifold.vanishes(skew, size)):
        # C X G + G X C = Y with G = diag(d)⁻¹ and C G⁻¹Y = Y G⁻¹C: X = ½ C⁻¹Y G⁻¹.
        scaled = Matrix.of([entry * length for entry, length in zip(row, lengths, strict=True)] for row in y.rows)
        x = Fraction(1, 2) * normal.factor.solve(scaled)
        symmetric = Matrix.of([x[min(i, j), max(i, j)] for j in range(len(lengths))] for i in range(len(lengths)))
        solution = frame.dual @ symmetric @ frame.dual.T
        assumed = (dot(skew, skew) / size,) if skew else ()
        words = "Σ_⊥ commutes with ∇²L on Γ: S = ½ ∇²L†Σ_⊥"
        if isotropy is not None:
            words = (
                f"Σ_⊥ = s²(I − ∂Φ) on Γ with s² = {isotropy}: S = (s²/2)∇²L†, "
                "normal regularization = −(s²/4)∂Φ∇ln|∇²L|₊"
            )
            multiple = unit.map(lambda e: from_sympy(isotropy, graph) * e)
            assumed = (*assumed, squared_norm(y - multiple) / squared_norm(multiple))
        return NormalNoise(solution, solution, None, isotropy, assumed, words)
    solution = normal.lyapunov_inverse(y)
    return NormalNoise(solution, solution, None, None, (), "Σ_⊥ has no structure: S solves the Lyapunov equation")


def _commutator(y: Matrix, core: Matrix, lengths: tuple[Node, ...]) -> tuple[list[Node], Node]:
    """What vanishes where Σ_⊥H = HΣ_⊥, that is where C G⁻¹Y is symmetric, G⁻¹ = diag(lengths); and its squared size."""
    m = range(len(lengths))
    scaled = Matrix.of([lengths[i] * y[i, j] for j in m] for i in m)
    weighted = core @ scaled
    skew = [weighted[i, j] - weighted[j, i] for i in m for j in m if i < j]
    return skew, squared_norm(core) * squared_norm(scaled)


def _constant_ratio(manifold: Manifold, y: Matrix, core: Matrix) -> Expression | None:
    """c with Y = cC for one constant c, recognised at every point of Γ found; else None."""
    m = range(core.shape[0])
    upper = [(i, j) for i in m for j in m if i <= j]
    traces = [sum((matrix[i, i] for i in m[1:]), matrix[0, 0]) for matrix in (y, core)]
    crossed = [y[i, j] * traces[1] - core[i, j] * traces[0] for i, j in upper]
    if not all(manifold.vanishes(crossed, squared_norm(y) * squared_norm(core))):
        return None
    constants = manifold.problem.constants
    with mpmath.workdps(HIGH):
        found = [point.high(traces) for point in manifold.points]
        ratios = [a / b for a, b in found]
        for factor in _factors(constants):
            values = [_value(factor, point.assignment) for point in manifold.points]
            rational = _rational(ratios[0] / values[0])
            tiny = mpmath.mpf(10) ** -DIGITS
            if rational is not None and all(
                abs(r / v - mpmath.mpf(rational.numerator) / rational.denominator) <= tiny * abs(r / v)
                for r, v in zip(ratios, values, strict=True)
            ):
                return sp.Rational(rational.numerator, rational.denominator) * factor
    return None


def _factors(constants: tuple[sp.Symbol, ...]) -> Iterator[Expression]:
    for powers in product(POWERS, repeat=min(len(constants), 3)):
        yield sp.Mul(*[s**k for s, k in zip(constants, powers, strict=False)])


def _value(factor: Expression, assignment) -> PreciseNumber:
    value = mpmath.mpf(1)
    for base, power in factor.as_powers_dict().items():
        if base != 1:
            value *= assignment[base] ** int(power)
    return value


def _rational(value: PreciseNumber) -> Fraction | None:
    exact = Fraction(int(mpmath.nint(value * mpmath.mpf(10) ** HIGH)), 10**HIGH)
    simple = exact.limit_denominator(LARGEST_DENOMINATOR)
    return simple if abs(simple - exact) <= Fraction(1, 10**DIGITS) * abs(exact) else None
