"""Words as LaTeX: a user's own text, and the toolkit's sentences with the letters of mathematics in them."""

import re
import unicodedata
from itertools import groupby

from symbolic_sgd.printing.signs import LETTERS, OPERATORS, UPRIGHT

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textquoteleft{}",
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "’": "'",
}
"""Characters that LaTeX would read as commands."""

MATHEMATICAL = {
    **{
        sign: rf"\{command}"
        for table in (OPERATORS, UPRIGHT, LETTERS)
        for command, sign in reversed(table.items())
        if not sign.isascii() and sign not in SPECIAL
    },
    "√": r"\surd",
    "−": "-",
    "ℝ": r"\mathbb{R}",
    "†": r"{}^{\dagger}",
    "ᵀ": r"{}^{\top}",
    "₊": "{}_{+}",
    "⁺": "{}^{+}",
    "⁻": "{}^{-}",
    "½": r"\tfrac12",
    "¼": r"\tfrac14",
    "𝓛": r"\mathcal{L}",
    **{digit: f"{{}}^{{{k}}}" for k, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{digit: f"{{}}_{{{k}}}" for k, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
}
"""Letters and signs that the toolkit's own words hold: of two commands for a sign, the first row of its table."""

LATIN = "ßæÆœŒøØåÅłŁ"
ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030c\u0327"
"""Grave, acute, circumflex, tilde, diaeresis, caron, cedilla."""


def text(words: str) -> str:
    r"""Any text as LaTeX: what LaTeX would read as a command is escaped, what it has no letter for is named by its number.

    >>> text(r"\input{x} Γ 50%")
    '\\textbackslash{}input\\{x\\} $\\Gamma$ 50\\%'
    """
    runs = groupby(re.sub(r"\s+", " ", words), key=MATHEMATICAL.__contains__)
    return "".join(
        f"${' '.join(MATHEMATICAL[c] for c in run)}$" if is_math else "".join(map(_character, run))
        for is_math, run in runs
    )


def _character(c: str) -> str:
    if c in SPECIAL:
        return SPECIAL[c]
    return c if (c.isascii() and c.isprintable()) or c in LATIN or _accented(c) else f"[U+{ord(c):04X}]"


def _accented(c: str) -> bool:
    """Whether it is a Latin letter with one of the accents that every font of LaTeX can set."""
    base, *accents = unicodedata.normalize("NFD", c)
    return base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in ACCENTS
