"""The precision of mpmath's global context and of the package's own, set together."""

from collections.abc import Iterator
from contextlib import contextmanager

import mpmath

from symbolic_sgd.algebra.precision import mp


@contextmanager
def working_digits(digits: int) -> Iterator[None]:
    with mpmath.workdps(digits), mp.workdps(digits):
        yield
