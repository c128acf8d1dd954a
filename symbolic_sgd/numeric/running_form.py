"""Which formula of a term NumPy and LLVM run: the shortest, where it is known to keep its digits, and the program as derived elsewhere.

On Γ a term has many formulas: as derived, by the formulas for composed losses, and as it is printed, reduced by the equations of Γ.
An overparametrised linear model with isotropic noise, n = 2 and d = 4: 881, 200 and 42 operations for the drift. What is short may
subtract what is nearly equal, at points that nobody has looked at; so a short formula runs with a test of its own rounding
(numeric/rounding.py), and points that do not pass it are evaluated as derived.
"""

from dataclasses import dataclass
from math import isfinite
from weakref import WeakKeyDictionary

import numpy as np

from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.algebra.shared_sums import with_inverses, with_shared_sums
from symbolic_sgd.errors import ComplexValue
from symbolic_sgd.manifold.precise import HIGH
from symbolic_sgd.numeric.rounding import CANCELLATION, Bounded, bounded
from symbolic_sgd.theorem.canonical import agreeing_programs
from symbolic_sgd.theorem.derivation import Derivation

NOTHING_LOST = 16 * float(np.finfo(float).eps)
"""An error up to this, relative to a term's largest entry, is the rounding of a few operations."""


@dataclass(frozen=True)
class RunningForm:
    """A short formula of a term.

    Args:
        bounded: the formula, with the test of its rounding.
        road: in words, how it was found.
        error: the largest error in float64 at those of the derivation's points of Γ that pass the test, relative to the term's
            largest entry there.
        derived_error: that of the program as derived at all of them.
    """

    bounded: Bounded
    road: str
    error: float
    derived_error: float

    def __str__(self) -> str:
        (name, *_), count = self.bounded.program.names, with_inverses(self.bounded.program).operations
        test = (
            f", its test for cancellation (by more than {self.bounded.factor}) among them"
            if self.bounded.is_tested
            else ""
        )
        elsewhere = "; the program as derived runs where that is not passed" if self.bounded.is_tested else ""
        return (
            f"NumPy and LLVM run {name} as {self.road}, in {count} operations{test}{elsewhere}. At the derivation's points of Γ its errors "
            f"are at most {self.error:.0e}, and those of the program {self.derived_error:.0e}."
        )


_KNOWN: WeakKeyDictionary[Derivation, dict[str, RunningForm | None]] = WeakKeyDictionary()


def running_form(derivation: Derivation, name: str) -> RunningForm | None:
    """The formula with the fewest operations, its test counted, whose errors at points of Γ are not larger than those of the program as
    derived; None where the program itself is the shortest."""
    known = _KNOWN.setdefault(derivation, {})
    if name not in known:
        known[name] = _chosen(derivation, name)
    return known[name]


def running_forms(derivation: Derivation) -> tuple[RunningForm, ...]:
    """Those that were asked for."""
    return tuple(form for form in _KNOWN.get(derivation, {}).values() if form is not None)


def _chosen(derivation: Derivation, name: str) -> RunningForm | None:
    derived = derivation.program.select(name)
    if derivation.in_matrices is not None or not derived.operations:
        return None
    shorter: list[tuple[int, str, Bounded]] = []
    for road, program in agreeing_programs(derivation, name):
        found = bounded(min(program, with_shared_sums(program), key=lambda p: with_inverses(p).operations))
        if found is not None and (count := with_inverses(found.program).operations) < derived.operations:
            shorter.append((count, road, found))
    measure = _Errors.of(derivation, name) if shorter else None
    if measure is None:
        return None
    allowed = max(measure.derived, NOTHING_LOST)
    for _, road, found in sorted(shorter, key=lambda form: form[0]):
        error = measure.error(found)
        if error <= allowed:
            return RunningForm(found, road, error, measure.derived)
    return None


@dataclass(frozen=True)
class _Errors:
    """Of programs of a term in float64, at the derivation's points rounded to float64.

    Args:
        symbols: of the points.
        rows: the points.
        truth: the term there, rounded from many digits.
        name: of the term.
        derived: the error of the program as derived; ∞ where it has no value in float64.
    """

    symbols: tuple
    rows: np.ndarray
    truth: np.ndarray
    name: str
    derived: float

    @staticmethod
    def of(derivation: Derivation, name: str) -> "_Errors | None":
        """None where the program as derived has no values to compare with."""
        derived, symbols = derivation.program.select(name), derivation.problem.symbols
        rows = np.array([[float(point[s]) for s in symbols] for point in derivation.points])
        try:
            with mp.workdps(HIGH):
                values = [[float(a) for a in derived.run(PRECISE, point)[name]] for point in derivation.points]
        except (ZeroDivisionError, ComplexValue, OverflowError):
            return None
        truth = np.array(values)
        return _Errors(symbols, rows, truth, name, _largest(evaluate(derived, symbols, rows)[name], truth))

    def error(self, form: Bounded) -> float:
        """∞ where most points do not pass the form's test."""
        values = evaluate(with_inverses(form.program), self.symbols, self.rows)
        passed = values[CANCELLATION][:, 0] <= 1 if form.is_tested else np.ones(len(self.rows), dtype=bool)
        if 2 * passed.sum() <= len(passed):
            return float("inf")
        return _largest(values[self.name][passed], self.truth[passed])


def _largest(values: np.ndarray, truth: np.ndarray) -> float:
    sizes = np.abs(truth).max(axis=1)
    with np.errstate(all="ignore"):
        error = float((np.abs(values - truth).max(axis=1) / np.where(sizes > 0, sizes, 1)).max(initial=0.0))
    return error if isfinite(error) else float("inf")
