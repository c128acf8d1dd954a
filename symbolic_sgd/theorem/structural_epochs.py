"""The lines of a derivation in vectors where every epoch visits each sample once."""

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.algebra.vector_expressions import IDENTITY, VectorExpression, apply
from symbolic_sgd.theorem.composed import slow_fields
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.reshuffling import slope_of_trace, slopes_along
from symbolic_sgd.theorem.response import ReshuffledResponse
from symbolic_sgd.theorem.structural import (
    ACROSS,
    BENT,
    COMPENSATION,
    COVARIANCE,
    HALF,
    HESSIAN,
    KERNEL,
    LED,
    MIXED,
    MULTIPLIER,
    NOISE,
    NOISE_SLOPE,
    PROJECTION,
    PSEUDO_INVERSE,
    RANK,
    REMEMBERED,
    SIGMA,
    SLOW,
    STATIONARY,
    TANGENT,
    THIRD,
    TRACE_SLOPE,
    ZERO,
    Line,
    StructuralFormulas,
    ThirdDerivative,
    needed,
    own_drifts,
    totalled,
    used,
)
from symbolic_sgd.theorem.terms import CURVED


def of_epochs(derivation: Derivation, response: ReshuffledResponse) -> StructuralFormulas:
    """The theorem's own lines, in H and T, and what the derivative of σ adds."""
    graph = Graph()
    blocks = derivation.blocks.on(graph)
    entries = {SIGMA.name: blocks["noise_factor"], HESSIAN.name: blocks["hessian"]}
    entries |= {SLOW[term][1].name: field for term, field in slow_fields(derivation, graph).items()}
    if response.rate is not None:
        entries[REMEMBERED.name] = Matrix.column([from_sympy(response.rate, graph)])
    if response.is_still and response.of_losses:
        entries[TRACE_SLOPE.name] = slope_of_trace(derivation.problem, graph)
    stationary, mixed, normal = _fluctuation(response)
    values = {
        "lyapunov_solution": (STATIONARY, stationary),
        "tangent_noise": (NOISE, ZERO),
        "tangent_noise_compensation": (COMPENSATION, ZERO),
        "mixed_regularization": (MIXED, mixed),
        "normal_regularization": (ACROSS, normal),
        **own_drifts(derivation),
        CURVED.name: (BENT, _met(response)),
    }
    start = (
        *PROJECTION,
        Line(COVARIANCE, SIGMA @ SIGMA.T),
        *(() if response.is_still else (Line(MULTIPLIER, IDENTITY - REMEMBERED @ HESSIAN),)),
    )
    lines = needed(list(totalled(start, values, derivation.zeros)))
    landscape, columns = derivation.problem.landscape(), blocks["noise_factor"].shape[1]
    factor = derivation.problem.noise.columns(derivation.problem, landscape).factor
    return StructuralFormulas(
        parameters=derivation.problem.parameters,
        rank=derivation.codimension,
        entries=used(entries, lines),
        third=None if response.is_still else ThirdDerivative.of(derivation),
        bends=0,
        lines=lines,
        response=response,
        noise_slope=ThirdDerivative.by(landscape, lambda v: slopes_along(factor, v, landscape.variables), columns),
    )


def _fluctuation(response: ReshuffledResponse) -> tuple[VectorExpression, VectorExpression, VectorExpression]:
    """S, and what it makes with Σ_⊥∥."""
    if response.is_still:
        return ZERO, ZERO, ZERO
    third = lambda b: apply("third", THIRD, b)  # noqa: E731
    across = IDENTITY - TANGENT
    led = apply("function", HESSIAN, RANK, KERNEL, COVARIANCE @ TANGENT)
    return (
        apply("by_pairs", HESSIAN, RANK, KERNEL, across @ COVARIANCE @ across),
        -(TANGENT @ third(PSEUDO_INVERSE @ led)),
        -HALF * (TANGENT @ third(STATIONARY)),
    )


def _met(response: ReshuffledResponse) -> VectorExpression:
    """b_ξξ."""
    if not response.is_still and response.samples > 2:
        return -(TANGENT @ apply("third", NOISE_SLOPE, apply("led", LED, MULTIPLIER, SIGMA)))
    if response.is_still and response.of_losses:
        return -(HALF * HALF) * (TANGENT @ TRACE_SLOPE)
    return -HALF * (TANGENT @ apply("third", NOISE_SLOPE, SIGMA))
