"""What a derived SDE claims at a point of Γ, against the literal theorem: its numbers, its formulas, its zeros.

Three claims are judged, each by itself:

* numbers: what `sde.lambdify()` returns, with its checks on, at the float64 point (or that it refuses the point);
* formulas: what the program behind the matrices gives at many digits, at every point where `valid_where` holds;
* zeros: entries that are exactly 0 there.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from regular_points import Irregular, Place, regular_place
from theorem_literal import LiteralLandscape, LiteralTerms, literal_landscape
from working_precision import working_digits

from symbolic_sgd import LimitingSDE, SymbolicSGDError
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.theorem.terms import TERMS

DIGITS, MORE = 25, 40
"""The literal theorem is right to about twice as many digits; with more of them where curvatures are far apart."""

FAR_APART = mpmath.mpf("1e6")

FORMULA = mpmath.mpf("1e-25")
"""Relative error, at 55 digits, up to which a formula counts as right; beyond it the formula is tried at 150 digits."""

NUMBER = 1e-6
"""Relative error of a float64 number that is wrong, unless the exact value moves as much where the point is rounded."""

ROUNDING, CONDITIONED = 1e-12, 1e-7
"""Error of a number allowed beside the size of the products that it is the sum of: the first times λ_1/λ_M, up to the second."""

UNDERFLOW = mpmath.mpf(2) ** -1022
"""What float64 has no number for is 0 there."""

DRIFTS = ("tangent_noise_compensation", "mixed_regularization", "normal_regularization", "drift")


@dataclass(frozen=True, eq=False)
class Truth:
    """The literal theorem at one regular point.

    Args:
        loss, sigma: without constants.
        parameters: x_1 … x_D.
        place: where.
        noise_scale: the largest entry of σ, if in its sums nothing cancelled: what rounding of σ is relative to.
    """

    loss: sp.Expr
    sigma: sp.ImmutableDenseMatrix
    parameters: tuple[sp.Symbol, ...]
    place: Place
    noise_scale: mpmath.mpf

    @cached_property
    def landscape(self) -> LiteralLandscape:
        found = self._landscape(DIGITS)
        values = found.spectrum.values
        return found if values[0] < FAR_APART * values[self.place.codimension - 1] else self.closer

    @cached_property
    def closer(self) -> LiteralLandscape:
        """With more digits: differences with a step of 10^−n lose those of a loss that varies over lengths of 10^−n/2."""
        return self._landscape(MORE)

    def _landscape(self, digits: int) -> LiteralLandscape:
        found = literal_landscape(self.loss, self.parameters, self.place.point, self.place.codimension, digits)
        if not found.spectrum.values[self.place.codimension - 1]:
            raise Irregular("the curvature across Γ is 0: parts of Γ cross there")
        return found

    @cached_property
    def terms(self) -> LiteralTerms:
        return self.landscape.terms(self.sigma)

    def looked_at_closer(self) -> "Truth":
        """The same point, the literal theorem taken with more digits."""
        again = Truth(self.loss, self.sigma, self.parameters, self.place, self.noise_scale)
        again.__dict__["landscape"] = self.closer
        return again

    def size(self, name: str) -> mpmath.mpf:
        """The largest entry of a term; of all drift terms, for these."""
        names = DRIFTS if name in DRIFTS else (name,)
        return max(abs(a) for n in names for a in getattr(self.terms, n))

    @property
    def condition(self) -> mpmath.mpf:
        """λ_1/λ_M, by which float64 loses digits of H†."""
        values = self.landscape.spectrum.values
        return values[0] / values[self.place.codimension - 1]

    def natural(self, name: str) -> mpmath.mpf:
        """A bound of the products whose sum a term is: 1, |H†|, |H†||σ|², |σ|, |H†||T||σ|²."""
        softest = 1 / self.landscape.spectrum.values[self.place.codimension - 1]
        third = max(abs(a) for plane in self.landscape.third for row in plane for a in row)
        third = max(third, self.landscape.spectrum.values[0] / (max(map(abs, self.place.point)) or 1))
        noise = self.noise_scale
        return {
            "tangent_projection": mpmath.mpf(1),
            "hessian_pinv": softest,
            "lyapunov_solution": softest * noise**2,
            "tangent_noise": noise,
        }.get(name, softest * third * noise**2)

    def moves(self, name: str) -> float:
        """How much a term changes along Γ when the point is rounded to float64, by three random roundings."""
        rng, worst = np.random.default_rng(3), mpmath.mpf(0)
        tangent = self.terms.tangent_projection
        with mpmath.workdps(2 * MORE):
            for _ in range(3):
                shift = mpmath.matrix([abs(a) * rng.choice((-1, 1)) * mpmath.mpf(2) ** -53 for a in self.place.point])
                moved = [a + b for a, b in zip(self.place.point, tangent * shift, strict=True)]
                there = _beside(self, moved)
                if there is None:
                    continue
                difference = getattr(there, name) - getattr(self.terms, name)
                worst = max(worst, *(abs(a) for a in difference))
        return float(worst)


def _beside(truth: Truth, point: Sequence) -> LiteralTerms | None:
    """The terms very near a regular point: Γ is met again by one step −H†∇L, whose error is of second order."""
    gradient = mpmath.matrix(
        [
            mpmath.diff(sp.lambdify(truth.parameters, truth.loss, "mpmath"), tuple(point), _unit(i, len(point)))
            for i in range(len(point))
        ]
    )
    on = [a - b for a, b in zip(point, truth.terms.hessian_pinv * gradient, strict=True)]
    try:
        landscape = literal_landscape(truth.loss, truth.parameters, on, truth.place.codimension, 8)
        return landscape.terms(truth.sigma)
    except (ValueError, ZeroDivisionError):
        return None


def _unit(index: int, length: int) -> tuple[int, ...]:
    return tuple(int(i == index) for i in range(length))


def truth_at(loss: sp.Expr, sigma: sp.MatrixBase, parameters: Sequence[sp.Symbol], place: Place) -> Truth:
    """The literal theorem at a place."""
    with mpmath.workdps(30):
        at = dict(zip(parameters, place.point, strict=True))
        scale = max(_magnitudes(sp.sympify(entry), at)[1] for entry in sigma)
    return Truth(loss, sp.ImmutableDenseMatrix(sigma), tuple(parameters), place, scale)


def _magnitudes(expression: sp.Expr, at: Mapping[sp.Symbol, mpmath.mpf]) -> tuple[mpmath.mpf, mpmath.mpf]:
    """The value of an expression, and what it would be if in its sums nothing cancelled."""
    if expression.is_Symbol:
        return at[expression], abs(at[expression])
    if not expression.args:
        value = mpmath.mpf(sp.N(expression, 30))
        return value, abs(value)
    values, sizes = zip(*(_magnitudes(a, at) for a in expression.args), strict=True)
    if expression.is_Add:
        return mpmath.fsum(values), mpmath.fsum(sizes)
    if expression.is_Mul:
        return mpmath.fprod(values), mpmath.fprod(sizes)
    if expression.is_Pow and expression.exp.is_Integer and expression.exp > 0:
        return values[0] ** int(values[1]), sizes[0] ** int(values[1])
    if isinstance(expression, (sp.Max, sp.Min, sp.Abs)):
        value = {sp.Max: max, sp.Min: min, sp.Abs: lambda a: abs(a[0])}[type(expression)](values)
        return value, max(sizes)
    symbols = sp.symbols(f"a1:{len(values) + 1}", real=True)
    function = expression.func(*symbols)
    value, *slopes = (
        mpmath.re(sp.lambdify(symbols, f, "mpmath")(*values))
        for f in (function, *(_slope(function, s) for s in symbols))
    )
    return value, abs(value) + mpmath.fsum(abs(c) * size for c, size in zip(slopes, sizes, strict=True))


def _slope(function: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    return sp.diff(function, symbol).replace(sp.DiracDelta, lambda *_: sp.S.Zero)


def truth_near(
    loss: sp.Expr, sigma: sp.MatrixBase, parameters: Sequence, equations: Sequence, start: Sequence
) -> Truth:
    """The literal theorem at the regular point of {g = 0} beside a start; `Irregular` where there is none."""
    return truth_at(loss, sigma, parameters, regular_place(loss, parameters, equations, start))


@dataclass(frozen=True)
class Findings:
    """What was found at one point.

    Args:
        refused: term → the class of the error with which the callable refused the point.
        wrong_numbers: term → relative error of a number that was given.
        wrong_formulas: term → relative error of the formula, where `valid_where` holds.
        wrong_zeros: terms with an entry that is exactly 0 where the truth is not.
        lost: the worst relative error of a number that was given.
        undefined: why the formulas have no value there, or "".
    """

    refused: dict[str, str] = field(default_factory=dict)
    wrong_numbers: dict[str, float] = field(default_factory=dict)
    wrong_formulas: dict[str, float] = field(default_factory=dict)
    wrong_zeros: tuple[str, ...] = ()
    lost: float = 0.0
    undefined: str = ""

    @property
    def wrong(self) -> dict[str, Any]:
        """Everything wrong, by kind; {} if all is right or refused."""
        found = {
            "numbers": self.wrong_numbers,
            "formulas": self.wrong_formulas,
            "zeros": list(self.wrong_zeros),
        }
        return {kind: what for kind, what in found.items() if what}


def findings(
    sde: LimitingSDE,
    truth: Truth,
    *,
    claimed: bool = True,
    constants: Mapping[sp.Symbol, Any] | None = None,
    functions: Any = None,
    names: Sequence[str] | None = None,
) -> Findings:
    """Judge the claims at one point.

    Args:
        sde: what claims.
        truth: the literal theorem there.
        claimed: whether the formulas claim to hold there (`holds_at`).
        constants: values of the problem's constants.
        functions: `sde.lambdify()`, when it is used at several points.
        names: the terms whose numbers are asked for (all by default; formulas are judged for all).
    """
    constants = dict(constants or {})
    functions = functions or sde.lambdify()
    refused, wrong, lost = {}, {}, 0.0
    given = {symbol.name: float(value) for symbol, value in constants.items()}
    for name in names or [term.name for term in TERMS]:
        try:
            numbers = np.ravel(functions.term(name, truth.place.floats, **given))
        except SymbolicSGDError as error:
            refused[name] = type(error).__name__
            continue
        lost = max(lost, _relative(truth, name, numbers))
        error = _number_error(truth, name, numbers)
        if error > NUMBER:
            wrong[name] = error
    formulas, zeros, undefined = _formula_errors(sde, truth, constants) if claimed else ({}, (), "")
    return Findings(refused, wrong, formulas, zeros, lost, undefined)


def _relative(truth: Truth, name: str, numbers: np.ndarray) -> float:
    """The error beside the term's size, or beside a thousandth of the products that it is the sum of."""
    if not np.isfinite(numbers).all():
        return float("inf")
    with mpmath.workdps(2 * MORE):
        pairs = zip(numbers, getattr(truth.terms, name), strict=True)
        error = max(abs(mpmath.mpf(float(a)) - b) for a, b in pairs)
        size = max(truth.size(name), truth.natural(name) / 1000)
        return float(error / size) if error else 0.0


