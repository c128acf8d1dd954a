"""Letters and signs with the commands of LaTeX that print them, functions, spaces and sizes. A new one is a new row.

By this one table words are written as LaTeX (printing/text.py), symbols are named (printing/layout.py), and LaTeX is read as
MathML (printing/mathml.py).
"""


def _named(names: str, letters: str) -> dict[str, str]:
    return dict(zip(names.split(), letters, strict=True))


_SMALL = {
    **_named("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu", "αβγδϵζηθικλμ"),
    **_named("nu xi pi rho sigma tau upsilon phi chi psi omega", "νξπρστυϕχψω"),
}
_CAPITAL = _named("Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega", "ΓΔΘΛΞΠΣΥΦΨΩ")

GREEK = frozenset({*_SMALL, *_CAPITAL})
"""Names that amsmath alone can print as letters."""

VARIANTS = _named("varepsilon vartheta varphi ell", "εϑφℓ")

LETTERS = {**_SMALL, **VARIANTS}
"""Letters that are slanted."""

UPRIGHT = {
    **_CAPITAL,
    "partial": "∂",
    "nabla": "∇",
    "infty": "∞",
    "top": "⊤",
    "dagger": "†",
    "parallel": "∥",
    "perp": "⊥",
}
"""Letters and signs that are not."""

OPERATORS = {
    "cdot": "·",
    "circ": "∘",
    "times": "×",
    "pm": "±",
    "to": "→",
    "mapsto": "↦",
    "in": "∈",
    "leq": "≤",
    "le": "≤",
    "geq": "≥",
    "ge": "≥",
    "neq": "≠",
    "ne": "≠",
    "approx": "≈",
    "sim": "∼",
    "propto": "∝",
    "wedge": "∧",
    "vee": "∨",
    "colon": ":",
    "ldots": "…",
    "dots": "…",
    "cdots": "⋯",
    "int": "∫",
    "oint": "∮",
    "sum": "∑",
    "prod": "∏",
    "langle": "⟨",
    "rangle": "⟩",
    "{": "{",
    "}": "}",
    "|": "∥",
    "lVert": "‖",
    "rVert": "‖",
}

_NAMES = "arccos arcsin arctan arg cos cosh cot coth csc det dim exp gcd inf ker lim ln log max min sec sin sinh sup tan tanh"

FUNCTIONS = frozenset(_NAMES.split(" "))

SPACES = {",": "0.17em", ":": "0.22em", ";": "0.28em", "!": "0", " ": "0.3em", "quad": "1em", "qquad": "2em"}

_SIZES = "big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle limits"

SIZES = frozenset(_SIZES.split(" "))
"""Commands that choose sizes, which a browser chooses itself."""
