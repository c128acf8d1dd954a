"""Cases of a parametrization in turn: some in the suite, the others in the campaign."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import pytest

CAMPAIGN = pytest.mark.campaign


def in_turn(cases: Iterable[Any], *, one_of: int, first: int = 0) -> list[Any]:
    """Every `one_of`-th case as it is, the others marked as campaign."""
    return [
        case if k % one_of == first % one_of else pytest.param(case, marks=CAMPAIGN) for k, case in enumerate(cases)
    ]


def table_in_turn(cases: Iterable[tuple[Any, ...]], columns: int) -> list[Any]:
    """The cases of a table, row after row: of row i that of column i, counted round, is in the suite, the others in the campaign."""
    return [
        pytest.param(*case, marks=[CAMPAIGN] * (k % columns != k // columns % columns)) for k, case in enumerate(cases)
    ]


def pairs_in_turn(rows: Iterable[Any], columns: Sequence[Any]) -> list[Any]:
    """Every pair of a row and a column, in turn."""
    return table_in_turn(product(rows, columns), len(columns))
