"""The theorem for a preconditioned field F = S∇L, literally: SymPy's derivatives of F, Cholesky's factor of S, and eigenvectors.

With S = LLᵀ the coordinates x̃ = L⁻¹x make it plain: the field is L⁻¹F(Lx̃), its slope on Γ LᵀHL, symmetric, its noise Lᵀσ, and its
second derivatives L⁻¹F″[L·Lᵀ]. What is found there is carried back by L.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseMatrix
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.checks.by_sympy import DIGITS, BySymPy, Contraction, precise
from symbolic_sgd.checks.fresh_points import Point
from symbolic_sgd.checks.literal import PRECISE, LiteralTerms, LiteralTheorem, literal_terms, number_at
from symbolic_sgd.flow.loss_functions import symmetric_symbols
from symbolic_sgd.optimizers.optimizer import Optimizer


@dataclass(frozen=True)
class FieldBySymPy(BySymPy):
    """A problem in SymPy's differentiation, with the fast field of an optimizer."""

    optimizer: Optimizer

    @cached_property
    def metric(self) -> Program:
        """S, as `metric`."""
        stated, graph = self._preconditioner, Graph()
        d = range(stated.rows)
        return Program.of({"metric": Matrix.of([self._stand_ins.lift(stated[i, j], graph) for j in d] for i in d)})

    def entries(self, matrix: Any) -> Program:
        """A matrix of expressions, as `entries`."""
        graph, d = Graph(), range(matrix.rows)
        lift = self._stand_ins.lift
        return Program.of({"entries": Matrix.of([lift(matrix[i, j], graph) for j in d] for i in d)})

    @cached_property
    def bent(self) -> Contraction:
        """F″[C] on Γ by the product rule: without ∂²S∇L, since ∇L = 0 there."""
        real, graph = self._stand_ins, Graph()
        if self.optimizer.step_factor(self.problem) is not None:
            return self._bent_mean
        stated, variables = self._preconditioner, real.variables
        upper = symmetric_symbols(len(variables))
        gradient, d = real.gradient(self.problem.loss), range(len(variables))
        weights = Matrix.of([graph.symbol(c) for c in row] for row in upper)
        slopes = [[real.lift(sp.diff(f, s), graph) for s in variables] for f in gradient]
        second = [
            graph.total(
                weights[i, j] * real.lift(sp.diff(f, s, t), graph)
                for i, s in enumerate(variables)
                for j, t in enumerate(variables)
            )
            for f in gradient
        ]

        def entry(k: int) -> Iterator[Node]:
            for j in d:
                factor = stated[k, j]
                if factor == 0:
                    continue
                yield real.lift(factor, graph) * second[j]
                for i, s in enumerate(variables):
                    change = sp.diff(factor, s)
                    if change != 0:
                        yield 2 * real.lift(change, graph) * graph.total(weights[i, t] * slopes[j][t] for t in d)

        return Contraction(Program.of({"third": Matrix.column(graph.total(entry(k)) for k in d)}), upper)

    @property
    def _bent_mean(self) -> Contraction:
        """F″[C] for a mean step F that is no product S∇L."""
        real, graph = self._stand_ins, Graph()
        stated = self.optimizer.mean_field(self.problem, real.gradient(self.problem.loss))
        field = [f.xreplace(dict(real.real)) for f in stated]
        upper = symmetric_symbols(len(real.variables))
        second = [
            sp.Add(
                *[
                    c * sp.diff(f, s, t)
                    for s, row in zip(real.variables, upper, strict=True)
                    for t, c in zip(real.variables, row, strict=True)
                ]
            )
            for f in field
        ]
        return Contraction(Program.of({"third": Matrix.column(real.lift(e, graph) for e in second)}), upper)

    @property
    def _preconditioner(self) -> Any:
        stated: Any = self.optimizer.metric(self.problem)
        return sp.Matrix(stated).xreplace(dict(self._stand_ins.real))


