"""Writes docs/problem_file.md, the reference of problem files, from the tables that the reader itself uses: `python docs/problem_file.py`.

What a key is called, holds and means is a row of `problems/file_keys.py`; kinds of noise are rows of `NOISE_KINDS`, optimizers of
`OPTIMIZERS` with the arguments of their docstrings, functions of `FUNCTIONS`, limits the constants of the modules that enforce them.
Written here is what no table holds: values that are refused, whose messages the reader says, and tables of optimizers.
"""

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS, ElementaryFunction, StableForm
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.errors import BadInput
from symbolic_sgd.optimizers.catalogue import OPTIMIZERS
from symbolic_sgd.optimizers.stated import optimizer_of, stated_fields
from symbolic_sgd.problems import expressions, problem_file
from symbolic_sgd.problems.expressions import ALIASES, COMPARISONS, HINTS, OPERATIONS
from symbolic_sgd.problems.file_keys import KEYS, NOISE_KIND, OPTIMIZER_KIND, Key
from symbolic_sgd.problems.problem_file import ASSUMPTIONS, NOISE_KINDS, STATEMENTS, file_from_document

PAGE = Path(__file__).with_suffix(".md")
SOURCE = "p.toml"

HEAD = """# The problem file

What the command reads: TOML, UTF-8. It is data: no expression in it is ever executed. `hyperbola.toml`:

```toml
title = "A hyperbola"
parameters = ["u", "v"]
residuals = ["u*v - 1"]
near = { u = 1, v = 1 }

[noise]
kind = "label"
amplitude = "s"

[constants]
s = "positive"
```

```console
$ symbolic-sgd derive hyperbola.toml
```

This page is written from the tables by which files are read; each message below is what the reader says of the value before it.
The problem files of `symbolic-sgd gallery` are further examples, and `problem_from_text` of `symbolic_sgd.problems.problem_file`
reads such a text in Python.
"""

REFUSED = {
    "residuals": ('residuals = "u*v - 1"', 'residuals = ["u*v = 1"]'),
    "loss": ('loss = "(u*v - 1)**2/2 + I"', "loss = 0.5"),
    "sample_losses": ("sample_losses = []",),
    "perturbed_loss": ('perturbed_loss = "(u*v*(1 + b) - 1)**2/2"',),
    "parameters": ('parameters = ["u", "u"]', 'parameters = ["u", "lambda"]', 'parameters = ["u", "exp"]'),
    "weights": ('weights = ["1/3", "1/3"]',),
    "perturbations": ('perturbations = ["u"]',),
    "covariance": ('covariance = [["-1"]]',),
    "manifold": ('manifold = ["u*v = 1"]', 'manifold = ["u*v - w"]'),
    "domain": ('domain = ["v"]', 'domain = ["0 < v < 1"]'),
    "near": ("near = { u = 1 }", "near = { u = 1, w = 1 }"),
    "title": ("title = 3",),
    "constants": ('constants = { s = "large" }', 'constants = { u = "real" }'),
    "noise": ('noise = { kind = "white" }', 'noise = "label"'),
    "optimizer": ('optimizer = { kind = "adagrad" }', 'optimizer = { kind = "nesterov" }'),
}
"""Key → lines that the reader refuses."""

NOISE_REFUSED = {
    ("label", "amplitude"): (
        'noise = { kind = "label", amplitude = "u" }',
        'noise = { kind = "label", amplitude = 0.5 }',
    ),
    ("label", "batch_size"): ('noise = { kind = "label", batch_size = 2 }',),
    ("isotropic", "scale"): ('noise = { kind = "isotropic", scale = "sigma" }',),
    ("matrix", "sigma"): (
        'noise = { kind = "matrix", sigma = [["1", "0"]] }',
        'noise = { kind = "matrix", sigma = [["1"], ["0", "u"]] }',
    ),
    ("matrix", "covariance"): ('noise = { kind = "matrix", covariance = [["1", "2"], ["2", "1"]] }',),
}
"""(Kind, key) → lines that are refused."""

