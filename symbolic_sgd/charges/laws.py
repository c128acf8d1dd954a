"""What the drift of a charge is, where it is a function of the charges: the laws that they follow."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from symbolic_sgd.algebra.translation import Expression

TIME = sp.Symbol("t", nonnegative=True)
"""t in the solutions of laws."""

START = sp.Symbol("I_0", real=True)
"""The value at t = 0 in the solutions of laws."""


class Law(ABC):
    """How a charge I moves.

    `still` says that it is proved to have no noise on Γ. Else a stochastic integral is added to the solution, a local martingale times a
    function of t: where it is a martingale, the solution is that of the mean E I(t).

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> law = sde.charges[0].law
    >>> type(law).__name__, law.still, law.rate
    ('Decay', True, 1)
    """

    still: bool

    @property
    @abstractmethod
    def solution(self) -> Expression | None:
        """I(t) but for the noise, in `TIME` and the value `START` at t = 0; None where the law does not close."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What it does, to follow the name of the charge."""

    @abstractmethod
    def drift_in(self, names: Mapping[Expression, sp.Symbol], charge: Expression) -> Expression | None:
        """The drift in symbols for the charges; None where it does not close, or holds a charge without a symbol."""

    def drift_at(self, charge: Expression) -> Expression | None:
        """The drift in the parameters; None where it does not close."""
        others = [other for other, _ in self.coefficients] if isinstance(self, Linear) else []
        letters = {e: sp.Dummy(real=True) for e in (charge, *others)}
        drift = self.drift_in(letters, charge)
        return None if drift is None else drift.xreplace({letter: e for e, letter in letters.items()})

    @property
    def _noise(self) -> str:
        return "" if self.still else ", up to a local martingale"

    def sentence(self, charge: Expression) -> str:
        """What the charge does, a sentence."""
        return f"{charge} {self.words}."


@dataclass(frozen=True)
class Decay(Law):
    """dI = −rate·(I − level) dt + noise, with a constant rate: e^{rate·t}(I − level) is constant, or a local martingale.

    Args:
        rate: without parameters.
        level: where it tends to for a positive rate.
        still: whether there is no noise.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> law = sde.charges[0].law
    >>> law.rate, law.level, law.still
    (1, 0, True)
    """

    rate: Expression
    level: Expression
    still: bool

    @property
    def solution(self) -> Expression:
        return self.level + (START - self.level) * sp.exp(-(self.rate * TIME))

    def drift_in(self, names: Mapping[Expression, sp.Symbol], charge: Expression) -> Expression | None:
        return -self.rate * (names[charge] - self.level)

    @property
    def words(self) -> str:
        falls, side = ("grows", "away from") if self.rate.is_negative else ("decays", "to")
        moves = falls if self.level == 0 else f"{falls} {side} {self.level}"
        return f"{moves} exactly as exp({-(self.rate * TIME)}){self._noise}"


@dataclass(frozen=True)
class Steady(Law):
    """dI = value dt + noise, with a constant that is not zero.

    Args:
        value: without parameters.
        still: whether there is no noise.

    >>> import sympy as sp
    >>> from symbolic_sgd import Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=sp.Matrix([1, 0])))
    >>> sde.charges[0].law
    Steady(value=1, still=False)
    """

    value: Expression
    still: bool

    @property
    def solution(self) -> Expression:
        return START + self.value * TIME

    def drift_in(self, names: Mapping[Expression, sp.Symbol], charge: Expression) -> Expression | None:
        return self.value

    @property
    def words(self) -> str:
        return f"moves at the constant rate {self.value}{self._noise}"


class _Driftless(Law):
    @property
    def solution(self) -> Expression:
        return START

    def drift_in(self, names: Mapping[Expression, sp.Symbol], charge: Expression) -> Expression | None:
        return sp.S.Zero


@dataclass(frozen=True)
class Martingale(_Driftless):
    """dI = noise.

    >>> import sympy as sp
    >>> from symbolic_sgd import IsotropicNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem(loss=(u*v - 1)**2/2, parameters=(u, v), noise=IsotropicNoise(1)))
    >>> sde.charges[0].law
    Martingale()
    """

    still = False

    @property
    def words(self) -> str:
        return "is a local martingale: it has no drift"


@dataclass(frozen=True)
class Constant(_Driftless):
    """dI = 0.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u + 2*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> sde.charges[0].law
    Constant()
    """

    still = True

    @property
    def words(self) -> str:
        return "is conserved by the limit, too"


@dataclass(frozen=True)
class Linear(Law):
    """dI = (Σ_j c_j I_j + constant) dt + noise, over several charges.

    Args:
        coefficients: (I_j, c_j) for every charge that stands in it.
        constant: without parameters.
        still: whether there is no noise.

    >>> a, b = sp.symbols("a b")
    >>> Linear(((a, sp.Integer(2)), (b, sp.Integer(-1))), sp.Integer(3), still=True).coefficients
    ((a, 2), (b, -1))
    """

    coefficients: tuple[tuple[Expression, Expression], ...]
    constant: Expression
    still: bool

    @property
    def solution(self) -> None:
        return None

    @property
    def drift(self) -> Expression:
        """Σ_j c_j I_j + constant."""
        return sp.Add(*(c * charge for charge, c in self.coefficients), self.constant)

    def drift_in(self, names: Mapping[Expression, sp.Symbol], charge: Expression) -> Expression | None:
        if any(other not in names for other, _ in self.coefficients):
            return None
        return sp.Add(*(c * names[other] for other, c in self.coefficients), self.constant)

    @property
    def words(self) -> str:
        terms = " + ".join(f"({c})·({charge})" for charge, c in self.coefficients)
        constant = f" + ({self.constant})" if self.constant != 0 else ""
        return f"has the drift {terms}{constant}, which is linear in the charges{self._noise}"


@dataclass(frozen=True)
class Open(Law):
    """The drift was not seen to be a linear function of the charges.

    >>> Open(still=False).still
    False
    """

    still: bool

    @property
    def solution(self) -> None:
        return None

    def drift_in(self, names: Mapping[Expression, sp.Symbol], charge: Expression) -> Expression | None:
        return None

    @property
    def words(self) -> str:
        return f"has a drift that was not seen to be linear in the charges{self._noise}"


def law_of(
    index: int, charges: Sequence[Expression], row: Sequence[Expression], constant: Expression, still: bool
) -> Law:
    """The law of one charge whose drift is Σ_j row_j I_j + constant."""
    others = [(charge, c) for j, (charge, c) in enumerate(zip(charges, row, strict=True)) if c != 0 and j != index]
    own = row[index]
    if others:
        here = [(charges[index], own)] if own != 0 else []
        return Linear((*here, *others), constant, still)
    if own != 0:
        return Decay(sp.factor(-own), sp.factor(-constant / own), still)
    if constant != 0:
        return Steady(constant, still)
    return Constant() if still else Martingale()
