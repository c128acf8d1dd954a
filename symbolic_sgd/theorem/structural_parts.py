"""What is common to the lines of every kind of loss: the structure of the noise, and the terms in their order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.algebra.vector_expressions import (
    SUPERSCRIPTS,
    Name,
    Product,
    VectorExpression,
    apply,
)
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.structural import (
    ACROSS,
    COMPENSATION,
    COVARIANCE,
    HALF,
    HESSIAN,
    KERNEL,
    MIXED,
    NOISE,
    PROPORTION,
    PSEUDO_INVERSE,
    RANK,
    REGULARIZER,
    SAMPLES,
    SIGMA,
    SLOW,
    STATIONARY,
    TANGENT,
    TANGENT_COVARIANCE,
    TANGENT_FACTOR,
    VARIANCE,
    Line,
    needed,
    own_drifts,
    totalled,
)

QUARTER = Fraction(1, 4)


def of_optimizer(samples: Matrix | None, tangent_factor: Node, slow: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """What an optimizer brings: a_1 … a_n, τ, g."""
    brought = {SAMPLES.name: samples, TANGENT_FACTOR.name: Matrix.column([tangent_factor])}
    brought |= {SLOW[term][1].name: field for term, field in slow.items()}
    return {name: matrix for name, matrix in brought.items() if matrix is not None}


@dataclass(frozen=True)
class Parts:
    """The ways in which one kind of loss writes what the theorem needs of it.

    Args:
        start: the lines that define its letters, ∂Φ and H† among them.
        across: I − ∂Φ, as it is shortest.
        compensation: Σ_∥ ↦ −½H†T[Σ_∥].
        mixed: b_⊥∥ from Σ.
        mixed_by: h ↦ b_⊥∥ from h(H)Σ, for the function h of another optimizer.
        normal: b_⊥ from Σ, with S written out where that is short.
        pushed: b_⊥ from S.
        label: −(1/4)∂Φ∇tr H.
        isotropic: −(1/4)∂Φ∇ln|H|₊.
        trace, logarithm: tr H and ln|H|₊.
        solution: 𝓛_H⁻¹(Σ_⊥).
    """

    start: tuple[Line, ...]
    across: VectorExpression
    compensation: Callable[[VectorExpression], VectorExpression]
    mixed: VectorExpression
    mixed_by: Callable[[Callable[[VectorExpression], VectorExpression]], VectorExpression]
    normal: VectorExpression
    pushed: VectorExpression
    label: VectorExpression
    isotropic: VectorExpression
    trace: VectorExpression
    logarithm: VectorExpression
    solution: VectorExpression


@dataclass(frozen=True)
class NoiseScalars:
    """c with Σ_⊥ = cH and s² with Σ_⊥ = s²(I − ∂Φ), or None; and the entries of their names, where they are no rationals."""

    proportion: VectorExpression | None
    isotropy: VectorExpression | None
    entries: Mapping[str, Matrix]

    @staticmethod
    def of(derivation: Derivation, graph: Graph) -> "NoiseScalars":
        """Those of a derivation."""
        both = {PROPORTION: derivation.proportion, VARIANCE: derivation.isotropy}
        stated = {name: e for name, e in both.items() if e is not None}
        written = {name: _written_scalar(name, e) for name, e in stated.items()}
        named = {
            name.name: Matrix.column([from_sympy(stated[kind], graph)])
            for kind, name in written.items()
            if isinstance(name, Name)
        }
        return NoiseScalars(written.get(PROPORTION), written.get(VARIANCE), named)


def _written_scalar(name: Name, value: Expression) -> Name | Product:
    """A rational or a power of a constant as it is, anything else by name."""
    if value.is_Rational:
        return Product(Fraction(int(value.p), int(value.q)))
    base, exponent = value.as_base_exp()
    if base.is_Symbol and exponent.is_Integer and exponent > 0:
        power = "" if exponent == 1 else str(exponent).translate(SUPERSCRIPTS)
        return Name(base.name + power, sp.latex(value), number=True)
    return name


def lines_of(
    derivation: Derivation, parts: Parts, noise: NoiseScalars, zero: frozenset[str] | None = None
) -> tuple[Line, ...]:
    """All equations, from what the kind of loss and the structure of the noise make of them.

    Args:
        derivation: of the terms.
        parts: what the kind of loss makes of them.
        noise: its scalars.
        zero: terms that vanish on Γ, where more are known than of the program.
    """
    zero = derivation.zeros if zero is None else zero
    c, s = noise.proportion, noise.isotropy
    regularizer: VectorExpression | None = None
    mixed, response = parts.mixed, derivation.response
    if not response.is_lyapunov:
        kind, operator = ("by_samples", SAMPLES) if response.kernel is None else ("by_pairs", KERNEL)
        stationary = apply(kind, HESSIAN, RANK, operator, parts.across @ COVARIANCE @ parts.across)
        normal = parts.pushed
        if response.mixed != 1:
            mixed = parts.mixed_by(lambda right: apply("function", HESSIAN, RANK, KERNEL, right))
    elif c is not None:
        stationary, normal, regularizer = HALF * (c @ parts.across), c @ parts.label, QUARTER * (c @ parts.trace)
    elif s is not None:
        stationary, normal, regularizer = (
            HALF * (s @ PSEUDO_INVERSE),
            s @ parts.isotropic,
            QUARTER * (s @ parts.logarithm),
        )
    else:
        stationary, normal = parts.solution, parts.normal
    along, moving = TANGENT @ COVARIANCE @ TANGENT, TANGENT @ SIGMA
    if derivation.optimizer.tangent_factor != 1:
        along, moving = TANGENT_FACTOR @ along, apply("root", TANGENT_FACTOR) @ moving
    lines = [*parts.start, Line(COVARIANCE, SIGMA @ SIGMA.T), Line(TANGENT_COVARIANCE, along)]
    values = {
        "lyapunov_solution": (STATIONARY, stationary),
        "tangent_noise": (NOISE, moving),
        "tangent_noise_compensation": (COMPENSATION, parts.compensation(TANGENT_COVARIANCE)),
        "mixed_regularization": (MIXED, mixed),
        "normal_regularization": (ACROSS, normal),
        **own_drifts(derivation),
    }
    lines = list(totalled(lines, values, zero))
    if regularizer is not None and "mixed_regularization" in zero and "normal_regularization" not in zero:
        lines.append(Line(REGULARIZER, regularizer))
    return needed(lines)
