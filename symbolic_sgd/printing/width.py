"""How wide a formula is on the page, from its LaTeX: about, in characters of text, and rather too wide than too narrow."""

import re

from symbolic_sgd.printing.signs import FUNCTIONS, LETTERS, OPERATORS, SIZES, SPACES, UPRIGHT

POINTS = 4.6
"""Of one character of text in a font of ten points: a line of LaTeX's one-column article, 345 points, has 75."""

SCRIPT = 0.72
"""Size of indices, exponents, and fractions inside a line, beside what they stand in."""

_TOKEN = re.compile(r"(\\\\)(?:\[\d+pt\])?|(\\[A-Za-z]+|\\.|\S)")

_CHARACTERS = {
    **dict.fromkeys("+-", 12.3),
    **dict.fromkeys("=<>", 13.4),
    **dict.fromkeys("()", 3.9),
    **dict.fromkeys("mwMW", 9.0),
    **dict.fromkeys("[]|!.:", 2.8),
    **dict.fromkeys(",/", 5.0),
    "*": 9.4,
}
_COMMANDS = {
    **dict.fromkeys((r"\leq", r"\le", r"\geq", r"\ge", r"\neq", r"\ne", r"\approx", r"\sim", r"\propto", r"\in"), 13.4),
    **dict.fromkeys((r"\to", r"\mapsto"), 15.6),
    **dict.fromkeys((r"\cdot", r"\circ"), 7.3),
    **dict.fromkeys((r"\times", r"\pm", r"\wedge", r"\vee"), 12.3),
    **dict.fromkeys((r"\sum", r"\prod", r"\oint", r"\ldots", r"\cdots"), 16.0),
    **dict.fromkeys((r"\{", r"\}", r"\|"), 5.0),
    r"\int": 12.0,
    r"\nabla": 8.4,
    r"\partial": 6.0,
}
"""Points of what is no usual letter, with the space that TeX puts round it."""

_LETTER, _CAPITAL = 6.0, 8.2
_EM = 10.0
_BRACKET = 7.4
"""One that is as high as a fraction."""

_COLUMN = 10.0
"""Between the columns of a matrix."""


def visible_length(tex: str) -> float:
    r"""About how many characters of text a displayed formula is wide; a fraction is as wide as its wider part.

    >>> visible_length(r"\frac{u + v}{2}") == visible_length(r"\frac{2}{u + v}") < visible_length("u + v + 2")
    True
    """
    return _Measure(tex).row(1.0, display=True) / POINTS


def is_high(tex: str) -> bool:
    """Whether a formula is higher than a line of text: it holds a fraction or a matrix."""
    return r"\frac" in tex or r"\begin" in tex or r"\sum" in tex


class _Measure:
    """A reader of the vocabulary of `printing.signs`; every method returns points."""

    def __init__(self, tex: str):
        self.tokens = [end_of_row or token for end_of_row, token in _TOKEN.findall(tex)]
        self.at = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def row(self, size: float, *, display: bool, ends: tuple[str, ...] = ()) -> float:
        """Up to one of the ends, which is left."""
        total = 0.0
        while self.next and self.next not in ends:
            total += self.scripts(size) if self.next in ("_", "^") else self.item(size, display=display)
        return total

    def scripts(self, size: float) -> float:
        """The wider of an index and an exponent."""
        found = []
        while self.next in ("_", "^"):
            self.take()
            found.append(self.argument(size * SCRIPT))
        return max(found) + 0.5

    def argument(self, size: float, *, display: bool = False) -> float:
        if self.next != "{":
            return self.item(size, display=display) if self.next else 0.0
        self.take()
        inside = self.row(size, display=display, ends=("}",))
        self._close()
        return inside

    def item(self, size: float, *, display: bool) -> float:
        if self.next == "{":
            return self.argument(size, display=display)
        token = self.take()
        if token in (r"\frac", r"\tfrac", r"\dfrac"):
            inner = size if display and token != r"\tfrac" else size * SCRIPT
            return max(self.argument(inner), self.argument(inner)) + 2.4
        if token == r"\sqrt":
            index = self.row(size * SCRIPT, display=False, ends=("]",)) if self.next == "[" else 0.0
            if self.next == "]":
                self.take()
            return index + self.argument(size, display=display) + 8.5
        if token == r"\left":
            return self._fenced(size, display=display)
        if token == r"\begin":
            return self._environment(size)
        if token in (r"\text", r"\mathrm", r"\mathsf", r"\operatorname", r"\mathit"):
            return self._words(size)
        return self._sign(token, size)

    def _sign(self, token: str, size: float) -> float:
        name = token.removeprefix("\\")
        if token in _CHARACTERS or token in _COMMANDS:
            return size * (_CHARACTERS.get(token) or _COMMANDS[token])
        if name != token and name in SPACES:
            return size * _EM * float(SPACES[name].removesuffix("em"))
        if name != token and name in FUNCTIONS:
            return size * (5.3 * len(name) + 1.7)
        if name in SIZES or token in "&}":
            return 0.0
        known = name in LETTERS or name in UPRIGHT or name in OPERATORS or len(name) == 1
        # Commands with an argument, such as \mathbf, are as wide as that.
        return size * (_CAPITAL if name[:1].isupper() or name in UPRIGHT else _LETTER) if known else 0.0

    def _words(self, size: float) -> float:
        if self.next != "{":
            return self.argument(size)
        self.take()
        letters = 0
        while self.next not in ("}", ""):
            letters += len(self.take())
        self._close()
        return size * 5.4 * (letters + 1)

    def _fenced(self, size: float, *, display: bool) -> float:
        start = self.at
        self.take()
        inside = self.row(size, display=display, ends=(r"\right",))
        if self.next == r"\right":
            self.take()
        if self.next:
            self.take()
        high = is_high("".join(self.tokens[start : self.at]))
        return inside + 2 * (_BRACKET if high else 4.6) * size

    def _environment(self, size: float) -> float:
        """The widest cell of each column, and what lies between."""
        name = self._name()
        if name == "array":
            self._name()
        columns: list[float] = []
        column = 0
        while self.next not in (r"\end", ""):
            cell = self.row(size, display=False, ends=("&", r"\\", r"\end"))
            if column == len(columns):
                columns.append(0.0)
            columns[column] = max(columns[column], cell)
            column = column + 1 if self.next == "&" else 0
            if self.next in ("&", r"\\"):
                self.take()
        self.take()
        self._name()
        return sum(columns) + _COLUMN * size * len(columns)

    def _name(self) -> str:
        """The letters of {…}."""
        name = ""
        while self.next not in ("}", ""):
            name += self.take()
        self._close()
        return name.removeprefix("{")

    def _close(self) -> None:
        if self.next == "}":
            self.take()
