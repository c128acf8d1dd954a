"""The limiting SDE in coordinates of Γ, as users hold it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.charts.chart import Chart, derivative, tidied
from symbolic_sgd.charts.fixed_points import FixedPoints, find_fixed_points
from symbolic_sgd.charts.one_dimension import OneDimension, check_one_dimensional
from symbolic_sgd.charts.stated import chart_expression
from symbolic_sgd.charts.zero_flux import zero_flux_density
from symbolic_sgd.effort import FIXED_POINTS, Effort, Progress, checked_progress, checked_seconds
from symbolic_sgd.errors import ExpressionTooLarge, SingularPoint
from symbolic_sgd.numeric.host import BLOCK
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.printing.blocks import Block, display, one_output, snippet
from symbolic_sgd.printing.displays import expression_latex, matrix_displays


@dataclass(frozen=True)
class ChartSDE:
    """dθ = b_θ dt + σ_θ dW in n = D − M coordinates θ of Γ, x = ψ(θ): b_θ = ψ'⁺(b − ½ψ''[Σ_θ]), σ_θ = ψ'⁺ ∂Φ σ.

    Made by `LimitingSDE.in_chart`. Matrices are exact, functions of θ and of the problem's constants.

    Raises:
        ExpressionTooLarge: by a matrix that does not expand within the size budget; `program` and `lambdify` always work.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> chart = sde.in_chart()
    >>> chart.coordinates, sp.factor(chart.drift[0])
    ((u,), -u*(u - 1)*(u + 1)*(u**2 + 1)/(2*(u**4 + 1)))
    """

    chart: Chart

    @property
    def coordinates(self) -> tuple[sp.Symbol, ...]:
        """θ."""
        return self.chart.embedding.coordinates

    @cached_property
    def embedding(self) -> sp.ImmutableDenseMatrix:
        """ψ(θ), D×1."""
        return sp.ImmutableDenseMatrix(list(self.chart.embedding.expressions))

    @property
    def program(self) -> Program:
        """The straight-line program of embedding, drift, diffusion, covariance and metric."""
        return self.chart.program

    @property
    def interval(self) -> tuple[sp.Expr, sp.Expr] | None:
        """The open interval of a one-dimensional θ; None if it was not found, on closed curves, and in several dimensions."""
        return self.chart.bounds

    @property
    def period(self) -> sp.Expr | None:
        """The period of ψ on a closed curve, else None."""
        return self.chart.period

    @cached_property
    def drift(self) -> sp.ImmutableDenseMatrix:
        """b_θ, n×1."""
        return self.chart.written("drift")

    @cached_property
    def diffusion(self) -> sp.ImmutableDenseMatrix:
        """σ_θ, n×Ξ."""
        return self.chart.written("diffusion")

    @cached_property
    def covariance(self) -> sp.ImmutableDenseMatrix:
        """Σ_θ = σ_θσ_θᵀ, n×n."""
        return self.chart.written("covariance")

    @cached_property
    def metric(self) -> sp.ImmutableDenseMatrix:
        """ψ'ᵀψ', n×n: the Riemannian metric of Γ."""
        return self.chart.written("metric")

    # --- operators --------------------------------------------------------------------------

    def generator(self, observable: Any) -> sp.Expr:
        """𝒜φ = b_θ·∂φ + ½ Σ_θ:∂²φ, for φ in the coordinates or in the ambient parameters (then φ(ψ(θ)) is meant)."""
        value = chart_expression(self.chart, observable, where="the observable")
        total = sp.S.Zero
        for i, t in enumerate(self.coordinates):
            total += self.drift[i, 0] * derivative(value, t)
            for j, other in enumerate(self.coordinates):
                total += self.covariance[i, j] * derivative(value, t, other) / 2
        return tidied(total, self.chart.points)

    def fokker_planck(self, density: Any) -> sp.Expr:
        """−∂_i(b_i p) + ½ ∂_i∂_j(a_ij p), the rate ∂p/∂t of a density with respect to dθ."""
        p = chart_expression(self.chart, density, where="the density")
        total = sp.S.Zero
        for i, t in enumerate(self.coordinates):
            total -= derivative(self.drift[i, 0] * p, t)
            for j, other in enumerate(self.coordinates):
                total += derivative(self.covariance[i, j] * p, t, other) / 2
        return tidied(total, self.chart.points)

    # --- one dimension ----------------------------------------------------------------------

    @cached_property
    def _line(self) -> OneDimension:
        return OneDimension(self.chart)

    @property
    def scale_density(self) -> sp.Expr:
        """s'(θ) = exp(−∫ 2b/a dθ), up to a constant factor; one coordinate only."""
        check_one_dimensional(self.chart, "scale_density")
        return self._line.scale_density

    @property
    def scale_function(self) -> sp.Expr:
        """s with 𝒜s = 0, increasing; an unevaluated integral where no closed form is found; one coordinate only."""
        check_one_dimensional(self.chart, "scale_function")
        return self._line.scale_function

    @property
    def speed_measure(self) -> sp.Expr:
        """The density 2/(a s') of the speed measure, which is proportional to the zero-flux density; one coordinate only."""
        check_one_dimensional(self.chart, "speed_measure")
        return self._line.speed_density

    @property
    def regularizer(self) -> sp.Expr:
        """R(θ) = −∫⟨mixed + normal regularization, ψ'⟩ dθ, up to a constant; one coordinate only, where it always exists.

        An unevaluated integral where no closed form is found (`.evalf()` computes it). On a closed curve it is a function of the
        point ψ(θ) only if it has the period of ψ.

        Raises:
            BadInput: several coordinates.
            ExpressionTooLarge: by ⟨mixed + normal regularization, ψ'⟩.
        """
        check_one_dimensional(self.chart, "regularizer")
        return self._line.regularizer

    @cached_property
    def stationary_density(self) -> sp.Expr:
        """The stationary density with respect to dθ.

        One coordinate: p = c/a exp ∫ 2b/a, normalised; c holds an unevaluated integral where no closed form is found (`.evalf()`
        computes it, and sympy.lambdify with modules="scipy" where integrals are nested). On a closed curve with ∮ 2b/a ≠ 0 it
        is the density of constant flux. It is refused where it is not normalisable, or where an end of the interval is
        reached in finite time.
        Several coordinates: the density of zero flux, up to a constant factor, whose integral may be infinite.

        Raises:
            NoStationaryDensity: there is none, and why.
            Undecided: the signs of constants decide it, or the ends were not understood.
            NoClosedForm: it was not found in closed form.
        """
        return zero_flux_density(self.chart) if len(self.coordinates) > 1 else self._line.stationary_density

    # --- deterministic limits ---------------------------------------------------------------

    @cached_property
    def fixed_points(self) -> FixedPoints:
        """The zeros of the drift with their stability, where the limit has no noise along Γ (label noise).

        Those in the chart, that is in its interval where it has one; `reason` says in words what else is known, `elsewhere`
        holds those that were found on other parts of Γ, `other_charts` how to see them, `continua` zeros that may not be isolated.

        Raises:
            NotDeterministic: the limit has noise.
            Undecided: the drift vanishes everywhere.
        """
        return self.find_fixed_points()

    def find_fixed_points(self, *, seconds: float = FIXED_POINTS, progress: Progress | None = None) -> FixedPoints:
        """What `fixed_points` is, with a budget.

        Args:
            seconds: of processor time after which the numerical search stops; float("inf") for no limit.
            progress: told in words what is being done.

        Raises:
            NotDeterministic, Undecided: as by `fixed_points`.
        """
        return find_fixed_points(self.chart, Effort(checked_seconds(seconds), checked_progress(progress)))

    # --- numbers and words ------------------------------------------------------------------

    def lambdify(self) -> "ChartFunctions":
        """Float64 functions of θ."""
        return ChartFunctions(self.chart)

    def latex(self) -> str:
        """The SDE in the chart, as LaTeX that compiles with amsmath."""
        return snippet(self._blocks())

    def _repr_latex_(self) -> str:
        return one_output(self._blocks())

    def _blocks(self) -> list[Block]:
        names = ", ".join(map(expression_latex, self.coordinates))
        left = names if len(self.coordinates) == 1 else rf"({names})^{{\top}}"
        statement = display(rf"\theta = {left},\qquad d\theta = b\,dt + \sigma\,dW,\qquad x = \psi(\theta)")
        coefficients = (*self._coefficient("b", "drift"), *self._coefficient(r"\sigma", "diffusion"))
        return [statement, *matrix_displays(r"\psi", [], self.embedding), *coefficients]

    def _coefficient(self, symbol: str, name: str) -> Sequence[Block]:
        """A coefficient entry by entry, or its size where it is too large to be written out."""
        try:
            return matrix_displays(symbol, [], getattr(self, name))
        except ExpressionTooLarge:
            operations = self.program.select(name).operations
            return [display(rf"{symbol}:\quad \text{{a program of {operations} operations}}")]

    def explain(self) -> str:
        """How the chart was found, where it holds, and how large its coefficients are."""
        lines = [f"{self.chart.embedding.words}; checked at {len(self.chart.points)} points to 50 digits."]
        if self.period is not None:
            lines.append(f"It is a closed curve of period {self.period}.")
        elif self.interval is not None:
            lines.append(f"{self.coordinates[0]} runs over the open interval ({self.interval[0]}, {self.interval[1]}).")
        if self.chart.sampled:
            lines.append("Its singularities were not found exactly: none was met on a grid of the range stated.")
        for name in ("drift", "diffusion"):
            lines.append(f"{name}: {self.program.select(name).operations} operations as a program")
        return "\n".join(lines)

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.coordinates))
        try:
            small = sum(operations(e) for m in (self.drift, self.diffusion) for e in m.flat()) <= 60
        except ExpressionTooLarge:
            small = False
        shown = f", drift={self.drift.flat()}, diffusion={self.diffusion.tolist()}" if small else ""
        return f"ChartSDE({names}; x = {self.embedding.flat()}{shown})"