@dataclass(frozen=True)
class LiteralField(LiteralTheorem):
    """The theorem for a preconditioned field at points of Γ."""

    stated: FieldBySymPy

    def terms(self, point: Point) -> LiteralTerms:
        with mp.workdps(DIGITS):
            root = mp.cholesky(self._metric(point))
            back = mp.inverse(root)
            response = self._response(point)
            response = replace(response, slow={name: back * field for name, field in response.slow.items()})
            found = literal_terms(
                PRECISE,
                root.T * self._hessian(point) * root,
                back * self._step_factor(point),
                lambda b: back * self._bent(point, root * b * root.T),
                self.rank,
                response,
            )
            carried = {name: root * matrix for name, matrix in found.matrices.items()}
            plain = literal_terms(PRECISE, self._hessian(point), self._sigma(point), lambda b: 0 * b[:, 0], self.rank)
            carried |= {
                "tangent_projection": root * found.tangent_projection * back,
                "hessian_pinv": plain.hessian_pinv,
                "lyapunov_solution": root * found.lyapunov_solution * root.T,
            }
            return LiteralTerms(**self._remembered(point, self._bent_steps(point, carried)))

    def _bent_steps(self, point: Point, terms: dict[str, PreciseMatrix]) -> dict[str, PreciseMatrix]:
        """With ½P x″[Σ] and ½ηP x″[HSH] of mirror descent, for the second derivative x″ of the inverse of ∇ψ."""
        bends = self.optimizer.potential_bends(self.stated.problem)
        if bends is None:
            return terms
        metric, hessian, sigma = self._metric(point), self._hessian(point), self._sigma(point)
        second = [precise(self.stated.entries(bend), point)["entries"] for bend in bends]

        def inverse(b: PreciseMatrix) -> PreciseMatrix:
            moved, d = metric * b * metric, metric.rows
            traces = [sum(m[i, j] * moved[j, i] for i in range(d) for j in range(d)) for m in second]
            return -(metric * mp.matrix(traces))

        onto = terms["tangent_projection"]
        curved = terms["noise_curvature_drift"] + onto * inverse(sigma * sigma.T) / 2
        normal = terms["normal_regularization"]
        if self.optimizer.is_finite:
            rate = number_at(self.optimizer.rate, point)
            normal = normal + onto * inverse(hessian * terms["lyapunov_solution"] * hessian) * rate / 2
        return terms | {"noise_curvature_drift": curved, "normal_regularization": normal}

    def _remembered(self, point: Point, terms: dict[str, PreciseMatrix]) -> dict[str, PreciseMatrix]:
        """With what slow second moments v learn of the noise, c V(Σ) and cηV(HSH)."""
        moments = self.optimizer.second_moments(self.stated.problem)
        if moments is None:
            return terms
        c, d = number_at(moments.rate, point), self.stated.problem.dimension
        hessian, sigma = self._hessian(point), self._sigma(point)
        covariance, seen = sigma * sigma.T, hessian * terms["lyapunov_solution"] * hessian
        rows = len(moments.sums)
        column = lambda b: mp.matrix([0] * (d - rows) + [c * a for a in moments.of(lambda i, j: b[i, j])])  # noqa: E731
        curved = terms["noise_curvature_drift"] + column(covariance)
        normal = terms["normal_regularization"]
        if self.optimizer.is_finite:
            normal = normal + number_at(self.optimizer.rate, point) * column(seen)
        return terms | {"noise_curvature_drift": curved, "normal_regularization": normal}

    def differential(self, point: Point) -> PreciseMatrix:
        with mp.workdps(DIGITS):
            return mp.lu_solve(self._metric(point), self.terms(point).regularization)

    def descended(self, point: Point, slope: PreciseMatrix) -> PreciseMatrix:
        with mp.workdps(DIGITS):
            return -(self.terms(point).tangent_projection * (self._metric(point) * slope))

    def diffusion(self, point: Point) -> PreciseMatrix:
        return self.terms(point).tangent_noise

    def float_terms(self, row: np.ndarray) -> LiteralTerms:
        terms = self.terms(self.onto(dict(zip(self.stated.problem.symbols, row.tolist(), strict=True))))
        return terms.as_floats()

    def float_differential(self, row: np.ndarray) -> np.ndarray:
        point = self.onto(dict(zip(self.stated.problem.symbols, row.tolist(), strict=True)))
        return np.array(self.differential(point).tolist(), dtype=float)

    def _step_factor(self, point: Point) -> PreciseMatrix:
        """τ, with the covariance W = ττᵀ of a step: Sσ where ψ is linear."""
        stated = self.stated.optimizer.step_factor(self.stated.problem)
        if stated is None:
            return self._metric(point) * self._sigma(point)
        return precise(stated, point)["factor"]

    def _metric(self, point: Point) -> PreciseMatrix:
        return precise(self.stated.metric, point)["metric"]

    def _bent(self, point: Point, b: PreciseMatrix) -> PreciseMatrix:
        return self._contracted(self.stated.bent, point, b)
