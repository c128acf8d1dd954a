"""The same programs on mpmath numbers of any precision, and on rationals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import EXACT, PRECISE, Arithmetic
from symbolic_sgd.algebra.precision import handed_out, is_precise, mp
from symbolic_sgd.errors import BadInput, BadPoint, ComplexValue, SingularPoint
from symbolic_sgd.numeric.backend import Backend, Evaluation, Part
from symbolic_sgd.numeric.feet import on_manifold
from symbolic_sgd.numeric.guard import check_points
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.regular_point import CARRIED

HANDED_OUT = np.frompyfunc(handed_out, 1, 1)
"""An array of our numbers as one of mpmath's own."""

GUARD_DIGITS = 10
"""Digits carried beyond those that are asked for."""


@dataclass(frozen=True)
class MPMath(Backend):
    """mpmath numbers; results are object arrays of `mpf`.

    Args:
        digits: of the result; ten more are carried, which a badly conditioned point may use up.

    Raises:
        BadInput: digits that are no positive integer.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> import mpmath
    >>> print(mpmath.nstr(sde.lambdify(backend=MPMath(30)).drift(["2", "1/2"])[0], 30))
    -0.882352941176470588235294117647
    """

    digits: int = 50

    def __post_init__(self) -> None:
        if not isinstance(self.digits, int) or isinstance(self.digits, bool) or self.digits < 1:
            raise BadInput(f"digits is {self.digits!r}; give an integer ≥ 1")

    def compile(self, part: Part) -> Evaluation:
        def evaluate(x: Any, constants: Mapping[str, Any]) -> np.ndarray:
            with mp.workdps(self.digits + GUARD_DIGITS):
                return HANDED_OUT(_evaluated(part, PRECISE, _precise, x, constants))

        return evaluate


@dataclass(frozen=True)
class Exact(Backend):
    """Rational points, rational results: object arrays of `Fraction`. What is not rational is refused.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> sde.lambdify(backend=Exact()).drift(["2", "1/2"])[0]
    Fraction(-15, 17)
    """

    def compile(self, part: Part) -> Evaluation:
        return lambda x, constants: _evaluated(part, EXACT, _rational, x, constants)


def _evaluated(
    part: Part, arithmetic: Arithmetic, number: Callable[[Any], Any], x: Any, constants: Mapping[str, Any]
) -> np.ndarray:
    problem = part.derivation.problem
    points = _numbers(x, number)
    doubles = as_points(points.astype(object), problem.dimension)
    given = {name: _numbers(value, number) for name, value in constants.items()}
    rounded = constant_columns(problem.constants, given, points.shape[:-1])
    rows = np.concatenate([doubles.reshape(-1, problem.dimension), *rounded], axis=1)
    feet = check_points(part.derivation, rows) if part.check else {}
    columns = [np.broadcast_to(given[s.name], points.shape[:-1]).reshape(-1) for s in problem.constants]
    flat = points.reshape(-1, problem.dimension)
    result = np.empty((len(flat), len(part.output.registers)), dtype=object)
    for i, row in enumerate(flat):
        assignment = dict(zip(problem.symbols, [*row, *(column[i] for column in columns)], strict=True))
        if i in feet and arithmetic is PRECISE:
            with mp.workdps(mp.dps + CARRIED):
                result[i] = _row(part, arithmetic, on_manifold(assignment, feet[i], problem.parameters))
        else:
            result[i] = _row(part, arithmetic, assignment)
    return result.reshape(*points.shape[:-1], *part.shape)


def _row(part: Part, arithmetic: Arithmetic, assignment: Mapping[sp.Symbol, Any]) -> list[Any]:
    try:
        return part.program.run(arithmetic, assignment)[part.output.name]
    except (ZeroDivisionError, ComplexValue) as error:
        where = ", ".join(f"{s} = {a}" for s, a in assignment.items())
        raise SingularPoint(f"{part.output.name} is not a finite real number at {where}: {error}") from error


def _numbers(x: Any, number: Callable[[Any], Any]) -> np.ndarray:
    if isinstance(x, np.ma.MaskedArray) and x.mask.any():
        raise BadPoint("x has masked entries: fill or drop them first")
    try:
        array = np.array(x, dtype=object)
    except ValueError as error:
        raise BadPoint(f"x is no array of numbers: {error}") from error
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        if isinstance(array[index], bool | np.bool_):
            raise BadPoint("x has entries of type bool; the parameters are real numbers")
        result[index] = number(array[index])
    return result


def _rational(value: Any) -> Fraction:
    try:
        if isinstance(value, sp.Rational):
            return Fraction(int(value.p), int(value.q))
        return Fraction(value) if isinstance(value, Rational | float | str) else Fraction(value.item())
    except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
        raise BadPoint(f"{value!r} is no rational number: give integers, fractions, or text such as '1/3'") from error


def _precise(value: Any) -> Any:
    if is_precise(value):
        return +mp.mpf(value)
    try:
        return PRECISE.constant(_rational(value))
    except BadPoint:
        try:
            return mp.mpf(sp.sympify(value, strict=True)._to_mpmath(mp.prec))
        except (TypeError, ValueError, AttributeError, sp.SympifyError) as error:
            raise BadPoint(f"{value!r} is no real number") from error
