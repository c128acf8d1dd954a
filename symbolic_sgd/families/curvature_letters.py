"""What eigenvalues of GK are called in print, beside the letters of a family and of an optimizer."""

from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.as_read import ReadersLatex, ReadersText
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.optimizers.kernel import A, B

PAIRS = (("mu", "nu"), ("a", "b"), ("p", "q"), ("s", "t"))
"""Names of two eigenvalues: the first pair of them that is free is taken, and then μ1, ν1, μ2, ν2, …"""

GREEK = {"mu": "μ", "nu": "ν"}
"""How they are written on a terminal."""


@dataclass(frozen=True)
class CurvatureLetters:
    """The names of two eigenvalues.

    Args:
        names: as SymPy prints them in LaTeX.

    >>> letters = CurvatureLetters(("mu", "nu"))
    >>> letters.text(1 / (A + B)), letters.latex(A / 2)
    ('1/(μ + ν)', '\\\\frac{\\\\mu}{2}')
    """

    names: tuple[str, str]

    @staticmethod
    def of(family: StatedFamily) -> "CurvatureLetters":
        """Those that the family leaves free."""
        tensors = {t.name for t in (*family.tensors.values(), *family.model.parameters)}
        indices = {str(i.name) for i in family.model.labels}
        return CurvatureLetters.beside(tensors | indices | {str(s) for s in (*family.sizes, *family.numbers)})

    @staticmethod
    def beside(taken: set[str]) -> "CurvatureLetters":
        """Those that are free beside names that are taken."""
        seen = set(map(_as_seen, taken))
        pairs = chain(PAIRS, ((f"mu{k}", f"nu{k}") for k in count(1)))
        return CurvatureLetters(next(pair for pair in pairs if not seen & set(map(_as_seen, pair))))

    @property
    def first(self) -> tuple[str, str]:
        """The first one, as text and as LaTeX."""
        return self.text(A), self.latex(A)

    def text(self, expression: Any) -> str:
        """A function of `A` and `B` for a terminal."""
        return ReadersText().written(self._in(expression, [_greek(name) for name in self.names]))

    def latex(self, expression: Any) -> str:
        """The same in LaTeX."""
        return ReadersLatex({"ln_notation": True}).written(self._in(expression, self.names))

    def _in(self, expression: Any, names: Any) -> Any:
        letters = (sp.Symbol(name, positive=True) for name in names)
        return sp.sympify(expression).xreplace(dict(zip((A, B), letters, strict=True)))


def _greek(name: str) -> str:
    return next((sign + name[2:] for word, sign in GREEK.items() if name.startswith(word)), name)


def _as_seen(name: str) -> str:
    """A name as it looks on a page: mu1 and mu_1 are one, and so are mu and μ."""
    for word, sign in GREEK.items():
        name = name.replace(sign, word)
    return sp.latex(sp.Symbol(name))