def _number_error(truth: Truth, name: str, numbers: np.ndarray) -> float:
    """The error beside the term's size, less what rounding of the products and of the point explains."""
    exact = getattr(truth.terms, name)
    if not np.isfinite(numbers).all():
        return float("inf")
    with mpmath.workdps(2 * MORE):
        error = max(abs(mpmath.mpf(float(a)) - b) for a, b in zip(numbers, exact, strict=True))
        if error < UNDERFLOW:
            return 0.0
        size = truth.size(name)
        rest = error - min(ROUNDING * truth.condition, CONDITIONED) * truth.natural(name)
        if rest <= NUMBER * size:
            return float(max(rest, 0) / size) if size else 0.0
        rest -= 100 * truth.moves(name)
        return float(rest / size) if size else (float("inf") if rest > 0 else 0.0)


def _formula_errors(
    sde: LimitingSDE, truth: Truth, constants: Mapping
) -> tuple[dict[str, float], tuple[str, ...], str]:
    try:
        errors = _errors_at(sde, truth, constants, 55)
        if errors:
            again = _errors_at(sde, truth.looked_at_closer(), constants, 150)
            errors = {name: again[name] for name in errors if name in again}
    except (SymbolicSGDError, ZeroDivisionError) as error:
        return {}, (), f"{type(error).__name__}: {error}"
    zeros = tuple(
        name
        for name, entries in exact_zeros(sde).items()
        if any(abs(list(getattr(truth.terms, name))[i]) > FORMULA * truth.natural(name) for i in entries)
    )
    return errors, zeros, ""


