"""The lines where Γ is an orbit of linear symmetries: in ξ = Xx, or in T = (X_1x … X_dx), G = TᵀT and U = TG⁻¹."""

from collections.abc import Callable

from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.vector_expressions import IDENTITY, VectorExpression, apply
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.orbit_formulas import OrbitFormulas, vanishing
from symbolic_sgd.theorem.structural import (
    COVARIANCE,
    DUAL,
    GENERATOR,
    GRAM,
    HALF,
    HESSIAN,
    MOVED,
    MOVES,
    NORMAL_PROJECTION,
    PSEUDO_INVERSE,
    RANK,
    SIGMA,
    SQUARE,
    STATIONARY,
    TANGENT,
    Line,
    StructuralFormulas,
    used,
)
from symbolic_sgd.theorem.structural_parts import NoiseScalars, Parts, lines_of, of_optimizer

Operator = Callable[[VectorExpression], VectorExpression]


def of_orbit(derivation: Derivation, formulas: OrbitFormulas) -> StructuralFormulas:
    """The formulas of theorem/orbit_formulas.py, by lines."""
    generators = formulas.generators
    noise = NoiseScalars.of(derivation, formulas.graph)
    entries = {SIGMA.name: formulas.noise, HESSIAN.name: formulas.hessian, **noise.entries}
    samples = None if formulas.composed is None else formulas.composed.samples
    entries |= of_optimizer(samples, formulas.tangent_factor, formulas.slow)
    if len(generators) == 1:
        entries |= {MOVED.name: formulas.tangents, GENERATOR.name: generators[0]}
        parts = _one_generator()
    else:
        stacked = Matrix(tuple(row for generator in generators for row in generator.rows))
        entries |= {MOVES.name: formulas.tangents, GENERATOR.name: stacked}
        parts = _many_generators()
    lines = lines_of(derivation, parts, noise, vanishing(derivation))
    return StructuralFormulas(
        parameters=derivation.problem.parameters,
        rank=derivation.codimension,
        entries=used(entries, lines),
        third=None,
        bends=len(generators) if len(generators) > 1 else 0,
        lines=lines,
        response=derivation.response,
        mean=derivation.optimizer.mean_potential,
    )


def _one_generator() -> Parts:
    return _parts(
        start=(
            Line(SQUARE, apply("number", MOVED.T @ MOVED)),
            Line(TANGENT, MOVED @ MOVED.T / SQUARE, "tangent_projection"),
        ),
        bent=lambda covariance: GENERATOR @ covariance @ MOVED / SQUARE,
        lifted=lambda b: apply("trace", GENERATOR @ b) @ MOVED / SQUARE,
    )


def _many_generators() -> Parts:
    return _parts(
        start=(
            Line(GRAM, MOVES.T @ MOVES),
            Line(DUAL, MOVES @ apply("inverse", GRAM)),
            Line(TANGENT, DUAL @ MOVES.T, "tangent_projection"),
        ),
        bent=lambda covariance: apply("bent", GENERATOR, covariance @ DUAL),
        lifted=lambda b: DUAL @ apply("traces", GENERATOR, b),
    )


def _parts(start: tuple[Line, ...], bent: Operator, lifted: Operator) -> Parts:
    """The theorem in Σ_∥ ↦ Σ_a X_aΣ_∥U e_a and B ↦ U(tr X_aB)_a."""
    pushed = lifted(STATIONARY @ HESSIAN)
    return Parts(
        start=(
            *start,
            Line(NORMAL_PROJECTION, IDENTITY - TANGENT),
            Line(PSEUDO_INVERSE, apply("pseudo_inverse", HESSIAN, RANK), "hessian_pinv"),
        ),
        across=NORMAL_PROJECTION,
        compensation=lambda covariance: HALF * (NORMAL_PROJECTION @ bent(covariance)),
        mixed=lifted(TANGENT @ COVARIANCE @ NORMAL_PROJECTION),
        mixed_by=lambda h: lifted(h(COVARIANCE @ TANGENT).T),
        normal=pushed,
        pushed=pushed,
        label=HALF * lifted(HESSIAN),
        isotropic=HALF * lifted(NORMAL_PROJECTION),
        trace=apply("trace", HESSIAN),
        logarithm=apply("logarithm", apply("product", HESSIAN, RANK)),
        solution=apply("lyapunov", HESSIAN, RANK, NORMAL_PROJECTION @ COVARIANCE @ NORMAL_PROJECTION),
    )
