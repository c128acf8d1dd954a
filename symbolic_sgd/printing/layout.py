"""How a snippet is laid out: the user's own names of symbols, from an allow-list, and the length of its lines."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import sympy as sp

from symbolic_sgd.errors import BadInput
from symbolic_sgd.printing.signs import GREEK, VARIANTS

LINE = 75
"""Characters of a line of an article in one column (`printing.width`)."""

COLUMN = 45
"""Characters of a line of an article in two columns."""

PAGE = 90
"""Characters of a line of a document."""

SHORTEST, LONGEST = 30, 400
"""Lengths of lines that may be asked for."""

_LETTER = rf"(?:[A-Za-z]|\\(?:{'|'.join(sorted(GREEK | VARIANTS.keys(), key=len, reverse=True))})(?![A-Za-z]))"
_SIGN = r"\\(?:ast|star|prime|top|parallel|perp)(?![A-Za-z])"
_DRESSED = rf"\\(?:mathbf|mathrm|mathcal|mathsf|mathit|boldsymbol|hat|bar|tilde|vec|dot)\{{(?:[A-Za-z]+|{_LETTER})\}}"
_SUB = (
    rf"(?:[A-Za-z0-9]|\{{ *(?:[A-Za-z0-9+()*-]|{_LETTER}|{_SIGN})(?:[A-Za-z0-9,+()* -]|{_LETTER}|{_SIGN})*\}}|{_SIGN})"
)
_SUPER = rf"(?:[+*-]|\{{(?:[+*-]|\([A-Za-z0-9]+\)|{_SIGN})+\}}|{_SIGN})"
_NAME = re.compile(rf"(?:{_LETTER}|{_DRESSED})(?:_{_SUB})?(?:\^{_SUPER})?")

RESERVED = frozenset(
    ("L", "Y", "W", "S", "I", "F", "b", "t", "k", "r", r"\Sigma", r"\Phi", r"\Gamma", r"\eta", r"\sigma")
)
"""Letters of the theorem, as snippets print them."""


def _from_one() -> defaultdict[str, Iterator[int]]:
    return defaultdict(lambda: count(1))


@dataclass(frozen=True)
class Layout:
    """Names of symbols and the length of lines.

    Args:
        names: a symbol's name → its LaTeX.
        line: characters of a line.
        symbols: those of the problem, whose printed names nothing else may have.
        numbers: of the names that were given to parts, by letter; a name has one meaning wherever this layout reaches.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    line: int = LINE
    symbols: tuple[sp.Symbol, ...] = ()
    numbers: defaultdict[str, Iterator[int]] = field(
        default_factory=lambda: defaultdict(lambda: count(1)), compare=False
    )


_layout: ContextVar[Layout | None] = ContextVar("layout", default=None)


def layout() -> Layout:
    """The layout of the snippet that is being written."""
    return _layout.get() or Layout()


@contextmanager
def laid_out(chosen: Layout) -> Iterator[None]:
    """Everything that is written within is laid out so."""
    token = _layout.set(chosen)
    try:
        yield
    finally:
        _layout.reset(token)


@contextmanager
def on_trial() -> Iterator[None]:
    """What is written within is measured only: it uses up no names."""
    with laid_out(replace(layout(), numbers=_from_one())):
        yield


