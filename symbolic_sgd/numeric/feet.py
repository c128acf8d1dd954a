"""Points that float64 cannot judge: they are put on Γ to 120 digits, examined there, and terms are evaluated there.

This is where curvatures lie more than eight decades apart, where rounding hides them, or where it costs the digits of a term.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.precision import determinant, mp, solved
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import ComplexValue, OffManifold, SingularPoint
from symbolic_sgd.regular_point import ELIMINATED, Inertia, far_apart, foot, inertia, is_rounding
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.normal_space import Framed
from symbolic_sgd.theorem.terms import DRIFT_TERMS

Foot = Mapping[sp.Symbol, PreciseNumber]
"""A point of Γ to 120 digits, with the values of the constants."""

COARSE, FINE = 55, ELIMINATED
"""Digits of the two evaluations between which what is zero on Γ shrinks."""

INDEPENDENT = 1e-40
"""Least det FᵀF of the frame with columns of length 1; of the digits that it costs there are enough."""

NORMAL = 1e-30
"""What such a column may have along Γ."""

BESIDE = 1e-2
"""How far Γ is looked for in order to say how far it is, relative to 1 + |x|."""

AGREED = 1e-8
"""Relative difference of a value in float64 from the true one that is no loss."""


@dataclass(frozen=True)
class Ground:
    """The examination of single points.

    Args:
        derivation: whose Γ.
        allowed: the largest distance from Γ, relative to 1 + |x|.
    """

    derivation: Derivation
    allowed: float

    def foot(self, row: np.ndarray) -> Foot:
        """The regular point of Γ beside a row (parameters, then constants), where the formulas hold.

        Raises:
            OffManifold: there is none, and why.
            SingularPoint: the formulas are singular there.
        """
        symbols = self.derivation.problem.symbols
        known = dict(zip(symbols, map(mp.mpf, row.tolist()), strict=True))
        found = self._beside(known, self.allowed)
        if found is None:
            raise OffManifold(self._distance(known))
        with mp.workdps(FINE):
            self._check_stationary(found)
            self._check_rank(found)
            self._check_part(found)
        return found

    def _beside(self, known: Foot, reach: float) -> Foot | None:
        parameters = self.derivation.problem.parameters
        at = lambda x: {**known, **dict(zip(parameters, x, strict=True))}  # noqa: E731
        gradient = lambda x: self._local["gradient"].run(PRECISE, at(x))["gradient"]  # noqa: E731
        hessian = lambda x: self._matrix("hessian", at(x))  # noqa: E731
        begin = [known[s] for s in parameters]
        try:
            x = foot(gradient, hessian, begin, self.derivation.codimension, reach=reach)
        except (ZeroDivisionError, ComplexValue, OverflowError):
            return None
        return None if x is None else at(x)

    def _distance(self, known: Foot) -> str:
        beside = self._beside(known, BESIDE)
        if beside is not None and self.curvature(beside).is_regular(self.derivation.codimension):
            parameters = self.derivation.problem.parameters
            apart = max(abs(beside[s] - known[s]) for s in parameters) / (1 + max(abs(known[s]) for s in parameters))
            return f"the distance from Γ, relative to 1 + |x|, is {mp.nstr(apart, 3)}, and at most 1e-6 is allowed"
        return WRONG_RANK.format(self.derivation.codimension)

    def _check_stationary(self, found: Foot) -> None:
        if not all(self._vanish("gradient", found)):
            raise OffManifold("∇L is tiny there, and not zero")

    def _check_rank(self, found: Foot) -> None:
        curvature = self.curvature(found)
        if not curvature.decided:
            raise OffManifold(f"the rank of the Hessian could not be decided: {far_apart(curvature.decades)}")
        if not curvature.is_regular(self.derivation.codimension):
            raise OffManifold(WRONG_RANK.format(self.derivation.codimension))

    def _check_part(self, found: Foot) -> None:
        if not all(self._vanish("equations", found)):
            raise OffManifold(ELSEWHERE)
        if isinstance(self.derivation.normal_space, Framed):
            frame = self._matrix("frame", found)
            unit = _unit_columns(frame)
            if unit is None or determinant(unit.T * unit) < INDEPENDENT or self._along(unit, found) > NORMAL:
                raise SingularPoint("")

    def _along(self, unit: PreciseMatrix, found: Foot) -> PreciseNumber:
        """The largest component of the columns along Γ: what is left of them beside the pivot columns of H."""
        hessian = self._matrix("hessian", found)
        pivots = inertia(hessian).pivots
        normal = mp.matrix([[hessian[i, j] for j in pivots] for i in range(hessian.rows)])
        parts = [solved(normal.T * normal, normal.T * unit[:, j]) for j in range(unit.cols)]
        return max(abs(a) for j, part in enumerate(parts) for a in unit[:, j] - normal * part)

    def curvature(self, found: Foot) -> Inertia:
        """H there, eliminated."""
        with mp.workdps(FINE):
            return inertia(self._matrix("hessian", found))

    def _matrix(self, name: str, at: Foot) -> PreciseMatrix:
        program = self._local[name]
        rows, columns = program.outputs[0].shape
        entries = program.run(PRECISE, at)[name]
        return mp.matrix([entries[i * columns : (i + 1) * columns] for i in range(rows)])

    def _vanish(self, name: str, at: Foot) -> list[bool]:
        coarse, fine = (_evaluated(self._local[name], name, at, digits) for digits in (COARSE, FINE))
        return [is_rounding(a, b) for a, b in zip(coarse, fine, strict=True)]

    @cached_property
    def _local(self) -> Mapping[str, Program]:
        return {name: self.derivation.guard.select(name) for name in self.derivation.guard.names}


WRONG_RANK = "the Hessian is not positive semidefinite of rank {} there"

ELSEWHERE = "it may be on another part of Γ than the formulas were derived for; derive them with near= there"


def _unit_columns(frame: PreciseMatrix) -> PreciseMatrix | None:
    columns = [[frame[i, j] for i in range(frame.rows)] for j in range(frame.cols)]
    lengths = [mp.norm(column) for column in columns]
    if not all(lengths):
        return None
    return mp.matrix([[a / length for a in column] for column, length in zip(columns, lengths, strict=True)]).T


def _evaluated(program: Program, name: str, at: Foot, digits: int) -> list[Any]:
    with mp.workdps(digits):
        return program.run(PRECISE, {s: +mp.mpf(a) for s, a in at.items()})[name]


def values_at(program: Program, feet: Sequence[Foot]) -> np.ndarray:
    """The single output of a program at points of Γ, one row each, correct to float64.

    Raises:
        SingularPoint: it is not a finite real number there.
    """
    (output,) = program.outputs
    rows = [_value(program, output.name, at) for at in feet]
    return np.array(rows, dtype=float).reshape(len(feet), len(output.registers))


def _value(program: Program, name: str, at: Foot) -> list[float]:
    try:
        return [float(a) for a in _evaluated(program, name, at, FINE)]
    except (ZeroDivisionError, ComplexValue, OverflowError) as error:
        where = ", ".join(f"{s} = {mp.nstr(a, 6)}" for s, a in at.items())
        raise SingularPoint(f"{name} is not a finite real number at {where}: {error}") from error


def on_manifold(at: Foot, foot: Foot, parameters: Sequence[sp.Symbol]) -> Foot:
    """A point as it was given, where it is on Γ to the digits of its foot, else the foot: beside Γ, formulas mix curvatures
    that are far apart."""
    size = 1 + max(abs(foot[s]) for s in parameters)
    apart = max(abs(at[s] - foot[s]) for s in parameters)
    return at if apart < size * mp.mpf(10) ** -FINE else {**at, **{s: foot[s] for s in parameters}}


def check_digits(
    derivation: Derivation,
    program: Program,
    feet: Mapping[int, Foot],
    values: np.ndarray,
    *,
    agreed: float = AGREED,
) -> None:
    """Raise where float64 has lost the digits of a term.

    Args:
        derivation: whose Γ.
        program: of the term.
        feet: row → point of Γ, of the rows that are to be compared.
        values: the term in float64, all rows.
        agreed: how far a value may be off, relative to its largest entry, or to its natural size.

    Raises:
        SingularPoint: a value is farther off.
    """
    for k, at in feet.items():
        true = values_at(program, [at])[0]
        (output,) = program.outputs
        error = np.abs(values[k] - true).max(initial=0)
        size = max(np.abs(true).max(initial=0), _natural_size(derivation, output.name, at))
        if not error <= agreed * size:
            where = ", ".join(f"{s} = {mp.nstr(at[s], 6)}" for s in derivation.problem.symbols)
            decades = Ground(derivation, 0.0).curvature(at).decades
            kept = max(0, int(-np.log10(error / size))) if size and np.isfinite(error) else 0
            lost = f"of {output.name} float64 keeps {kept} digits here"
            raise SingularPoint(
                f"{lost}: at {where} {far_apart(decades)}; NumPy(), LLVM() and MPMath() evaluate such points to many digits"
            )


def _natural_size(derivation: Derivation, name: str, at: Foot) -> float:
    """What the noise makes of a term where nothing cancels: |σ| for the noise, tr Σ/(1 + |x|) for a part of the drift."""
    noise = float(np.linalg.norm(values_at(derivation.blocks.select("noise_factor"), [at])[0]))
    extent = 1 + float(np.linalg.norm([float(at[s]) for s in derivation.problem.parameters]))
    return {"tangent_noise": noise, **dict.fromkeys((*DRIFT_TERMS, "drift"), noise**2 / extent)}.get(name, 0.0)
