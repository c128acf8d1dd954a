"""One-dimensional limits dθ = b dt + √a dW: scale function, speed measure, stationary density (Feller; Karlin & Taylor 1981, ch. 15)."""

from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.precision import compiled, mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.charts.boundary import accessible, growth
from symbolic_sgd.charts.chart import Chart, derivative, fresh_symbol, tidied, vanish, written
from symbolic_sgd.charts.interval import values_at, zeros_in
from symbolic_sgd.errors import BadInput, NoClosedForm, NoStationaryDensity, SymbolicSGDError, Undecided
from symbolic_sgd.rational.antiderivative import antiderivative
from symbolic_sgd.rational.positive_functions import (
    definite_integral,
    exponential,
    forms_of_product,
    gaussian_integral,
    minimum,
    number_or_infinity,
)
from symbolic_sgd.rational.real_zeros import between, interior, sign
from symbolic_sgd.regularizer.one_form import RegularizationForm

LOOP_DIGITS = 30
"""Digits to which ∮ 2b/a has to vanish, or not to, on a closed curve."""

NOISELESS = (
    "the limit has no noise along Γ: it is an ordinary differential equation, with fixed_points instead of a scale function, a "
    "speed measure and a stationary density"
)

SAMPLES = 500
"""Values of θ at which a > 0 is tested where its zeros are not known exactly."""