def layout_of(
    names: Mapping[Any, str] | None, line: int | None, symbols: tuple[Any, ...], *, default: int = LINE
) -> Layout:
    r"""The layout that a caller asks for.

    A name is a letter, a Greek letter or a dressed one (\mathbf{W}, \hat{u}, …), with at most one subscript of letters, digits
    and signs, and one superscript that does not read as a power (signs, or letters and digits in parentheses); nothing else of
    LaTeX is let through.

    Args:
        names: symbol (or its name) → LaTeX.
        line: characters of a line.
        symbols: those of the problem.
        default: characters of a line where none are asked for.

    Raises:
        BadInput: a name that is not of this form, is a letter of the theorem, stands for two symbols, or belongs to none; a length
            out of range.
    """
    if line is not None and (isinstance(line, bool) or not isinstance(line, int) or not SHORTEST <= line <= LONGEST):
        raise BadInput(f"line is {line!r}; give a number of characters from {SHORTEST} to {LONGEST}")
    given = {str(symbol): tex for symbol, tex in (names or {}).items()}
    unknown = given.keys() - {s.name for s in symbols}
    if unknown:
        raise BadInput(f"names has {', '.join(sorted(unknown))}; the symbols are {', '.join(s.name for s in symbols)}")
    for symbol, tex in given.items():
        if not isinstance(tex, str) or not _NAME.fullmatch(tex):
            raise BadInput(
                f"names[{symbol}] is {tex!r}; give a letter, \\alpha … \\Omega, or \\mathbf{{…}}, \\hat{{…}} of one, with at most "
                "one subscript, and a superscript that is no power: \\theta_1, \\mathbf{W}_{ij}, u^{*}, u^{(2)}"
            )
        if _normal(tex) in RESERVED:
            raise BadInput(f"names[{symbol}] is {tex!r}, which is a letter of the theorem: choose another")
    printed = [_normal(given.get(s.name, symbol_latex(s.name))) for s in symbols]
    if len(set(printed)) < len(printed):
        twice = sorted({tex for tex in printed if printed.count(tex) > 1})
        raise BadInput(
            f"two symbols would be printed as {', '.join(twice)}: give each a name of its own by names={{…}}"
        )
    return Layout(given, default if line is None else line, tuple(symbols))


def checked_labels(labels: str | None) -> str | None:
    """What labels begin with, if it is letters, digits and the signs that references are made of.

    Raises:
        BadInput: it is something else.
    """
    if labels is None or (isinstance(labels, str) and re.fullmatch(r"[A-Za-z0-9:._/+-]*", labels)):
        return labels
    raise BadInput(
        f"labels is {labels!r}; give what labels begin with, of letters, digits, and : . _ / + -, such as eq:"
    )


def fresh_names(letter: str, symbols: Iterable[sp.Symbol]) -> Iterator[sp.Symbol]:
    """letter_1, letter_2, … without those that stand for something already, or are printed like one of the symbols.

    Those of the problem are symbols, too.
    """
    chosen = layout()
    printed = {_normal(symbol_latex(s.name)) for s in (*symbols, *chosen.symbols)}
    numbers = chosen.numbers[letter]
    return (sp.Symbol(n) for k in numbers if _normal(symbol_latex(n := f"{letter}{k}")) not in printed)


def _normal(tex: str) -> str:
    """What is printed alike is written alike: no spaces, no braces round one sign."""
    return re.sub(r"([_^])\{([A-Za-z0-9]|\\[A-Za-z]+)\}", r"\1\2", tex.replace(" ", ""))


def renamed(tex: str) -> str:
    r"""LaTeX that was written without this layout, with its names of symbols; letters inside \mathbf{…} and other commands stay.

    >>> s = sp.Symbol("s")
    >>> with laid_out(Layout({"s": r"\hat{s}"}, symbols=(s,))):
    ...     renamed(r"\frac{s^{2}}{2}\,\mathbf{s} S_{s}")
    '\\frac{\\hat{s}^{2}}{2}\\,\\mathbf{s} S_{s}'
    """
    names = layout().names
    if not names:
        return tex
    known = {sp.latex(sp.Symbol(name)): given for name, given in names.items()}
    letters = "|".join(re.escape(letter) for letter in sorted(known, key=len, reverse=True))
    pattern = re.compile(rf"\\[A-Za-z]+\{{[A-Za-z ]+\}}|_\{{[^{{}}]*\}}|(?<![A-Za-z\\_])({letters})(?![A-Za-z_])")
    return pattern.sub(lambda found: known[found[1]] if found[1] else found[0], tex)


def symbol_latex(name: str) -> str:
    """A symbol's name in LaTeX: a letter or Greek letter with its index, any other word upright.

    >>> symbol_latex("u12"), symbol_latex("theta_1"), symbol_latex("width")
    ('u_{12}', '\\\\theta_{1}', '\\\\mathrm{width}')
    """
    given = layout().names.get(name)
    if given is not None:
        return given
    base, _, index = name.partition("_")
    if not index:
        base = name.rstrip("0123456789").rstrip("_")
        index = name[len(base) :].lstrip("_")
    letter = rf"\{base}" if base in GREEK else base if len(base) == 1 else rf"\mathrm{{{base}}}"
    return rf"{letter}_{{{index.replace('_', ',')}}}" if index else letter