OPTIMIZER_TABLES = {
    "sgd": 'kind = "sgd", learning_rate = "1/4", weight_decay = "1/2"',
    "heavy_ball": 'kind = "heavy_ball", momentum = "9/10", learning_rate = "1/8"',
    "nesterov": 'kind = "nesterov", momentum = "1/2", learning_rate = "1/8"',
    "local_sgd": 'kind = "local_sgd", workers = 4, steps = 8, learning_rate = "1/10"',
    "preconditioned": 'kind = "preconditioned", preconditioner = [["2", "0"], ["0", "1"]]',
    "mirror_descent": 'kind = "mirror_descent", potential = "u**2 + v**2 + v**4"',
    "nonlinear_update": 'kind = "nonlinear_update", function = "tanh(g)"',
    "rmsprop": 'kind = "rmsprop", second_moment_rate = 1',
    "adam": 'kind = "adam", beta1 = "9/10", second_moment_rate = 1',
    "random_reshuffling": 'kind = "random_reshuffling"',
    "shampoo": 'kind = "shampoo", matrices = [["u", "v"]], second_moment_rate = 1, sides = 1',
    "sam": 'kind = "sam", learning_rate = "1/4"',
    "normalized_gd": 'kind = "normalized_gd"',
    "root_loss": 'kind = "root_loss"',
    "coloured_noise": 'kind = "coloured_noise", correlation = "1/2"',
}
"""Kind → a table that states it."""

OPTIMIZERS_REFUSED = (
    'optimizer = { kind = "heavy_ball", momentum = "3/2" }',
    'optimizer = { kind = "sgd", momentum = "9/10" }',
    'optimizer = { kind = "sgd", learning_rate = 0.25 }',
    'optimizer = { kind = "rmsprop", second_moment_rate = 1, beta2 = "999/1000" }',
    'optimizer = { kind = "preconditioned", preconditioner = [["1", "1"], ["0", "1"]] }',
)

EXPRESSIONS_REFUSED = (
    "u^2 - v",
    "2u - v",
    "u.real",
    "v[0]",
    "sin(u, v)",
    "gamma(u)",
    "w*u",
    "u = v",
    "1/0",
    "sqrt(-1)",
    "u if v else 0",
)


# --- what the reader says -----------------------------------------------------------------------


def file_with(line: str) -> dict[str, Any]:
    """The content of a file that is right but for one line: what the line's key goes with is there, and nothing that it excludes."""
    stated = tomllib.loads(line)
    key = next(iter(stated))
    statement = key if key in STATEMENTS else KEYS[key].beside or "residuals"
    needed = [key for key in KEYS.values() if key.name == statement or (key.beside == statement and not key.default)]
    content = {"parameters": ["u", "v"]}
    for row in needed:
        content |= tomllib.loads(row.example)
    if statement in ("residuals", "loss"):
        content["noise"] = {"kind": "label" if statement == "residuals" else "isotropic"}
    return content | stated


def refusal(line: str) -> str:
    """What is said of a file with this line.

    Raises:
        AssertionError: nothing is.
    """
    try:
        optimizer_of(file_from_document(file_with(line), source=SOURCE).optimizer)
    except BadInput as error:
        return str(error)
    raise AssertionError(f"{line} is read")


def refused_expression(text: str) -> str:
    names = {name: sp.Symbol(name, real=True) for name in ("u", "v")}
    try:
        found = expressions.parse_expression(text, names, where="loss")
    except BadInput as error:
        return str(error)
    raise AssertionError(f"{text} is read as {found}")


# --- parts of the page --------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown; what would end a cell is escaped."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def refusals(lines: Sequence[str]) -> str:
    """Each line, and what is said of it."""
    return "\n\n".join(f"- {code(line)}\n\n  > {plain(refusal(line))}" for line in lines)


def plain(message: str) -> str:
    """A message as text: what Markdown would read as its own is escaped, but in what stands between backticks."""
    parts = message.split("`")
    texts = [part if k % 2 else re.sub(r"([\\*_\[\]<>$|#{}])", r"\\\1", part) for k, part in enumerate(parts)]
    return ("`" if len(parts) % 2 else "\\`").join(texts)