def _errors_at(sde: LimitingSDE, truth: Truth, constants: Mapping, digits: int) -> dict[str, float]:
    """Terms whose formulas, evaluated at so many digits, are wrong, with their relative errors."""
    with working_digits(digits):
        assignment = {s: mpmath.mpf(a) for s, a in zip(truth.parameters, truth.place.point, strict=True)}
        assignment |= {s: mpmath.mpf(a.p) / a.q for s, a in constants.items()}
        values = sde.program.run(PRECISE, assignment)
    wrong = {}
    with mpmath.workdps(2 * MORE):
        for name, entries in values.items():
            error = max(abs(a - b) for a, b in zip(entries, getattr(truth.terms, name), strict=True))
            size = truth.size(name)
            if not error <= FORMULA * size + mpmath.mpf("1e-33") * truth.natural(name):
                wrong[name] = float(error / size) if size else float("inf")
    return wrong


def exact_zeros(sde: LimitingSDE) -> dict[str, list[int]]:
    """The flat indices of the entries of each term that are exactly 0."""
    instructions = sde.program.instructions
    return {
        output.name: [
            i
            for i, register in enumerate(output.registers)
            if instructions[register].op == "constant" and instructions[register].value == 0
        ]
        for output in sde.program.outputs
    }


def holds_at(conditions: Sequence[sp.Basic], values: Mapping[sp.Symbol, Any]) -> bool:
    """Whether stated conditions (relations, determinants in them included) hold at a point given to many digits."""
    return all(_holds(condition, values) for condition in conditions)


