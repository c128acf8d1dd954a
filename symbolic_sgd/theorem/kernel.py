"""The stationary covariance across Γ by a kernel of pairs of curvatures, (S)_ij = k(λ_i, λ_j)(Σ_⊥)_ij in H's eigenvectors.

Plain SGD's is the inverse of the Lyapunov operator, k(a, b) = 1/(a + b). A rational kernel needs no eigenvectors: S is a
polynomial in H on both sides of Σ_⊥ (algebra/lyapunov.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from symbolic_sgd.algebra.graph import Exact

Polynomial = Mapping[tuple[int, int], Exact]
"""{(i, j): c}: the sum of c aⁱbʲ, symmetric in a and b."""


@dataclass(frozen=True)
class Kernel:
    """A rational k(a, b) = k(b, a), positive for a, b > 0.

    Args:
        name: of the operator S = k(Σ_⊥), in words.
        numerator, denominator: symmetric polynomials in a and b.

    >>> LYAPUNOV.weight(1.0, 3.0)
    0.25
    """

    name: str
    numerator: Polynomial = field(hash=False)
    denominator: Polynomial = field(hash=False)

    def weight(self, a: Any, b: Any) -> Any:
        """k(a, b), for numbers or arrays."""
        return _value(self.numerator, a, b) / _value(self.denominator, a, b)


def _value(polynomial: Polynomial, a: Any, b: Any) -> Any:
    return sum(float(c) * a**i * b**j for (i, j), c in polynomial.items())


LYAPUNOV = Kernel("the inverse of the Lyapunov operator", {(0, 0): 1}, {(1, 0): 1, (0, 1): 1})
"""Of SGD at a learning rate that tends to 0."""
