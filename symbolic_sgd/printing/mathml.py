r"""Formulas as native MathML: a reader of the small LaTeX vocabulary that `printing` and SymPy's printer write.

Every format prints the same formula, because there is one text of it. A command outside the tables is an error.
"""

import re
from collections.abc import Callable
from html import escape

from symbolic_sgd.errors import UnsupportedExpression
from symbolic_sgd.printing.signs import FUNCTIONS, LETTERS, OPERATORS, SIZES, SPACES, UPRIGHT

_TOKEN = re.compile(r"\\\\(?:\[\d+pt\])?|\\[A-Za-z]+|\\.|[A-Za-z]|\d+(?:\.\d+)?|\S")

_BINARY = frozenset("+-=<>(,[·×→∈≤≥≠∼≈∝∧∨|⟨:")
"""After these, or at the beginning, a sign belongs to what follows."""


def mathml(lines: tuple[str, ...], *, aligned: bool, block: bool = True) -> str:
    r"""Formulas as one <math> element.

    Args:
        lines: LaTeX, without delimiters.
        aligned: whether they are aligned at their &.
        block: whether it stands on lines of its own.

    Raises:
        UnsupportedExpression: LaTeX outside the vocabulary.

    >>> mathml((r"x^{2}",), aligned=False, block=False)
    '<math alttext="x^{2}"><msup><mi>x</mi><mn>2</mn></msup></math>'
    """
    attributes = ' display="block"' if block else ""
    body = _aligned(lines) if aligned else "".join(_Reader(line).whole() for line in lines)
    return f'<math{attributes} alttext="{escape(" ; ".join(lines))}">{body}</math>'


def _aligned(lines: tuple[str, ...]) -> str:
    rows = "".join(f"<mtr>{_Reader(line).cells()}</mtr>" for line in lines)
    return f'<mtable class="aligned" displaystyle="true">{rows}</mtable>'


class _Reader:
    """A recursive-descent reader; each method reads what its name says and returns its MathML."""

    def __init__(self, tex: str):
        self.tex = tex
        # Browsers set rows apart themselves.
        self.tokens = [r"\\" if token.startswith(r"\\") else token for token in _TOKEN.findall(tex)]
        self.at = 0

    # --- tokens -----------------------------------------------------------------------------

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.next
        if not token:
            raise UnsupportedExpression(f"{self.tex!r} ends too early")
        if wanted is not None and token != wanted:
            raise UnsupportedExpression(f"{self.tex!r}: {wanted!r} was expected as token {self.at}, not {token!r}")
        self.at += 1
        return token

    def word(self) -> str:
        """The letters of {…}."""
        self.take("{")
        letters = ""
        while self.next not in ("}", ""):
            letters += self.take()
        self.take("}")
        return letters

    # --- rows and scripts -------------------------------------------------------------------

    def whole(self) -> str:
        found = self.row(())
        if self.next:
            raise UnsupportedExpression(f"{self.tex!r}: {self.next!r} does not belong here")
        return found

    def cells(self) -> str:
        """The parts of a line between its &."""
        found = [self.row(())]
        while self.next == "&":
            self.take()
            found.append(self.row(()))
        if self.next:
            raise UnsupportedExpression(f"{self.tex!r}: {self.next!r} does not belong here")
        return "".join(f"<mtd>{cell}</mtd>" for cell in found)

    def row(self, ends: tuple[str, ...]) -> str:
        """Items up to one of the ends (or the end of the text), in one <mrow> if they are not one item."""
        items: list[str] = []
        before = ""
        while self.next and self.next not in ends:
            if self.next in ("}", "&", r"\\", r"\right", r"\end"):
                break
            before, item = self.next, self.scripted(before)
            items += [item] if item else []
            before = {"\\" + name: sign for name, sign in OPERATORS.items()}.get(before, before)
        return items[0] if len(items) == 1 else f"<mrow>{''.join(items)}</mrow>"

    def scripted(self, before: str) -> str:
        """An item with its indices and exponents."""
        base, under = self.item(before), self.tokens[self.at - 1] in (r"\lim", r"\limits", r"\max", r"\min")
        while self.next == r"\limits":
            self.take()
            under = True
        scripts: dict[str, str] = {}
        while self.next in ("_", "^") and self.next not in scripts:
            sign = self.take()
            scripts[sign] = self.argument()
        if not scripts:
            return base
        kind = {"_": ("msub", "munder"), "^": ("msup", "mover"), "_^": ("msubsup", "munderover")}
        name = kind["".join(sorted(scripts, reverse=True))][under]
        return f"<{name}>{base or '<mrow></mrow>'}{''.join(scripts[k] for k in '_^' if k in scripts)}</{name}>"

    def argument(self) -> str:
        """What a command or a script applies to: {…}, or one item (one digit of a number)."""
        if self.next == "{":
            return self.group()
        if self.next[:1].isdigit() and len(self.next) > 1:
            digit, self.tokens[self.at] = self.next[0], self.next[1:]
            return f"<mn>{digit}</mn>"
        return self.item("")

    def group(self) -> str:
        self.take("{")
        found = self.row(("}",))
        self.take("}")
        return found

    # --- items ------------------------------------------------------------------------------

    def item(self, before: str) -> str:
        if self.next == "{":
            return self.group()
        if self.next in ("^", "_"):
            return ""
        token = self.take()
        if token[0] == "\\":
            return self.command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha() and token.isascii():
            return f"<mi>{token}</mi>"
        if token in "+-" and (not before or before[0] in _BINARY):
            return f'<mo form="prefix">{_sign(token)}</mo>'
        if token in "()[]|":
            return f'<mo stretchy="false">{token}</mo>'
        if token in "+-=<>,;:!/'.*":
            return f"<mo>{_sign(token)}</mo>"
        raise UnsupportedExpression(f"{self.tex!r} holds {token!r}, for which there is no MathML here")

    def command(self, name: str) -> str:
        if name in LETTERS:
            return f"<mi>{LETTERS[name]}</mi>"
        if name in UPRIGHT:
            return f'<mi mathvariant="normal">{UPRIGHT[name]}</mi>'
        if name in OPERATORS:
            return f"<mo>{OPERATORS[name]}</mo>"
        if name in FUNCTIONS:
            return f"<mi>{name}</mi>"
        if name in SPACES:
            return f'<mspace width="{SPACES[name]}"></mspace>'
        if name in SIZES:
            return ""
        if name in _COMMANDS:
            return _COMMANDS[name](self)
        raise UnsupportedExpression(f"{self.tex!r} holds \\{name}, for which there is no MathML here")

    def fraction(self) -> str:
        return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"

    def root(self) -> str:
        if self.next != "[":
            return f"<msqrt>{self.argument()}</msqrt>"
        self.take("[")
        index = self.row(("]",))
        self.take("]")
        return f"<mroot>{self.argument()}{index}</mroot>"

    def fenced(self) -> str:
        left = self.take()
        inside = self.row((r"\right",))
        self.take(r"\right")
        # Browsers leave room for the largest variant of a stretchy sign, also beside what is not high.
        high = any(tag in inside for tag in ("<mfrac", "<mtable", "<msqrt", "<mroot", "<munder", 'stretchy="true'))
        return f"<mrow>{_delimiter(left, high)}{inside}{_delimiter(self.take(), high)}</mrow>"

    def environment(self) -> str:
        name = self.word()
        if name == "array":
            self.word()
        rows: list[list[str]] = [[]]
        while self.next and self.next != r"\end":
            rows[-1].append(self.row(("&", r"\\")))
            if self.next == r"\\":
                rows.append([])
            if self.next in ("&", r"\\"):
                self.take()
        self.take(r"\end")
        self.word()
        table = "".join(f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in row)}</mtr>" for row in rows if row)
        if name == "cases":
            return f'<mrow><mo stretchy="true" fence="true">{{</mo><mtable class="aligned">{table}</mtable></mrow>'
        return f"<mtable>{table}</mtable>"