def _holds(condition: sp.Basic, values: Mapping[sp.Symbol, Any]) -> bool:
    if condition in (sp.true, sp.false):
        return bool(condition)
    if isinstance(condition, (sp.And, sp.Or)):
        return (all if isinstance(condition, sp.And) else any)(_holds(part, values) for part in condition.args)
    difference = (condition.lhs - condition.rhs).replace(sp.Determinant, lambda matrix: matrix.det(method="berkowitz"))
    symbols = sorted(difference.free_symbols, key=str)
    with mpmath.workdps(2 * MORE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = sp.lambdify(symbols, difference, "mpmath", cse=True)(*[mpmath.mpf(values[s]) for s in symbols])
        sign = 0 if abs(value) < mpmath.mpf("1e-30") else (1 if value > 0 else -1)
    return {
        "!=": sign != 0,
        "==": sign == 0,
        ">": sign > 0,
        ">=": sign >= 0,
        "<": sign < 0,
        "<=": sign <= 0,
    }[condition.rel_op]


def regularizer_error(expression: sp.Expr, truth: Truth, constants: Mapping[sp.Symbol, Any] | None = None) -> float:
    """|∂Φ∇R + mixed + normal| beside |∇R| and these, at a regular point, with ∇R by central differences of R's numbers."""
    symbols = (*truth.parameters, *(constants or {}))
    r = sp.lambdify(symbols, expression, "mpmath", cse=True)
    with mpmath.workdps(4 * MORE):
        step = mpmath.mpf(10) ** -MORE
        values = [mpmath.mpf(a.p) / a.q for a in (constants or {}).values()]

        def slope(index: int) -> mpmath.mpf:
            ahead, behind = (
                r(*[a + sign * step * (i == index) for i, a in enumerate(truth.place.point)], *values)
                for sign in (1, -1)
            )
            return mpmath.re(ahead - behind) / (2 * step)

        gradient = mpmath.matrix([slope(i) for i in range(len(truth.parameters))])
        descent = truth.terms.mixed_regularization + truth.terms.normal_regularization
        difference = truth.terms.tangent_projection * gradient + descent
        size = mpmath.norm(descent) + mpmath.norm(gradient) + ROUNDING * truth.natural("drift")
        return float(mpmath.norm(difference) / size) if size else 0.0


__all__ = [
    "Findings",
    "Irregular",
    "Truth",
    "exact_zeros",
    "findings",
    "holds_at",
    "regularizer_error",
    "truth_at",
    "truth_near",
]
