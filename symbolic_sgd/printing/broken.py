r"""A formula that is LaTeX already, on lines that fit: broken at commas and signs first, then at products, and inside of brackets last.

A pair \left( \right) that is broken becomes \bigl( \bigr), which may stand on different lines; what is in braces stays together.
"""

import re
from collections.abc import Iterator

from symbolic_sgd.printing.width import visible_length

_TOKEN = re.compile(r"\\left\(|\\right\)|\\[A-Za-z]+|\\.|\S")

OPENING = {r"\left(", r"\langle", r"\lVert", r"\lvert", "("}
CLOSING = {r"\right)", r"\rangle", r"\rVert", r"\rvert", ")"}

COMMA, SIGN, ENTRYWISE, PRODUCT = range(4)
"""Kinds of places where a line may end, the better ones first."""

KINDS = {r"\qquad": COMMA, "+": SIGN, "-": SIGN, r"\circ": ENTRYWISE, r"\,": PRODUCT}
"""By the token before which it ends."""

FURTHER = {r"\circ": r"{}\circ ", r"\,": r"\quad ", r"\qquad": ""}
"""How the next line begins, where that is not the token itself."""

_FACTOR = re.compile(r"(\\sum_\{[^{}]*\}|\\frac\{[^{}]*\}\{[^{}]*\}|(?<![\w{}])\d+)\s*$")
"""What a product is not broken after: a sum's sign, or a number."""


def broken(tex: str, widest: float) -> list[str]:
    r"""The lines of a formula, none wider than that where it can be helped.

    >>> broken(r"\left(a + b\right)\,c", 100)
    ['\\left(a + b\\right)\\,c']
    >>> broken(r"\left(a + b\right)\,c", 8)
    ['\\left(a + b\\right)', '\\quad c']
    """
    return [_balanced(line.strip()) for line in _lines(tex, widest)]


def _lines(tex: str, widest: float) -> Iterator[str]:
    if visible_length(tex) <= widest:
        yield tex
        return
    pieces = _pieces(tex)
    if len(pieces) == 1:
        yield tex
        return
    for line in _filled(pieces, widest):
        yield from _lines(line, widest)


def _pieces(tex: str) -> list[tuple[str, str]]:
    """The formula, cut at all places of the best kind that it has: the token before each piece, and the piece."""
    places = [cut for cut in _places(tex) if tex[: cut[0]].removeprefix(r"\quad ").strip(" {}+-")]
    if not places:
        return [("", tex)]
    best = min((depth, kind) for _, depth, kind, _ in places)
    cuts = [(place, token) for place, depth, kind, token in places if (depth, kind) == best]
    ends = [*(place for place, _ in cuts), len(tex)]
    further = [(token, tex[place + len(token) : end]) for (place, token), end in zip(cuts, ends[1:], strict=True)]
    return [("", tex[: ends[0]]), *further]


def _filled(pieces: list[tuple[str, str]], widest: float) -> list[str]:
    """Pieces one after the other, on as few lines as hold them."""
    lines = [pieces[0][1]]
    for token, piece in pieces[1:]:
        longer = f"{lines[-1]}{token}{piece}"
        if visible_length(longer) > widest:
            lines.append(FURTHER.get(token, token) + piece)
        else:
            lines[-1] = longer
    return lines


def _places(tex: str) -> Iterator[tuple[int, int, int, str]]:
    """Where it may be cut: (place, brackets around it, kind, token)."""
    braces = depth = 0
    last = ""
    for found in _TOKEN.finditer(tex):
        token = found[0]
        if token == "{":
            braces += 1
        elif token == "}":
            braces -= 1
        elif not braces:
            if token in CLOSING:
                depth -= 1
            elif token in KINDS and not _belongs(token, last, tex[: found.start()]):
                yield found.start(), depth, KINDS[token], token
            if token in OPENING:
                depth += 1
        last = token


def _belongs(token: str, last: str, before: str) -> bool:
    """Whether a token is the sign of what follows, or stands behind a factor that what follows belongs to."""
    if token in "+-":
        return last in ("", "=", "(", r"\left(", ",", r"\,", r"\qquad")
    return token == r"\," and _FACTOR.search(before) is not None


def _balanced(line: str) -> str:
    """Brackets of which the partner is on another line no longer grow with what they hold."""
    tokens = re.split(r"(\\left\(|\\right\))", line)
    open_places: list[int] = []
    for k, token in enumerate(tokens):
        if token == r"\left(":
            open_places.append(k)
        elif token == r"\right)":
            if open_places:
                open_places.pop()
            else:
                tokens[k] = r"\bigr)"
    for k in open_places:
        tokens[k] = r"\bigl("
    return "".join(tokens)