def _delimiter(token: str, high: bool) -> str:
    sign = OPERATORS[token[1:]] if token[:1] == "\\" else token
    stretchy = "true" if high else "false"
    return "" if sign == "." else f'<mo stretchy="{stretchy}" fence="true" lspace="0" rspace="0">{escape(sign)}</mo>'


def _sign(token: str) -> str:
    return "−" if token == "-" else escape(token)


def _text(reader: _Reader) -> str:
    start = reader.tex.index("{", _position(reader))
    end = reader.tex.index("}", start)
    reader.word()
    return f"<mtext>{escape(reader.tex[start + 1 : end]).replace(' ', chr(160))}</mtext>"


def _position(reader: _Reader) -> int:
    """Where in the text the next token stands."""
    return list(_TOKEN.finditer(reader.tex))[reader.at].start()


_COMMANDS: dict[str, Callable[[_Reader], str]] = {
    "frac": _Reader.fraction,
    "tfrac": _Reader.fraction,
    "dfrac": _Reader.fraction,
    "sqrt": _Reader.root,
    "left": _Reader.fenced,
    "begin": _Reader.environment,
    "text": _text,
    "operatorname": lambda reader: f"<mi>{reader.word()}</mi>",
    "mathrm": lambda reader: f'<mi mathvariant="normal">{reader.word()}</mi>',
    "mathbf": lambda reader: f'<mi mathvariant="bold">{reader.word()}</mi>',
    "boldsymbol": lambda reader: f'<mstyle class="bold">{reader.argument()}</mstyle>',
    "mathbb": lambda reader: f"<mi>{_DOUBLE[reader.word()]}</mi>",
    "#": lambda reader: "<mo>#</mo>",
    "hat": lambda reader: f'<mover accent="true">{reader.argument()}<mo>^</mo></mover>',
    "mathcal": lambda reader: f"<mi>{_SCRIPT[reader.word()]}</mi>",
    "dot": lambda reader: f'<mover accent="true">{reader.argument()}<mo>˙</mo></mover>',
}
"""Commands with arguments: a further one is a further row."""

_DOUBLE = {"E": "𝔼", "P": "ℙ", "R": "ℝ"}

_SCRIPT = {"L": "ℒ", "A": "𝒜", "O": "𝒪", "N": "𝒩"}
