"""The random number generators of compiled steps: one for each replica, and where it stands after any number of steps.

A replica's generator is xoshiro256++. Its state moves by a linear map over the field of two elements, whose powers are
polynomials in it: so nothing but the number of steps has to be kept of it.

Source: Blackman and Vigna, ACM Transactions on Mathematical Software 47 (2021) 36, sections 3 and 10.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

WORDS = 4
"""Of 64 bits, in a state."""

BITS = 64 * WORDS

CHARACTERISTIC = 0x10003C03C3F3ECB1904B4EDCF26259F850280002BCEFD1A5E9D116F2BB0F0F001
"""The characteristic polynomial p of the map over the field of two elements; bit k is the coefficient of t^k."""


def lanes(generator: Mapping[str, Any], replicas: int, drawn: int) -> np.ndarray:
    """The states (replicas×4) of generators that have drawn so many words each.

    Args:
        generator: the state of the generator (PCG64) that they are seeded by, one replica after the other.
        replicas: how many.
        drawn: words.
    """
    bits = np.random.PCG64()
    bits.state = dict(generator)  # type: ignore[assignment]
    states = np.random.Generator(bits).integers(0, 2**64, size=(replicas, WORDS), dtype=np.uint64)
    return jumped(states, drawn)


def jumped(states: np.ndarray, words: int) -> np.ndarray:
    """States (N×4) after so many more words.

    >>> one = np.array([[1, 2, 3, 4]], dtype=np.uint64)
    >>> bool((jumped(jumped(one, 10**6), 5) == jumped(one, 10**6 + 5)).all())
    True
    """
    polynomial = power_of_t(words)
    state, total = states.T.copy(), np.zeros_like(states.T)
    for k in range(polynomial.bit_length()):
        if polynomial >> k & 1:
            total ^= state
        state = moved(state)
    return np.ascontiguousarray(total.T)


def moved(state: np.ndarray) -> np.ndarray:
    """The states (4×N) after one more word."""
    s0, s1, s2, s3 = state
    high, low = s2 ^ s0, s3 ^ s1
    return np.array([s0 ^ low, s1 ^ high, high ^ (s1 << np.uint64(17)), _rotated(low, 45)])


def _rotated(a: np.ndarray, bits: int) -> np.ndarray:
    return (a << np.uint64(bits)) | (a >> np.uint64(64 - bits))


@lru_cache(maxsize=64)
def power_of_t(exponent: int) -> int:
    """t^n modulo p, by squaring.

    >>> power_of_t(3), power_of_t(256) == CHARACTERISTIC ^ 1 << 256
    (8, True)
    """
    power = 1
    for digit in f"{exponent:b}":
        # Over two elements a square has the same coefficients, every second power apart.
        power = int(f"{power:b}", 4) << int(digit)
        while power.bit_length() > BITS:
            power ^= CHARACTERISTIC << (power.bit_length() - BITS - 1)
    return power
