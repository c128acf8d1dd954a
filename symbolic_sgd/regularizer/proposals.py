"""Which columns of a float64 system make up its right-hand side: the fewest, or those that come first."""

from collections.abc import Iterator

import numpy as np

from symbolic_sgd.effort import Effort

FITS = 1e-8
"""A proposal leaves at most this part of the regularization."""

DEPENDENT = 1e-7
"""A candidate whose slope along Γ is, up to this part of it, a combination of those before is left out."""

PRESENT = 1e-7
"""A coefficient smaller than this beside the largest, each times the size of its term, is zero."""

MOST_TERMS = 24
"""Terms of an R that is still a formula."""

PAIRS = 4
"""Sums of two candidates that are tried."""


def balanced(along: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every point's equations divided by their largest number, once columns have the same typical size (a column that is zero at most
    points, as on other branches of Γ, the same largest size)."""
    if not right.size:  # at no point is everything in the range of float64
        return along, right
    sizes = np.linalg.norm(along, axis=1)
    typical = np.median(sizes, axis=0)
    columns = np.where(typical > 0, typical, sizes.max(axis=0)) + 1e-300
    steepest = np.abs(along / columns).max(axis=(1, 2), initial=0)
    size = np.maximum(steepest, np.abs(right).max(axis=1) / (np.abs(right).max() + 1e-300)) + 1e-300
    return along / size[:, None, None], right / size[:, None]


def proposals(matrix: np.ndarray, right: np.ndarray, effort: Effort | None = None) -> Iterator[list[int]]:
    """Columns whose combination is `right`: single ones, pairs, and then as many as needed, the first ones preferred.

    Raises:
        BudgetSpent: by the effort.

    >>> columns = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    >>> next(proposals(columns, np.array([0.0, 3.0, 0.0])))
    [1]
    """
    lengths = np.linalg.norm(matrix, axis=0) + 1e-300
    unit, goal = matrix / lengths, right / np.linalg.norm(right)
    overlap = unit.T @ goal
    single = np.linalg.norm(unit * overlap - goal[:, None], axis=0)
    yield from ([int(k)] for k in np.flatnonzero(single <= FITS))
    yield from _pairs(unit, goal, overlap)
    basis, axes = _first_independent(unit, effort or Effort())
    if len(unit) < len(basis) + 10 or np.linalg.norm(goal - axes @ (axes.T @ goal)) > FITS:
        return
    solution = np.linalg.lstsq(unit[:, basis], goal, rcond=None)[0]
    if np.linalg.norm(unit[:, basis] @ solution - goal) > FITS:
        return
    present = np.abs(solution) > PRESENT * np.abs(solution).max()
    if present.sum() <= MOST_TERMS:
        yield [int(k) for k in np.array(basis)[present]]


def _pairs(unit: np.ndarray, goal: np.ndarray, overlap: np.ndarray) -> Iterator[list[int]]:
    gram = unit.T @ unit
    first, second = np.triu_indices(len(gram), 1)
    between = gram[first, second]
    free = np.abs(between) < 1 - 1e-9
    first, second, between = first[free], second[free], between[free]
    a, b = overlap[first], overlap[second]
    left = 1 - (a * a + b * b - 2 * a * b * between) / (1 - between**2)
    found = 0
    for k in np.flatnonzero(left < 1e-9):
        pair = [int(first[k]), int(second[k])]
        solution = np.linalg.lstsq(unit[:, pair], goal, rcond=None)[0]
        if np.linalg.norm(unit[:, pair] @ solution - goal) <= FITS:
            yield pair
            found += 1
            if found == PAIRS:
                return


def _first_independent(unit: np.ndarray, effort: Effort) -> tuple[list[int], np.ndarray]:
    """The columns that are no combination of those before them (Gram–Schmidt, twice), and an orthonormal basis of their span."""
    basis = np.empty(unit.shape, order="F")
    chosen: list[int] = []
    for k in effort.each(range(unit.shape[1])):
        known = basis[:, : len(chosen)]
        rest = unit[:, k] - known @ (known.T @ unit[:, k])
        rest -= known @ (known.T @ rest)
        size = np.linalg.norm(rest)
        if size > DEPENDENT and len(chosen) < len(unit):
            basis[:, len(chosen)] = rest / size
            chosen.append(k)
    return chosen, basis[:, : len(chosen)]