def key_section(key: Key, refused: Sequence[str]) -> str:
    left_out = f"Left out: {key.default}." if key.default else "It has to be there."
    beside = f" It goes with `{key.beside}` only." if key.beside else ""
    return "\n\n".join(
        [
            f"### `{key.name}`",
            f"{key.meaning}",
            f"A {key.kind}: {code(key.example)}. {left_out}{beside}".replace("A expression", "An expression"),
            "Refused, with the message:",
            refusals(refused),
        ]
    )


def noise_section(name: str) -> str:
    kind = NOISE_KINDS[name]
    rows = [(code(key.name), key.kind, key.meaning, code(key.example), key.default) for key in kind.keys]
    said = [refusals(NOISE_REFUSED[name, key.name]) for key in kind.keys]
    return "\n\n".join(
        [
            f'### `kind = "{name}"`',
            f"{first_paragraph(kind.model)} In Python it is {in_python(kind.model)}.",
            table(("key", "value", "meaning", "example", "left out"), rows),
            "Refused, with the message:",
            *said,
        ]
    )


def first_paragraph(thing: Any) -> str:
    """The first paragraph of a docstring, on one line, as text."""
    return plain(" ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split()))


def in_python(model: Any) -> str:
    """A reference to its place in the API."""
    return f"{{py:class}}`~symbolic_sgd.{model.__name__}`"


def arguments_of(thing: Any) -> dict[str, str]:
    """What the section Args of a docstring says of each argument; several that share a line have it in common.

    >>> sorted(arguments_of(OPTIMIZERS["nesterov"]))
    ['learning_rate', 'momentum']
    """
    section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", inspect.getdoc(thing) or "", re.MULTILINE)
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section[1].splitlines() if section else []:
        begun = re.match(r"    ([\w, ]+): (.*)", line)
        if begun and not line.startswith("     "):
            names = begun[1].split(", ")
            found |= dict.fromkeys(names, begun[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}".rstrip() for name in names}
    return found


def optimizer_section(name: str) -> str:
    model = OPTIMIZERS[name]
    said = arguments_of(model)
    rows = [(code(field.name), plain(said[field.name]), _default(field.default)) for field in stated_fields(name)]
    keys = table(("key", "meaning", "left out"), rows) if rows else "It has no keys beside `kind`."
    return "\n\n".join(
        [
            f'### `kind = "{name}"`',
            f"{first_paragraph(model)} In Python it is {in_python(model)}.",
            keys,
            f"Example: {code(f'optimizer = {{ {OPTIMIZER_TABLES[name]} }}')}",
        ]
    )


def _default(value: Any) -> str:
    if value is MISSING:
        return "refused"
    return "not stated" if value is None else str(value)


def limits(module: ModuleType) -> Iterator[tuple[str, str, str]]:
    """Name, value and meaning of the constants MAX_… of a module: the string below each says what it limits."""
    body = ast.parse(inspect.getsource(module)).body
    for line, below in pairwise(body):
        if not isinstance(line, ast.Assign) or not isinstance(line.targets[0], ast.Name):
            continue
        name = line.targets[0].id
        if name.startswith("MAX_") and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield code(name), f"{getattr(module, name):,}", plain(" ".join(str(below.value.value).split()))


LIBRARIES = {"c": "LLVM", "jax": "JAX", "torch": "Torch", "arb": "enclosures"}
"""Column of the table of functions → what lacks a function whose column is empty."""


def function_rows() -> list[tuple[str, ...]]:
    return [(code(call_of(row)), *map(_math, _formulas(row)), _kinks(row), _lacking(row)) for row in FUNCTIONS.values()]


def _lacking(row: ElementaryFunction) -> str:
    """Nothing, where it is computed by other functions."""
    by_others = isinstance(row, StableForm) and row.computed is not None
    return "" if by_others else ", ".join(words for column, words in LIBRARIES.items() if column not in row.libraries)


OPERANDS = sp.symbols("a b", real=True)


def call_of(row: ElementaryFunction) -> str:
    return f"{row.name}({', '.join(s.name for s in OPERANDS[: row.arity])})"


def _formulas(row: ElementaryFunction) -> tuple[str, str]:
    """The function and its derivative, both as the row has them."""
    given = OPERANDS[: row.arity]
    value = row.symbolic(*given)
    slopes = row.derivative(*given, value, _apply)
    return sp.latex(value), ",\\ ".join(map(sp.latex, slopes if isinstance(slopes, tuple) else (slopes,)))


def _apply(name: str, *operands: Any) -> Any:
    return FUNCTIONS[name].symbolic(*operands) if operands else CONSTANTS[name][0]


def _kinks(row: ElementaryFunction) -> str:
    """Where it is not smooth: the zeros of the row's kinks, computed on a graph as the derivation does."""
    graph = Graph()
    found = row.kinks(*(graph.symbol(s) for s in OPERANDS[: row.arity]))
    if not found:
        return ""
    shown = Program.of({"kinks": Matrix.of([found])}).expand("kinks")
    return ", ".join(f"{_math(sp.latex(e))} = 0" for e in shown)


def _math(text: str) -> str:
    """A formula, with the names of functions in the way that GitHub allows."""
    named = text.replace("\\operatorname{", "\\mathrm{")
    return f"${named}$"


def operators() -> str:
    """As Python writes them."""
    return ", ".join(code(ast.unparse(ast.BinOp(ast.Name("a"), kind(), ast.Name("b")))) for kind in OPERATIONS)


def comparisons() -> str:
    return ", ".join(code(ast.unparse(ast.Compare(ast.Name("a"), [kind()], [ast.Name("b")]))) for kind in COMPARISONS)


def _said(texts: Mapping[str, str]) -> str:
    return table(("character", "what to write"), [(code(sign), plain(words)) for sign, words in texts.items()])


# --- the page -----------------------------------------------------------------------------------


def page() -> str:
    """All of it."""
    return "\n\n".join(
        [
            HEAD.strip(),
            "## Keys",
            f"A file has exactly one of {', '.join(map(code, STATEMENTS))}; an unknown key is refused, and the nearest known one named.",
            table(
                ("key", "value", "left out"),
                [
                    (f"[`{key.name}`](#{key.name})", key.kind, key.default or "refused")
                    for key in KEYS.values()
                ],
            ),
            *(key_section(key, REFUSED[key.name]) for key in KEYS.values()),
            f"What `constants` may say of a symbol: {', '.join(map(code, ASSUMPTIONS))}.",
            "## Kinds of noise",
            f"The table `noise` names one by {code(NOISE_KIND.name)}.",
            *map(noise_section, NOISE_KINDS),
            "## Optimizers",
            f"The table `optimizer` names one by {code(OPTIMIZER_KIND.name)}. Values are expressions in the constants (and, where the "
            "meaning says so, the parameters); a number is written as an integer or in quotes. [Any optimizer](optimizers.md) has the "
            "theorem, and the options `--optimizer KIND --momentum …` of [the command](command_line.md) state the same.",
            *map(optimizer_section, OPTIMIZERS),
            "### Refused, with the message",
            refusals(OPTIMIZERS_REFUSED),
            "## Expressions",
            f"Sums, products and powers ({operators()}, and a sign before), parentheses, declared names, the numbers "
            f"{', '.join(map(code, CONSTANTS))}, integers, and decimals, which are read as the rationals that they write: `0.1` is 1/10, "
            f"`2.5e-3` is 1/400. Conditions are one of {comparisons()} between two of them.",
            "### Functions",
            table(("written", "meaning", "derivative", "not smooth where", "not in"), function_rows()),
            f"Further names: {', '.join(f'{code(name)} for {code(known)}' for name, known in ALIASES.items())}. "
            "The losses of problems that are stated in Python may hold SymPy's `Max`, `Min`, `Heaviside`, `sec`, … besides.",
            "### Characters that are not read",
            _said(HINTS),
            "### Refused, with the message",
            "\n\n".join(f"- {code(text)}\n\n  > {plain(refused_expression(text))}" for text in EXPRESSIONS_REFUSED),
            "## Limits",
            "What is beyond is refused by `ProblemTooLarge`.",
            table(("name", "limit", "of"), [*limits(problem_file), *limits(expressions)]),
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page() + "\n", encoding="utf-8")
