"""The lines of a derivation in vectors where the fast field is F = S_P∇L for a preconditioner S_P, and projections are oblique."""

from collections.abc import Sequence

import sympy as sp

from symbolic_sgd.algebra.differentiate import contracted_hessian
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import SymbolicMatrix, from_sympy, nodes_of
from symbolic_sgd.algebra.vector_expressions import IDENTITY, VectorExpression, apply
from symbolic_sgd.optimizers.nonlinear_update import NonlinearUpdate
from symbolic_sgd.theorem.composed import slow_fields
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.structural import (
    ACROSS,
    BENT,
    COMPENSATION,
    COVARIANCE,
    DUAL_SECOND,
    GROUP_INVERSE,
    HALF,
    HESSIAN,
    KERNEL,
    MIXED,
    MOMENTS,
    NOISE,
    PRECONDITIONER,
    PSEUDO_INVERSE,
    RANK,
    RATE,
    REMEMBERED,
    SECOND,
    SIGMA,
    SLOPE,
    SLOW,
    STATIONARY,
    STEP,
    TANGENT,
    Line,
    StructuralFormulas,
    ThirdDerivative,
    own_drifts,
    totalled,
    used,
)
from symbolic_sgd.theorem.terms import CURVED


def of_metric(derivation: Derivation) -> StructuralFormulas:
    """The lines in J = ∂F, its group inverse, and the covariance W of the noise of a step."""
    graph, response = Graph(), derivation.response
    blocks = derivation.blocks.on(graph)
    entries = {
        SIGMA.name: blocks["noise_factor"],
        HESSIAN.name: blocks["hessian"],
        PRECONDITIONER.name: _metric(derivation, graph),
    }
    entries |= {SLOW[term][1].name: field for term, field in slow_fields(derivation, graph).items()}
    second = lambda b: apply("third", SECOND, b)  # noqa: E731
    moved: VectorExpression = STEP @ TANGENT.T
    if response.mixed != 1:
        moved = apply("function_in_metric", SLOPE, PRECONDITIONER, RANK, KERNEL, moved)
    across = IDENTITY - TANGENT
    values = {
        "lyapunov_solution": (
            STATIONARY,
            apply("by_pairs_in_metric", SLOPE, PRECONDITIONER, RANK, KERNEL, across @ STEP @ across.T),
        ),
        "tangent_noise": (NOISE, TANGENT @ PRECONDITIONER @ SIGMA),
        "tangent_noise_compensation": (COMPENSATION, -HALF * (GROUP_INVERSE @ second(TANGENT @ STEP @ TANGENT.T))),
        "mixed_regularization": (MIXED, -(TANGENT @ second(GROUP_INVERSE @ moved))),
        "normal_regularization": (ACROSS, -HALF * (TANGENT @ second(STATIONARY))),
        **own_drifts(derivation),
    }
    mirror = derivation.optimizer.potential_bends(derivation.problem)
    if mirror is not None:
        bent = lambda b: apply("third", DUAL_SECOND, b)  # noqa: E731
        values[CURVED.name] = (BENT, HALF * (TANGENT @ bent(COVARIANCE)))
        if derivation.optimizer.is_finite:
            entries[REMEMBERED.name] = Matrix.column([from_sympy(derivation.optimizer.rate, graph)])
            pushed = second(STATIONARY) - REMEMBERED @ bent(HESSIAN @ STATIONARY @ HESSIAN)
            values["normal_regularization"] = (ACROSS, -HALF * (TANGENT @ pushed))
    moments = derivation.optimizer.second_moments(derivation.problem)
    if moments is not None:
        entries[RATE.name] = Matrix.column([from_sympy(moments.rate, graph)])
        remembered = lambda b: RATE @ apply("third", MOMENTS, b)  # noqa: E731
        values[CURVED.name] = (BENT, remembered(COVARIANCE))
        if derivation.optimizer.is_finite:
            entries[REMEMBERED.name] = Matrix.column([from_sympy(derivation.optimizer.rate, graph)])
            pushed = -HALF * (TANGENT @ second(STATIONARY))
            values["normal_regularization"] = (
                ACROSS,
                pushed + REMEMBERED @ remembered(HESSIAN @ STATIONARY @ HESSIAN),
            )
    start = (
        Line(PSEUDO_INVERSE, apply("pseudo_inverse", HESSIAN, RANK), "hessian_pinv"),
        Line(SLOPE, PRECONDITIONER @ HESSIAN),
        Line(GROUP_INVERSE, apply("group_inverse", SLOPE, PRECONDITIONER, RANK)),
        Line(TANGENT, IDENTITY - SLOPE @ GROUP_INVERSE, "tangent_projection"),
        Line(COVARIANCE, SIGMA @ SIGMA.T),
        Line(STEP, PRECONDITIONER @ COVARIANCE @ PRECONDITIONER),
    )
    lines = totalled(start, values, derivation.zeros)
    return StructuralFormulas(
        parameters=derivation.problem.parameters,
        rank=derivation.codimension,
        entries=used(entries, lines),
        third=_second_derivative(derivation),
        bends=0,
        lines=lines,
        response=response,
        moments=moments,
        mirror=None if mirror is None else _bends(mirror),
        of_steps=derivation.optimizer.expression if isinstance(derivation.optimizer, NonlinearUpdate) else None,
    )


def _metric(derivation: Derivation, graph: Graph) -> Matrix:
    stated = derivation.optimizer.metric(derivation.problem)
    assert stated is not None
    return nodes_of(stated, graph)


def _bends(matrices: Sequence[SymbolicMatrix]) -> Program:
    """∂_1∇²ψ … ∂_D∇²ψ, one below the other."""
    return Program.of({"bends": nodes_of(sp.Matrix.vstack(*matrices), Graph())})


def _second_derivative(derivation: Derivation) -> ThirdDerivative:
    """∂²F[B]."""
    landscape = derivation.problem.landscape()
    field = _metric(derivation, landscape.graph) @ landscape.gradient
    return ThirdDerivative.by(
        landscape, lambda b: Matrix.column(contracted_hessian(f, landscape.variables, b.rows) for f in field.entries)
    )
