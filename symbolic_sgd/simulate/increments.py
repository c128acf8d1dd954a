"""The random increments of a process: one column for each replica, drawn by a generator that belongs to its chunk."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, islice, product
from math import comb

import numpy as np

BLOCK = 32
"""Steps whose discrete draws are made at once."""

WIDE = 4096
"""A table of outcomes is written out, one column for each equally likely draw, up to this width."""


class Increments(ABC):
    """A law of increments."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """The number of random numbers that one step of one replica takes."""

    def same_law(self, other: "Increments") -> bool:
        """Whether both are drawn alike, number for number."""
        return type(self) is type(other) and all(np.array_equal(a, vars(other)[k]) for k, a in vars(self).items())

    @abstractmethod
    def stream(self, rng: np.random.Generator, replicas: int) -> Callable[[np.ndarray], None]:
        """A function that fills `out` (rows × replicas) with the next step's increments.

        Draws are made for `BLOCK` steps at most; a stream that begins at a multiple of it has drawn nothing ahead there.
        """


@dataclass(frozen=True, eq=False)
class Outcomes(Increments):
    """Finitely many outcomes: the increment is column k of a table with probability c_k/Σc. The law is exact.

    Args:
        table: rows × K.
        counts: c_1 … c_K, positive integers with a sum below 2⁶².
    """

    table: np.ndarray
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        return len(self.table)

    def stream(self, rng: np.random.Generator, replicas: int) -> Callable[[np.ndarray], None]:
        total = sum(self.counts)
        wide = total <= WIDE
        table = np.ascontiguousarray(np.repeat(self.table, self.counts, axis=1) if wide else self.table)
        ends = np.cumsum(np.array(self.counts, dtype=np.int64))
        block = np.empty((BLOCK, replicas), dtype=np.intp)
        left = [0]

        def fill(out: np.ndarray) -> None:
            if left[0] == 0:
                drawn = uniform_integers(rng, total, block.shape)
                block[:] = drawn if wide else np.searchsorted(ends, drawn, side="right")
                left[0] = BLOCK
            np.take(table, block[BLOCK - left[0]], axis=1, out=out, mode="clip")
            left[0] -= 1

        return fill


@dataclass(frozen=True, eq=False)
class Batches(Increments):
    """b of n samples without replacement, all sets equally likely, each sample in one of S equally likely variants.

    Args:
        variants: S×rows×n, the variants of each sample's increments.
        size: b.
    """

    variants: np.ndarray
    size: int

    @property
    def rows(self) -> int:
        return self.size * self.variants.shape[1]

    @property
    def count(self) -> int:
        """The number of sets with their variants, all equally likely."""
        kinds, _, n = self.variants.shape
        return comb(n, self.size) * kinds**self.size

    def outcomes(self, most: int) -> np.ndarray:
        """The increments of the first of these sets, one column each, `most` at most."""
        kinds, _, n = self.variants.shape
        drawn = product(combinations(range(n), self.size), product(range(kinds), repeat=self.size))
        columns = [
            np.concatenate([self.variants[s, :, k] for k, s in zip(chosen, signs, strict=True)])
            for chosen, signs in islice(drawn, most)
        ]
        return np.array(columns).T

    def stream(self, rng: np.random.Generator, replicas: int) -> Callable[[np.ndarray], None]:
        kinds, rows, n = self.variants.shape
        table = np.ascontiguousarray(self.variants.transpose(1, 0, 2).reshape(rows, kinds * n))

        def fill(out: np.ndarray) -> None:
            chosen = without_replacement(rng, n, self.size, replicas)
            chosen += n * uniform_integers(rng, kinds, chosen.shape).astype(np.int64)
            for k, row in enumerate(chosen):
                np.take(table, row, axis=1, out=out[k * rows : (k + 1) * rows], mode="clip")

        return fill


@dataclass(frozen=True)
class Normals(Increments):
    """Independent standard normal increments."""

    count: int

    @property
    def rows(self) -> int:
        return self.count

    def stream(self, rng: np.random.Generator, replicas: int) -> Callable[[np.ndarray], None]:
        def fill(out: np.ndarray) -> None:
            rng.standard_normal(out=out)

        return fill


@dataclass(frozen=True, eq=False)
class Repeated(Increments):
    """Several independent draws of one law in each step, one below the other."""

    law: Increments
    times: int

    @property
    def rows(self) -> int:
        return self.times * self.law.rows

    def same_law(self, other: Increments) -> bool:
        return isinstance(other, Repeated) and self.times == other.times and self.law.same_law(other.law)

    def stream(self, rng: np.random.Generator, replicas: int) -> Callable[[np.ndarray], None]:
        fills = [self.law.stream(rng, replicas) for _ in range(self.times)]
        rows = self.law.rows

        def fill(out: np.ndarray) -> None:
            for k, draw in enumerate(fills):
                draw(out[k * rows : (k + 1) * rows])

        return fill


@dataclass(frozen=True)
class FairSignAndNormals(Increments):
    """A fair sign ±1 in the first row, and independent standard normals in the others."""

    count: int

    @property
    def rows(self) -> int:
        return self.count + 1

    def stream(self, rng: np.random.Generator, replicas: int) -> Callable[[np.ndarray], None]:
        def fill(out: np.ndarray) -> None:
            rng.standard_normal(out=out[1:])
            out[0] = uniform_integers(rng, 2, (replicas,))
            out[0] *= 2
            out[0] -= 1

        return fill


def without_replacement(rng: np.random.Generator, total: int, size: int, replicas: int) -> np.ndarray:
    """Different integers of 0 … total − 1, size×replicas: in each column every sequence is equally likely.

    The k-th is the j-th of those that are left, j uniform: every smaller one that is taken, in ascending order, moves it up by one.

    >>> drawn = without_replacement(np.random.default_rng(0), 3, 3, 5)
    >>> bool((np.sort(drawn, axis=0) == [[0], [1], [2]]).all())
    True
    """
    drawn = np.empty((size, replicas), dtype=np.int64)
    for k in range(size):
        next_one = uniform_integers(rng, total - k, (replicas,)).astype(np.int64)
        for taken in np.sort(drawn[:k], axis=0):
            next_one += next_one >= taken
        drawn[k] = next_one
    return drawn


def uniform_integers(rng: np.random.Generator, total: int, shape: tuple[int, ...]) -> np.ndarray:
    """Integers 0 … total − 1, all equally likely; for powers of two up to 256 they are random bytes, masked."""
    if total <= 256 and total & (total - 1) == 0:
        count = int(np.prod(shape))
        words = rng.integers(0, 2**64, (count + 7) // 8, dtype=np.uint64, endpoint=False)
        return words.astype("<u8", copy=False).view(np.uint8)[:count].reshape(shape) & np.uint8(total - 1)
    kind = next(kind for kind in (np.uint8, np.uint16, np.uint32, np.int64) if total <= np.iinfo(kind).max + 1)
    return rng.integers(0, total, shape, dtype=kind)
