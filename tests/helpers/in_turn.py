"""Cases of a parametrization in turn: some in the suite, the others in the campaign."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest


def in_turn(cases: Iterable[Any], *, one_of: int, first: int = 0) -> list[Any]:
    """Every `one_of`-th case as it is, the others marked as campaign."""
    return [
        case if k % one_of == first % one_of else pytest.param(case, marks=pytest.mark.campaign)
        for k, case in enumerate(cases)
    ]


def pairs_in_turn(rows: Iterable[Any], columns: Iterable[Any]) -> list[Any]:
    """Every pair of a table, so that each row has one in the suite, and the columns take turns: row i with column i, counted round."""
    columns = list(columns)
    table = product(enumerate(rows), enumerate(columns))
    return [
        pytest.param(row, column, marks=[pytest.mark.campaign] * (i % len(columns) != j))
        for (i, row), (j, column) in table
    ]
