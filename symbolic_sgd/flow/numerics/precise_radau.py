"""The tables of Radau IIA to many digits, the little algebra of stages that goes with them, and the lengths of steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.flow.numerics.rules import FIRST_LENGTH, UNSTABLE_LENGTH

LOSS_OF_MONOMIALS = 2
"""Digits that the tables lose for each stage, because they pass through powers of θ."""

Precise = Any
"""An mpf; mpmath builds the class at run time, so that no annotation can name it."""

Matrix = Any
"""An mpmath matrix, likewise."""

Table = list[list[Precise]]

SAFETY = 0.9
"""Share of the step that the error estimate would allow."""


@dataclass(frozen=True)
class RadauTables:
    """Radau IIA: nodes, A⁻¹, what extrapolates, and the points and weights of Gauss where the defect is sampled."""

    nodes: list[Precise]
    slopes: Table  # A⁻¹: slopes on the nodes of the polynomial that vanishes at 0
    coefficients: Table  # stages → coefficients of θ, …, θˢ
    defect_nodes: list[Precise]
    defect_weights: list[Precise]
    defect_values: Table
    defect_slopes: Table


def radau_tables(stages: int) -> RadauTables:
    """From P_s − P_{s−1}, whose zeros on [0, 1] are the nodes of Radau, and P_s, whose zeros are those of Gauss."""
    with mp.extradps(LOSS_OF_MONOMIALS * stages):
        return _tables(stages)


def _tables(stages: int) -> RadauTables:
    radau = [(1 + zero) / 2 for zero in _zeros(stages, 1)]
    gauss = [(1 + zero) / 2 for zero in _zeros(stages, 0)]
    powers = mp.matrix(stages, stages)
    for row, node in enumerate(radau):
        for column in range(stages):
            powers[row, column] = node ** (column + 1)
    coefficients = powers**-1
    return RadauTables(
        nodes=radau,
        slopes=_rows(_monomial_slopes(radau) * coefficients),
        coefficients=_rows(coefficients),
        defect_nodes=gauss,
        defect_weights=[_gauss_weight(stages, 2 * node - 1) for node in gauss],
        defect_values=_rows(_monomials(gauss) * coefficients),
        defect_slopes=_rows(_monomial_slopes(gauss) * coefficients),
    )


def _zeros(degree: int, radau: int) -> list[Precise]:
    """Zeros of P_s − radau · P_{s−1} on [−1, 1], from those in float64 by Newton's method."""
    series = np.append(np.zeros(degree - 1), [-float(radau), 1.0])
    zeros = [mp.mpf(float(zero)) for zero in np.sort(np.polynomial.legendre.legroots(series).real)]
    for _ in range(int(np.log2(mp.dps / 8)) + 3):
        zeros = [zero - _legendre_step(degree, radau, zero) for zero in zeros]
    if radau:
        zeros[-1] = mp.mpf(1)
    return zeros


def _legendre_step(degree: int, radau: int, place: Precise) -> Precise:
    """Value over slope of P_s − radau · P_{s−1}."""
    before, value, slope_before, slope = _legendre(degree, place)
    return (value - radau * before) / (slope - radau * slope_before)


def _gauss_weight(degree: int, zero: Precise) -> Precise:
    """1 / ((1 − c²) P_s′(c)²), the weight on [0, 1]."""
    return 1 / ((1 - zero**2) * _legendre(degree, zero)[3] ** 2)


def _legendre(degree: int, place: Precise) -> tuple[Precise, Precise, Precise, Precise]:
    """P_{s−1}, P_s and their slopes, by the three-term recurrence and its derivative."""
    before, value, slope_before, slope = mp.mpf(1), place, mp.mpf(0), mp.mpf(1)
    for n in range(1, degree):
        following = ((2 * n + 1) * place * value - n * before) / (n + 1)
        slope_following = ((2 * n + 1) * (value + place * slope) - n * slope_before) / (n + 1)
        before, value, slope_before, slope = value, following, slope, slope_following
    return before, value, slope_before, slope


def _monomials(places: list[Precise]) -> Matrix:
    return mp.matrix([[place ** (n + 1) for n in range(len(places))] for place in places])


def _monomial_slopes(places: list[Precise]) -> Matrix:
    return mp.matrix([[(n + 1) * place**n for n in range(len(places))] for place in places])


def _rows(matrix: Matrix) -> Table:
    return [[matrix[i, j] for j in range(matrix.cols)] for i in range(matrix.rows)]


def mix(table: Table, stages: Table) -> Table:
    """A matrix acting on the stages."""
    columns = list(zip(*stages, strict=True))
    return [[mp.fdot(row, column) for column in columns] for row in table]


def floats(values: Table) -> np.ndarray:
    """A table in float64."""
    return np.array([[float(value) for value in row] for row in values])


def added(left: Sequence[Precise], right: Sequence[Precise]) -> list[Precise]:
    """The sum of two vectors."""
    return [a + b for a, b in zip(left, right, strict=True)]


def extrapolated(tables: RadauTables, stages: Table, ratio: float) -> Table:
    """The collocation polynomial u(1 + ratio c_i) − u(1) beyond its step."""
    powers = range(1, len(stages) + 1)
    beyond = [[(1 + ratio * node) ** n - 1 for n in powers] for node in tables.nodes]
    return mix(beyond, mix(tables.coefficients, stages))


def step_length(length: float | None, lowest: float, largest: float) -> float:
    """A length that the lowest curvature allows; of the first step, by the largest |curvature|."""
    if length is None:
        length = FIRST_LENGTH / largest if largest else 1.0
    return min(length, UNSTABLE_LENGTH / -lowest) if lowest < 0 else length


def allowed_ratio(error: float, stages: int) -> float:
    """Of the next step to this one, whose error is so many times the tolerance."""
    return SAFETY * max(error, 1e-60) ** (-0.5 / stages)


def shortened(length: float, ratio: float) -> float:
    """The length at which a step that erred too much is tried again."""
    return length * max(min(ratio, SAFETY), 0.1)
