"""An optimizer as the simulators take it: its numbers put in, and its steps."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput
from symbolic_sgd.numeric.fused import LoopBackend
from symbolic_sgd.numeric.random_move import ALL
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.random_reshuffling import RandomReshuffling
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.entrywise import DRAWN, GAUSSIAN
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.simulate.arguments import learning_rate_of, positive
from symbolic_sgd.simulate.compiled import CompiledSteps, compiled_iteration, compiled_sgd
from symbolic_sgd.simulate.sgd import GaussianLaw, Law, TrueLaw, iterated
from symbolic_sgd.simulate.stability import Bounds
from symbolic_sgd.simulate.steps import Descent, Iterated

Values = Mapping[sp.Symbol, Fraction]


LAWS: Mapping[str, Law] = {DRAWN: TrueLaw(), GAUSSIAN: GaussianLaw()}
"""By the names that optimizers have for them."""


def law_of(optimizer: Optimizer) -> Law:
    """The law by which the noise is drawn where none is stated."""
    return TrueLaw() if optimizer.law is None else LAWS[optimizer.law]


def check_law_of(optimizer: Optimizer, law: Law, scale: Fraction) -> None:
    """Refuse another law, or scale, of the noise than the one that the optimizer's limit depends on.

    Raises:
        BadInput: with the remedy.
    """
    if optimizer.law is None:
        return
    if law != LAWS[optimizer.law]:
        raise BadInput(
            f'the limit of {optimizer.label} depends on the whole law of the noise, which is law="{optimizer.law}" in it: leave law= out, '
            "or state the other law in the optimizer"
        )
    if scale != ALL:
        raise BadInput(
            f"noise_scale is {float(scale):.6g}, and the limit of {optimizer.label} is that of the noise as it is stated: leave it "
            "out, and state the problem with the noise that is meant"
        )


@dataclass(frozen=True)
class Tuned:
    """An optimizer with a number for everything.

    Args:
        optimizer: which.
        stated: η where it has none of its own, else None.
        scale: ε; ρ of SAM.
        values: of the problem's constants and of the optimizer's symbols.
        unit: what a step adds to t; that of the optimizer on the problem may be another than its own.
    """

    optimizer: Optimizer
    stated: Fraction | None
    scale: Fraction
    values: Values
    unit: Expression

    @staticmethod
    def of(optimizer: Optimizer, learning_rate: Any, noise_scale: Any, values: Values) -> "Tuned":
        """The optimizer, fitted to a problem or not, told its learning rate where it has none, and ε (None for 1).

        Raises:
            BadInput: a learning rate or a scale too many, or too few.
        """
        if learning_rate is not None and optimizer.is_finite:
            raise BadInput(
                f"learning_rate is given twice: {optimizer.label} has its own, {optimizer.rate}; leave learning_rate= out"
            )
        if learning_rate is None and not optimizer.is_finite:
            raise BadInput(
                f"learning_rate is missing, and {optimizer.label} leaves it open: give learning_rate={optimizer.rate}"
            )
        stated = None if learning_rate is None else Fraction(learning_rate_of(learning_rate))
        return Tuned(optimizer.stated, stated, _scale(optimizer, noise_scale), values, optimizer.time_unit)

    @property
    def rate(self) -> Fraction:
        """η."""
        return self._number(self.optimizer.rate)

    @property
    def time_unit(self) -> float:
        """What a step adds to t."""
        known = {**self._known, self.optimizer.scale_symbol: self.scale}
        return float(sp.lambdify(list(known), self.unit, "math")(*map(float, known.values())))

    @property
    def is_plain(self) -> bool:
        """Whether a step is x − m(x, a) with the noise as it is stated, and nothing else."""
        return isinstance(self.optimizer, SGD) and not self.optimizer.decay and not self.optimizer.slow_potential

    @property
    def identity(self) -> tuple[object, ...]:
        """What a checkpoint knows of it beside η."""
        return () if self.optimizer == SGD() and self.scale == ALL else (self.optimizer, self.scale)

    def stepper(self, problem: Problem, law: Law) -> Descent | Iterated:
        """Its steps, by a law of the noise."""
        if self.is_plain:
            return law.descent(problem, self.rate, self.values, self.scale)
        optimizer, rate = self._moving
        return iterated(optimizer, problem, law, rate, self.scale, self.values)

    def compiled(self, problem: Problem, law: Law, backend: LoopBackend) -> CompiledSteps:
        """The same steps, compiled with their random numbers.

        Raises:
            BadInput, ProblemTooLarge: a compiled step cannot draw them.
        """
        if self.is_plain:
            return compiled_sgd(problem, law, self.rate, self.scale, self.values, backend)
        optimizer, rate = self._moving
        return compiled_iteration(optimizer, problem, law, rate, self.scale, self.values, backend)

    @property
    def local_steps(self) -> int:
        """How many steps of t one step of its map counts for."""
        return self._moving[0].local_steps

    @property
    def _moving(self) -> tuple[Optimizer, Fraction | None]:
        """What has a map, and η where that map leaves it open."""
        if self.optimizer.iterates_at_any_rate:
            return self.optimizer, self.stated
        return at_numbers(self.optimizer, self.values, self.stated), None

    def bounds(self, problem: Problem, law: Law) -> Bounds:
        """What its learning rate is held against."""
        ours = isinstance(self.optimizer, (SGD, RandomReshuffling))  # one sample a step
        descent = law.descent(problem, self.rate, self.values, self.scale) if ours else None
        # With a preconditioner the edge is not one of ∇²L.
        edge = None if self.optimizer.in_metric else at_numbers(self.optimizer, self.values, self.stated).edge
        return Bounds(self.optimizer.label, float(self.rate), descent, float("inf") if edge is None else float(edge))

    @property
    def _known(self) -> dict[sp.Symbol, Fraction]:
        return {**self.values, **({} if self.stated is None else {self.optimizer.rate: self.stated})}

    def _number(self, expression: Expression) -> Fraction:
        value: Any = expression.xreplace(_rationals(self._known))
        return Fraction(int(value.p), int(value.q)) if value.is_Rational else Fraction(float(value))


def _scale(optimizer: Optimizer, stated: Any) -> Fraction:
    """ε as stated; ρ of SAM, which has to be."""
    if optimizer.cycles:
        takes_one = optimizer.scale_symbol in optimizer.time_unit.free_symbols
        if takes_one and stated is None:
            raise BadInput(f"noise_scale is missing: it is the radius {optimizer.scale_symbol} of {optimizer.label}")
        if not takes_one and stated is not None:
            raise BadInput(f"{optimizer.label} has neither noise nor a radius: leave noise_scale= out")
    return ALL if stated is None else Fraction(positive(stated, "noise_scale"))


def at_numbers(optimizer: Optimizer, values: Values, rate: Fraction | None) -> Optimizer:
    """The optimizer with numbers for its symbols, at a learning rate that stays."""
    stated = {field.name: getattr(optimizer, field.name) for field in fields(optimizer)}  # type: ignore[arg-type]
    known = _rationals(values)
    numbers = {name: value.xreplace(known) for name, value in stated.items() if isinstance(value, sp.Basic)}
    numeric: Any = replace(optimizer, **numbers)  # type: ignore[type-var]
    return numeric if rate is None else numeric.at(sp.Rational(rate.numerator, rate.denominator))


def _rationals(values: Values) -> dict[sp.Symbol, Any]:
    return {s: sp.Rational(value.numerator, value.denominator) for s, value in values.items()}