@dataclass(frozen=True)
class ChartFunctions:
    """The SDE in a chart on float64 values of θ, (..., n), constants by keyword.

    Raises:
        BadPoint: wrong last dimension; not real or not finite.
        SingularPoint: a coefficient is not finite there.
    """

    chart: Chart

    def drift(self, theta: Any, /, **constants: Any) -> np.ndarray:
        """b_θ, (..., n)."""
        return self._evaluated("drift", theta, constants)[..., 0]

    def diffusion(self, theta: Any, /, **constants: Any) -> np.ndarray:
        """σ_θ, (..., n, Ξ)."""
        return self._evaluated("diffusion", theta, constants)

    def embedding(self, theta: Any, /, **constants: Any) -> np.ndarray:
        """ψ, (..., D)."""
        return self._evaluated("embedding", theta, constants)[..., 0]

    def _evaluated(self, name: str, theta: Any, constants: dict[str, Any]) -> np.ndarray:
        embedding = self.chart.embedding
        points = as_points(theta, self.chart.dimension)
        given = constant_columns(embedding.derivation.problem.constants, constants, points.shape[:-1])
        rows = np.concatenate([points.reshape(-1, self.chart.dimension), *given], axis=1)
        program = self._programs[name]
        (output,) = program.outputs
        parts = [evaluate(program, embedding.symbols, rows[k : k + BLOCK])[name] for k in range(0, len(rows), BLOCK)]
        values = np.concatenate(parts) if parts else np.empty((0, len(output.registers)))
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            where = np.array2string(rows[np.argmax(bad)], precision=6)
            raise SingularPoint(f"the {name} is not finite at θ = {where}: the chart does not hold there")
        return values.reshape(*points.shape[:-1], *output.shape)

    @cached_property
    def _programs(self) -> dict[str, Program]:
        return {name: self.chart.program.select(name) for name in ("embedding", "drift", "diffusion")}
