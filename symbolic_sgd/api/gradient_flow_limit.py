"""The façade: Φ, the limit of the gradient flow, as users hold it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseNumber, Valuation
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.precision import is_precise, mp
from symbolic_sgd.algebra.program import EXPANSION_BUDGET, Program
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.errors import BadInput, BadShape, ExpressionTooLarge, NoClosedForm
from symbolic_sgd.flow.explicit import ExplicitLimit
from symbolic_sgd.flow.implicit import ImplicitLimit
from symbolic_sgd.flow.limit import FlowLimit, find_limit
from symbolic_sgd.flow.limit_latex import limit_blocks
from symbolic_sgd.flow.values import LimitNumbers
from symbolic_sgd.numeric.points import as_points, constant_columns
from symbolic_sgd.printing.blocks import one_output, snippet
from symbolic_sgd.printing.layout import laid_out, layout_of
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.symbols import check_expression


@dataclass(frozen=True)
class GradientFlowLimit:
    """Φ(x) = lim_{t→∞} of ẋ = −∇L(x) from x (Li, Wang & Arora 2022, definition of Φ; Lemmas 1 and 2).

    Expressions are exact, in the user's symbols; numbers are had for every loss, whatever `kind` says.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, gradient_flow_limit
    >>> u, v = sp.symbols("u v")
    >>> phi = gradient_flow_limit(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1), near={u: 1, v: 1}))
    >>> phi.first_integrals, phi([2, 1]).round(4)
    ((u**2 - v**2,), array([1.8174, 0.5503]))
    """

    limit: FlowLimit

    @property
    def problem(self) -> Problem:
        """What was stated."""
        return self.limit.problem

    @property
    def kind(self) -> str:
        """ "explicit" (Φ is a formula), "implicit" (Φ solves a system that is known exactly) or "numeric"."""
        return {ExplicitLimit: "explicit", ImplicitLimit: "implicit"}.get(type(self.limit.form), "numeric")

    @property
    def expression(self) -> sp.ImmutableDenseMatrix | None:
        """Φ(x), D×1, where it is explicit; else None."""
        form = self.limit.form
        return form.expressions if isinstance(form, ExplicitLimit) else None

    @property
    def equations(self) -> tuple[sp.Expr, ...]:
        """For an implicit Φ the D expressions in (x, Φ) that vanish, those of Γ first; else ().

        Those of Γ describe the part of it that was found first (see `problem.near`, and `explain`); a start from which
        the flow ends on another part has its numbers from the flow.
        """
        form = self.limit.form
        return form.equations if isinstance(form, ImplicitLimit) else ()

    @property
    def image_symbols(self) -> tuple[sp.Symbol, ...]:
        """For an implicit Φ the names of its entries in `equations` and in the derivatives; else ()."""
        form = self.limit.form
        return form.images if isinstance(form, ImplicitLimit) else ()

    @property
    def first_integrals(self) -> tuple[sp.Expr, ...]:
        """Independent functions that the flow conserves, at most D − M."""
        return tuple(integral.expression for integral in self.limit.integrals)

    @cached_property
    def jacobian(self) -> sp.ImmutableDenseMatrix:
        """∂Φ, D×D: in x, or for an implicit Φ in (x, Φ).

        Raises:
            NoClosedForm: Φ is numeric.
            ExpressionTooLarge: it does not expand within the budget.
        """
        numbers = "jacobian_at(x)"
        return self._expanded(self._closed_form("jacobian", numbers).derivatives.jacobian, numbers)

    def second_derivative(self, directions: Any) -> sp.ImmutableDenseMatrix:
        """∂²Φ[B] = Σ_ij B_ij ∂_i∂_jΦ, D×1: in x, or for an implicit Φ in (x, Φ).

        Args:
            directions: B, a D×D SymPy Matrix in the problem's symbols; its antisymmetric part does not matter.

        Raises:
            NoClosedForm: Φ is numeric.
            BadShape: B is not D×D.
            ExpressionTooLarge: it does not expand within the budget.
        """
        numbers = "second_derivative_at(x, B)"
        form = self._closed_form("second_derivative", numbers)
        d = self.problem.dimension
        if not isinstance(directions, sp.MatrixBase) or directions.shape != (d, d):
            raise BadShape(f"B is {_shown(directions)}; give a {d}×{d} SymPy Matrix, one row and column a parameter")
        symbols = form.derivatives.directions
        allowed = (*self.problem.symbols, *self.image_symbols)
        entries = {
            symbols[i, j]: (self._entry(directions, i, j, allowed) + self._entry(directions, j, i, allowed)) / 2
            for i in range(d)
            for j in range(i, d)
        }
        return self._expanded(form.derivatives.second, numbers).xreplace(entries)

    def _expanded(self, program: Program, numbers: str) -> Any:
        (output,) = program.outputs
        try:
            return program.expand(output.name)
        except ExpressionTooLarge as error:
            raise ExpressionTooLarge(
                f"{output.name} holds {program.expanded_size(output.name):.3g} operations when written out "
                f"(budget {EXPANSION_BUDGET:,}): use {numbers} for its values"
            ) from error

    def _entry(self, matrix: Any, i: int, j: int, allowed: Sequence[sp.Symbol]) -> sp.Expr:
        return check_expression(matrix[i, j], allowed, where=f"B[{i}, {j}]")

    def _closed_form(self, name: str, numbers: str) -> ExplicitLimit | ImplicitLimit:
        if self.limit.form is None:
            raise NoClosedForm(
                f"Φ of this loss is numeric ({len(self.limit.integrals)} of {self.limit.dimension} first integrals were found), so "
                f"{name} has no formula: use {numbers} for its values at points"
            )
        return self.limit.form

    # --- numbers ----------------------------------------------------------------------------

    def __call__(self, x: Any, /, **constants: Any) -> np.ndarray:
        """Φ(x), (..., D) → (..., D), float64.

        Args:
            x: points, on Γ or off it.
            constants: values of the problem's constants, numbers or arrays that broadcast against the batch.

        Raises:
            BadPoint: wrong last dimension; not real or not finite.
            FlowDidNotConverge: from one of the points the flow diverges, or ends elsewhere than on Γ.
        """
        points, rows = self._rows(x, constants)
        return self._numbers.limits(rows).reshape(points.shape)

    def jacobian_at(self, x: Any, /, **constants: Any) -> np.ndarray:
        """∂Φ(x), (..., D) → (..., D, D); on Γ the projection on its tangent space. Arguments as in a call."""
        points, rows = self._rows(x, constants)
        return self._numbers.jacobians(rows).reshape(*points.shape, points.shape[-1])

    def second_derivative_at(self, x: Any, directions: Any, /, **constants: Any) -> np.ndarray:
        """∂²Φ(x)[B], (..., D) → (..., D). Arguments as in a call.

        Args:
            directions: B, (..., D, D), broadcast against the batch; its antisymmetric part does not matter.
        """
        points, rows = self._rows(x, constants)
        d = self.problem.dimension
        b = _real_matrices(directions, (*points.shape, d)).reshape(-1, d, d)
        return self._numbers.second_derivatives(rows, (b + b.transpose(0, 2, 1)) / 2).reshape(points.shape)

    def precisely(self, point: Mapping[sp.Symbol, Any] | Sequence[Any], digits: int = 50) -> sp.ImmutableDenseMatrix:
        """Φ at one point to so many digits, D×1 SymPy Floats of that precision.

        Args:
            point: exact numbers, as a sequence in the order of the parameters or as a dict from symbols to numbers
                (with constants, a dict).
            digits: between 15 and 1000; a numeric Φ takes a time that grows fast with it (seconds at 30).

        Raises:
            FlowDidNotConverge: the flow from there does not reach Γ.
        """
        if isinstance(digits, bool) or not isinstance(digits, int) or not 15 <= digits <= 1000:
            raise BadInput(f"digits is {digits!r}; give a whole number from 15 to 1000")
        with mp.workdps(digits + 15):
            known = self._exactly(point)
            value = self._numbers.precise(known, digits)
        return sp.ImmutableDenseMatrix([sp.Float(a, digits) for a in value])

    def _exactly(self, point: Any) -> dict[sp.Symbol, PreciseNumber]:
        symbols = self.problem.symbols
        if not isinstance(point, Mapping):
            ordered = isinstance(point, (Sequence, np.ndarray, sp.MatrixBase)) and not isinstance(point, str)
            entries: list[Any] = list(point) if ordered else []  # type: ignore[arg-type]
            if len(entries) != len(symbols):
                raise BadInput(f"the point needs {len(symbols)} numbers, for {', '.join(map(str, symbols))}")
            point = dict(zip(symbols, entries, strict=True))
        missing = [s for s in symbols if s not in point]
        if missing or len(point) != len(symbols):
            raise BadInput(f"the point needs a value for each of {', '.join(map(str, symbols))}, and for nothing else")
        return {s: _precise_number(point[s], where=f"the value of {s}") for s in symbols}

    def _rows(self, x: Any, constants: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        points = as_points(x, self.problem.dimension)
        columns = constant_columns(self.problem.constants, constants, points.shape[:-1])
        return points, np.concatenate([points.reshape(-1, points.shape[-1]), *columns], axis=1)

    @cached_property
    def _numbers(self) -> LimitNumbers:
        return LimitNumbers(self.limit)

    # --- words ------------------------------------------------------------------------------

    def explain(self) -> str:
        """Which first integrals were found and how many are needed, which system was solved, and why it stopped there."""
        known, needed = self.limit.integrals, self.limit.dimension
        lines = [
            f"Φ is {self.kind}: {len(known)} of {needed} independent first integrals were found "
            f"({self.limit.found} in all, among {', '.join(self.limit.families)} terms).",
            *(f"  {i.expression} is conserved: {i.proof}." for i in known),
        ]
        form = self.limit.form
        if form is None:
            lines.append(
                "The rest is not among the terms tried; the flow is integrated numerically."
                if len(known) < needed
                else "The equations of Γ are too large to be written out; the flow is integrated numerically."
            )
        if isinstance(form, ExplicitLimit):
            lines.append(_sentence(form.road))
            lines.append(f"The formula agrees with the integrated flow at all of {self.limit.starts} random starts.")
            lines.append(
                "By the structure of the loss, which was tested at random points, it holds wherever it is finite and a minimizer."
                if form.certain
                else "That it holds in every basin is not proved: a call follows the flow from each start and decides there."
            )
        if isinstance(form, ImplicitLimit):
            lines.append(
                "No closed form: {g(Φ) = 0, I(Φ) = I(x)} was not solved by linear and quadratic equations in one unknown after "
                "the other, or what solves it is not the flow's limit at all the random starts."
            )
            lines.append(_sentence(form.road))
            if self.limit.elsewhere:
                lines.append(
                    f"From {self.limit.elsewhere} of {self.limit.starts} random starts the flow ends on another part of Γ, where these "
                    "equations do not hold; numbers from there are the flow's own."
                )
        return "\n".join(lines)

    def latex(self, *, names: Mapping[Any, str] | None = None, line: int | None = None) -> str:
        """Φ as LaTeX: the formula, or the system that defines it, or what is known of it; `names` and `line` as of
        `LimitingSDE.latex`."""
        with laid_out(layout_of(names, line, self.limit.problem.symbols)):
            return snippet(limit_blocks(self.limit))

    def _repr_latex_(self) -> str:
        with laid_out(layout_of(None, None, self.limit.problem.symbols)):
            return one_output(limit_blocks(self.limit))

    def __repr__(self) -> str:
        return f"GradientFlowLimit({self.kind}, {len(self.limit.integrals)} of {self.limit.dimension} first integrals)"


def _real_matrices(given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """B as float64 of shape (..., D, D)."""
    d = shape[-1]
    try:
        array = np.asarray(given)
        real = array.astype(float) if array.dtype.kind in "fiuO" else None
        if real is None or real.shape[-2:] != (d, d):
            raise ValueError(f"it has shape {array.shape} and type {array.dtype}")
        spread = np.broadcast_to(real, shape)
    except (TypeError, ValueError) as error:
        raise BadShape(f"B is not a real {d}×{d} matrix, or one for each point {shape[:-2]}: {error}") from error
    if not np.isfinite(spread).all():
        raise BadInput("B is not finite")
    return spread


def _shown(value: Any) -> str:
    kind = type(value).__name__
    return f"a {kind} of shape {value.shape}" if hasattr(value, "shape") else f"a {kind}"


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _precise_number(value: Any, *, where: str) -> PreciseNumber:
    if is_precise(value):
        number = +mp.mpf(value)
    elif isinstance(value, sp.Float):
        number = mp.mpf(value)
    elif isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        number = mp.mpf(value.item() if isinstance(value, np.generic) else value)
    elif isinstance(value, sp.Expr) and value.is_number and value.is_real:
        (number,) = Valuation(PRECISE, {})([from_sympy(value, Graph())])
    else:
        raise BadInput(f"{where} is {value!r}, not a real number")
    if not abs(number) < sys.float_info.max:
        raise BadInput(f"{where} is {value!r}: not finite, or beyond float64")
    return number


def gradient_flow_limit(problem: Problem, *, first_integrals: Any = ()) -> GradientFlowLimit:
    """Φ, the limit of the gradient flow of a problem's loss.

    First integrals are sought among polynomials, powers, logarithms and exponentials; with enough of them Φ is implicit but
    exact, and explicit where the system they form with the equations of Γ solves in closed form.

    Args:
        problem: a loss (the noise does not matter here).
        first_integrals: functions that you know to be conserved; they are checked, never believed.

    Raises:
        NoManifold: (and subclasses) the minimizers form no manifold that the theorem speaks of.
        BadInput: one of `first_integrals` is not conserved.

    >>> from symbolic_sgd import IsotropicNoise
    >>> u, v = sp.symbols("u v")
    >>> phi = gradient_flow_limit(Problem(loss=(u**2 + v**2 - 1)**2/8, parameters=(u, v), noise=IsotropicNoise()))
    >>> phi.kind, phi.expression[0]
    ('explicit', u/sqrt(u**2 + v**2))
    >>> phi([3, 4])
    array([0.6, 0.8])
    """
    if not isinstance(problem, Problem):
        raise BadInput(f"gradient_flow_limit takes a Problem, not a {type(problem).__name__}")
    return GradientFlowLimit(find_limit(problem, first_integrals))
