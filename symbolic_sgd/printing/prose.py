"""The toolkit's own sentences: the mathematics in them, which is written in characters, as formulas."""

import re
from itertools import groupby

from symbolic_sgd.printing.blocks import Inline, Math, Paragraph
from symbolic_sgd.printing.signs import FUNCTIONS
from symbolic_sgd.printing.text import MATHEMATICAL

LONG = 40
"""Characters of a formula that is kept on one line."""

_SIGNS = "".join(MATHEMATICAL)
_WORD = re.compile(rf"[A-Za-z\d{re.escape(_SIGNS)}_|()\[\]=+/<>,^']+")
_ADJACENT_LETTERS = re.compile(r"[A-Za-z]{2,}")
_FUNCTIONS = ("ln", "tr", "diag", "exp", "det")
_DIFFERENTIALS = ("dt", "dW", "dY")
_OPERATORS = frozenset(["=", "+", "−", "-", "→", "≤", "≥", "≠", "<", ">", "≈", "∈"])
_NUMBER = re.compile(r"[-−]?\d+(\.\d+)?(e-?\d+)?")
_LOWERED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_BRACKETS = {")": "(", "]": "["}


def sentence(text: str) -> Paragraph:
    """A sentence with its letters and formulas as mathematics.

    >>> sentence("Γ has dimension D − M = 2.").parts[-2].tex
    'D - M = 2'
    """
    return Paragraph(tuple(in_words(text)))


def in_words(text: str) -> list[Inline]:
    """The parts of a sentence: a run of mathematical words is one formula."""
    parts: list[Inline] = []
    text = re.sub(r"(?<![\w.])oo\b", "∞", re.sub(r"\*\*(1\b|\(1\))", "", text))
    text = re.sub(r"\*\*\(?(-?\d+)\)?", lambda found: found[1].translate(_RAISED), text)
    text = re.sub(r"(?<![\w.])(\d+)\*(?=[A-Za-z(])", r"\1", text)
    text = re.sub(r"(?<=[\w)])\*(?=[\w(])", "·", text)
    for is_formula, run in groupby(_words(text), key=lambda word: word[1]):
        written = "".join(word for word, _ in run)
        parts += _formula(written) if is_formula else [written]
    return parts


def _words(text: str) -> list[tuple[str, bool]]:
    """Words and what is between them, and whether each belongs to a formula."""
    pieces = re.split(r"(\s+)", text)
    kinds = [_is_formula(_bare(piece)) for piece in pieces]
    numbers = [bool(_NUMBER.fullmatch(_bare(piece))) for piece in pieces]
    for k in range(2, len(pieces) - 2, 2):
        begins_list = pieces[k + 2].startswith("(") and pieces[k + 2].endswith(",")
        if pieces[k] in _OPERATORS and not begins_list and all(kinds[j] or numbers[j] for j in (k - 2, k + 2)):
            kinds[k - 2 : k + 3] = [True] * 5
    for k in range(2, len(pieces), 2):
        if kinds[k - 2] and kinds[k] and pieces[k - 2][-1] not in ",.;:":
            kinds[k - 1] = True
    return list(zip(pieces, kinds, strict=True))


def _bare(piece: str) -> str:
    """Without the punctuation round it."""
    piece = piece.rstrip(".,;:")
    for close, opening in _BRACKETS.items():
        if piece.endswith(close) and piece.count(close) > piece.count(opening):
            piece = piece[:-1]
        if piece.startswith(opening) and piece.count(opening) > piece.count(close):
            piece = piece[1:]
    return piece


def _is_formula(word: str) -> bool:
    """Whether a word is mathematics: signs, and letters that stand alone."""
    if word in ("", "a", "A", "I") or word in _OPERATORS or not _WORD.fullmatch(word):
        return False
    named = all(run in (*_FUNCTIONS, *_DIFFERENTIALS) for run in _ADJACENT_LETTERS.findall(word))
    return named and any(c.isalpha() or c in MATHEMATICAL for c in word)


def _formula(written: str) -> list[Inline]:
    """The formula, and the spaces and punctuation round it."""
    core = _bare(written.strip())
    before, after = written.split(core, 1)
    # Browsers break no line within a formula: a long sum is one for each term.
    terms = re.split(r"( [+−-] )", core) if len(core) > LONG else [core]
    formulas = [term if k % 2 else Math(_tex(term), term) for k, term in enumerate(terms)]
    return [part for part in (before, *formulas, after) if part]


def _tex(formula: str) -> str:
    formula = re.sub(r"(?<![A-Za-z_])([A-Za-z])(\d+)", r"\1_\2", formula)
    formula = re.sub(r"([⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+)", lambda found: f"^{{{found[1].translate(_LOWERED)}}}", formula)
    formula = re.sub(r"_([⊥∥₊]+|[a-z\d]+)", lambda found: f"_{{{found[1]}}}", formula)
    formula = re.sub(rf"(?<![A-Za-z])({'|'.join(_FUNCTIONS)})(?![A-Za-z])", lambda found: _function(found[1]), formula)
    return re.sub(r" +(?=[ _^)\]}]|$)", "", "".join(map(_sign, formula)))


def _function(name: str) -> str:
    return rf"\{name} " if name in FUNCTIONS else rf"\mathrm{{{name}}}\,"


def _sign(c: str) -> str:
    tex = MATHEMATICAL.get(c, c)
    return f"{tex} " if tex[0] == "\\" != c else tex