@dataclass(frozen=True)
class OneDimension:
    """The classical objects of dθ = b(θ) dt + √a(θ) dW on an interval or a closed curve.

    Args:
        chart: a chart with one coordinate.
    """

    chart: Chart

    @property
    def variable(self) -> sp.Symbol:
        """θ."""
        return self.chart.embedding.coordinates[0]

    @cached_property
    def drift(self) -> Expression:
        """b."""
        return self.chart.written("drift")[0, 0]

    @cached_property
    def variance(self) -> Expression:
        """a."""
        return self.chart.written("covariance")[0, 0]

    @cached_property
    def rate(self) -> Expression:
        """2b/a, after it was made sure that a > 0.

        Raises:
            NoStationaryDensity: a vanishes identically, or somewhere in the interval.
        """
        self._check_positive()
        return tidied(2 * self.drift / self.variance, self.chart.points)

    def _check_positive(self) -> None:
        graph = Graph()
        if vanish([from_sympy(self.variance, graph)], self.chart.points):
            raise NoStationaryDensity(NOISELESS)
        if not self._range_known:
            return
        zeros = self._zeros(self.variance)
        if zeros is None:
            ends = self.chart.bounds or ()
            if self.variance.free_symbols.union(*(end.free_symbols for end in ends)) != {self.variable}:
                raise Undecided(
                    f"whether the noise along Γ vanishes in the range of {self.variable} was not decided for all values of the "
                    "constants: declare their signs, or give them values"
                )
            zeros = self._sampled_zero()
        if zeros:
            raise NoStationaryDensity(
                f"the noise along Γ vanishes at {self.variable} = {zeros[0]}: the diffusion does not pass freely there; "
                "give an interval on one side of it with interval="
            )

    @property
    def _range_known(self) -> bool:
        return self.chart.bounds is not None or self.chart.period is not None

    def _fresh(self, *expressions: Expression) -> sp.Symbol:
        """A variable of integration: none of the problem's symbols, nor of the expressions'."""
        embedding = self.chart.embedding
        return fresh_symbol(*embedding.symbols, *embedding.derivation.problem.symbols, *expressions)

    def _zeros(self, expression: Expression) -> list[Expression] | None:
        return zeros_in(self.chart, expression, self.chart.bounds, self.chart.period)

    def _sampled_zero(self) -> list[Expression]:
        """A θ of a fine grid where a is not positive beside its largest value."""
        values = values_at(self.chart.points[0])
        low, high = (mp.mpf(str(sp.N(e.xreplace(values), 20))) for e in self._finite_range(values))
        function = compiled(self.variable, self.variance.xreplace(self._constants(values)))
        grid = [low + (high - low) * (k + mp.mpf(1) / 2) / SAMPLES for k in range(SAMPLES)]
        size = lambda t: mp.re(function(t))  # noqa: E731
        sizes = [size(t) for t in grid]
        largest = max(sizes)
        for k in range(1, SAMPLES - 1):
            if sizes[k] <= min(sizes[k - 1], sizes[k + 1]):
                lowest = minimum(size, grid[k - 1], grid[k + 1])
                if size(lowest) <= largest / 10**12:
                    return [sp.Float(lowest)]
        return [sp.Float(t) for t, a in zip(grid, sizes, strict=True) if a <= 0][:1]

    def _finite_range(self, values: dict[sp.Symbol, Expression]) -> tuple[Expression, Expression]:
        if self.chart.period is not None:
            return sp.S.Zero, self.chart.period
        here = self._origin
        low, high = self.chart.bounds or (here - 1, here + 1)
        low = high - 10 * (1 + abs(here)) if low == -sp.oo and high != sp.oo else low
        return (here - 10 if low == -sp.oo else low), (here + 10 if high == sp.oo else high)

    def _constants(self, values: dict[sp.Symbol, Expression]) -> dict[sp.Symbol, Expression]:
        return {s: v for s, v in values.items() if s != self.variable}

    # --- scale and speed --------------------------------------------------------------------

    @cached_property
    def potential(self) -> Expression:
        """F = ∫ 2b/a dθ, up to a constant; an unevaluated integral from a point of the interval where no closed form is found."""
        return self._integral(self.rate)

    @cached_property
    def regularizer(self) -> Expression:
        """R = −∫⟨mixed + normal regularization, ψ'⟩ dθ, likewise; in the metric of a preconditioner."""
        embedding, graph = self.chart.embedding, Graph()
        field = embedding.compose(RegularizationForm.of(embedding.derivation).program, graph)["field"]
        slope = Program.of({"slope": -(embedding.jacobian(graph).T @ field)})
        return self._integral(written(slope, "slope", self.chart.points)[0, 0])

    def _integral(self, integrand: Expression) -> Expression:
        found = self._antiderivative(integrand)
        if found is not None:
            return found
        dummy = self._fresh(integrand)
        return sp.Integral(integrand.xreplace({self.variable: dummy}), (dummy, self._origin, self.variable))

    def _antiderivative(self, integrand: Expression) -> Expression | None:
        """Checked by differentiation, and real on the interval."""
        found = antiderivative(integrand, self.variable)
        if found is None:
            return None
        found = found.replace(sp.log, self._real_logarithm)
        graph = Graph()
        try:
            gap = from_sympy(derivative(found, self.variable), graph) - from_sympy(integrand, graph)
            real = from_sympy(found, graph)
            return found if vanish([gap, real - real], self.chart.points) else None
        except SymbolicSGDError:
            return None

    def _real_logarithm(self, argument: Expression) -> Expression:
        """ln|q|, without the bars where q has one sign on the interval."""
        if self._range_known and self._zeros(argument) == []:
            inside = sp.S.Zero if self.chart.bounds is None else interior(*self.chart.bounds)
            known = sign(argument.xreplace({self.variable: inside}))
            if known:
                return sp.log(known * argument)
        return sp.log(sp.Abs(argument))

    @cached_property
    def _origin(self) -> Expression:
        """A simple number inside the interval; an expression where the interval depends on constants."""
        if self.chart.period is not None:
            return sp.S.Zero
        bounds = self.chart.bounds or (-sp.oo, sp.oo)
        if any(end.free_symbols for end in bounds):
            return interior(*bounds)
        here = sp.N(self.chart.points[0][self.variable], 15)
        for tolerance in (sp.Rational(1, 2), sp.Rational(1, 50), sp.Rational(1, 10**6)):
            simple = sp.nsimplify(here, tolerance=float(tolerance), rational=True)
            if between([simple], *bounds):
                return simple
        return interior(*bounds)

    @cached_property
    def scale_density(self) -> Expression:
        """s' = exp(−∫ 2b/a dθ), up to a constant factor."""
        return exponential(-self.potential)

    @cached_property
    def scale_function(self) -> Expression:
        """s = ∫ s' dθ, increasing, with 𝒜 s = 0; an unevaluated integral where no closed form is found."""
        found = self._antiderivative(self.scale_density)
        if found is not None:
            return found
        dummy = self._fresh(self.scale_density, *self.scale_density.atoms(sp.Symbol))
        return sp.Integral(self.scale_density.xreplace({self.variable: dummy}), (dummy, self._origin, self.variable))

    @cached_property
    def speed_density(self) -> Expression:
        """m = 2/(a s'), the density of the speed measure."""
        return self._shortest(2 * exponential(self.potential) / self.variance)

    # --- stationary density -----------------------------------------------------------------

    @cached_property
    def stationary_density(self) -> Expression:
        """The stationary density with respect to dθ, normalised.

        Raises:
            NoStationaryDensity: it is not normalisable, or an end is reached in finite time.
            Undecided: signs of constants decide it, or 2b/a is not rational.
            NoClosedForm: the interval is not known.
        """
        if self.chart.period is not None:
            return self._on_closed_curve(self.chart.period)
        if self.chart.bounds is None:
            raise NoClosedForm(
                f"the range of {self.variable} was not found: give it with interval=(low, high) (sympy.oo for infinity), or period="
            )
        lower, upper = self.chart.bounds
        density = self.speed_density
        for end, is_upper in ((lower, False), (upper, True)):
            self._check_end(end, is_upper)
        return self._normalised(density, lower, upper)

    def _check_end(self, end: Expression, upper: bool) -> None:
        mobility = tidied(-derivative(self.variance, self.variable) / self.variance, self.chart.points)
        speed = growth(tidied(self.rate + mobility, self.chart.points), self.variable, end, upper=upper)
        scale = growth(-self.rate, self.variable, end, upper=upper)
        if not speed.integrable():
            raise NoStationaryDensity(
                f"no stationary density: the zero-flux density, proportional to {self.speed_density}, is not integrable at "
                f"{self.variable} → {end} (it behaves like {_power(speed.exponent, self.variable, end)})"
            )
        if accessible(scale, growth(mobility, self.variable, end, upper=upper)):
            raise NoStationaryDensity(
                f"no stationary density: {self.variable} = {end} is reached in finite time, where this chart ends (where Γ "
                "goes on, another chart does). "
                f"Reflected there it would have a density proportional to {self.speed_density}"
            )

    def _normalised(self, density: Expression, lower: Expression, upper: Expression) -> Expression:
        closed = definite_integral(self._antiderivative(density), self.variable, lower, upper)
        if closed is None:
            closed = gaussian_integral(density, self.variable, lower, upper)
        total = closed if closed is not None and self._agrees(closed, density, lower, upper) else None
        if total is None:
            dummy = self._fresh(density, *density.atoms(sp.Symbol))
            total = sp.Integral(density.xreplace({self.variable: dummy}), (dummy, lower, upper))
        return self._shortest(density / total)

    def _agrees(self, total: Expression, density: Expression, lower: Expression, upper: Expression) -> bool:
        """Whether a closed integral is what quadrature finds, at the constants of one point."""
        constants = self._constants(values_at(self.chart.points[0]))
        function = compiled(self.variable, density.xreplace(constants))
        ends = [number_or_infinity(end.xreplace(constants)) for end in (lower, self._origin, upper)]
        found, expected = mp.quad(function, ends), mp.mpf(str(sp.N(total.xreplace(constants), 15)))
        return bool(abs(found - expected) < abs(expected) / 10**4)

    def _on_closed_curve(self, period: Expression) -> Expression:
        """Zero flux where ∮ 2b/a = 0, else the density of constant flux, ∝ (1/a) e^F ∫_θ^{θ+T} e^{−F}."""
        if not self.loop_vanishes(period):
            y = self._fresh(self.potential, *self.potential.atoms(sp.Symbol))
            wave = sp.Integral(exponential(self._increase_from(y)), (y, self.variable, self.variable + period))
            density = wave / self.variance
        else:
            density = self._shortest(self.speed_density / 2)
        if not density.has(self.variable):
            return 1 / period
        y = self._fresh(density, *density.atoms(sp.Symbol))
        return density / sp.Integral(density.subs(self.variable, y), (y, sp.S.Zero, period))

    def _increase_from(self, start: sp.Symbol) -> Expression:
        """∫ 2b/a from `start` to θ."""
        if not self.potential.has(sp.Integral):
            return self.potential - self.potential.xreplace({self.variable: start})
        z = self._fresh(self.rate, start)
        return sp.Integral(self.rate.xreplace({self.variable: z}), (z, start, self.variable))

    def _shortest(self, expression: Expression) -> Expression:
        """The shortest of some ways to write a product of powers, each of them checked."""
        graph = Graph()
        forms = [
            *forms_of_product(expression),
            *([] if expression.has(sp.Integral) else [tidied(expression, self.chart.points)]),
        ]
        for form in sorted(forms, key=operations):
            try:
                gap = from_sympy(form, graph) - from_sympy(expression, graph)
                if vanish([gap], self.chart.points):
                    return form
            except SymbolicSGDError:
                continue
        return expression

    def loop_vanishes(self, period: Expression) -> bool:
        """Whether ∮ 2b/a = 0, by the trapezoidal rule, which converges exponentially on a closed curve.

        Raises:
            Undecided: it is neither clearly zero nor clearly not, or this depends on the constants.
        """
        if self.rate.is_zero:
            return True
        different = {tuple(self._constants(values_at(point)).items()) for point in self.chart.points}
        verdicts = {self._loop_vanishes(dict(constants), period) for constants in different}
        if len(verdicts) > 1:
            raise Undecided("whether ∮ 2b/a vanishes depends on the constants: give them values")
        return verdicts.pop()

    def _loop_vanishes(self, constants: dict[sp.Symbol, Expression], period: Expression) -> bool:
        with mp.workdps(50):
            function = compiled(self.variable, self.rate.xreplace(constants))
            length = mp.mpf(str(sp.N(period.xreplace(constants), 60)))
            previous, size, count = mp.inf, mp.mpf(0), 32
            while count <= 8192:
                sampled = [function(length * k / count) for k in range(count)]
                total, size = mp.fsum(sampled) / count, max(map(abs, sampled))
                if abs(total - previous) < size * mp.mpf(10) ** -(LOOP_DIGITS + 5):
                    return abs(total) < size * mp.mpf(10) ** -LOOP_DIGITS
                previous, count = total, 2 * count
        raise Undecided("∮ 2b/a was not computed to 30 digits: 2b/a varies too fast along the curve")


def check_one_dimensional(chart: Chart, name: str) -> None:
    """
    Raises:
        BadInput: the chart has several coordinates.
    """
    if chart.dimension != 1:
        raise BadInput(f"{name} belongs to one-dimensional charts; this one has {chart.dimension} coordinates")


def _power(exponent: Expression | None, variable: sp.Symbol, end: Expression) -> str:
    if exponent is None:
        return "an exponential"
    distance = f"|{variable}|" if end in (sp.oo, -sp.oo) or end == 0 else f"|{variable} - ({end})|"
    return "a constant" if exponent == 0 else f"{distance}**({exponent})"
