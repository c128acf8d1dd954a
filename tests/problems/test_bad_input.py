"""Bad input gets one error that says what, where and what to change: through Python and through the command line.

A row of the table states one mistake, in Python, as the text of a problem file, or both. `python=None` marks a mistake
that only a file can make (keys), `toml=None` one that only Python can make (twins, Float atoms, foreign types).
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy as sp
from theorem_literal import literal_terms
from work import calls

from symbolic_sgd import (
    GradientNoise,
    IsotropicNoise,
    LabelNoise,
    Problem,
    SymbolicSGDError,
    derive_limiting_sde,
    errors,
    verify,
)
from symbolic_sgd.command.main import main
from symbolic_sgd.problems.problem_file import problem_from_text

u, v, w = sp.symbols("u v w")
x, y, z = sp.symbols("x y z")
s = sp.Symbol("s", positive=True)
HYPERBOLA = (u * v - 1) ** 2 / 2
DECOUPLED = (x * y - 1) ** 2 / 2 + z**2 / 2


@dataclass(frozen=True)
class Row:
    """One mistake: how it is made, the class of the error, and the words its message must hold."""

    name: str
    error: type[SymbolicSGDError]
    words: tuple[str, ...]
    python: Callable[[], Any] | None = None
    toml: str | None = None


def params(rows: list[Row], road: str) -> list[Any]:
    """The rows that can be stated on one road, as parameters of a test."""
    return [pytest.param(row, id=row.name) for row in rows if getattr(row, road) is not None]


def stated(**changes: Any) -> Callable[[], Any]:
    """The hyperbola with isotropic noise, but for some changes; stated and derived only when called."""
    fields: dict[str, Any] = {"loss": HYPERBOLA, "parameters": (u, v), "noise": IsotropicNoise(1)} | changes
    return lambda: derive_limiting_sde(Problem(**fields))


def noisy(first_entry: Any, **changes: Any) -> Callable[[], Any]:
    """The hyperbola with noise diag(first_entry, 1)."""
    return stated(noise=sp.Matrix([[first_entry, 0], [0, 1]]), **changes)


def regression(residuals: Any, noise: Any = None, **changes: Any) -> Callable[[], Any]:
    return lambda: derive_limiting_sde(
        Problem.least_squares(residuals, parameters=(u, v), noise=noise or LabelNoise(1), **changes)
    )


def sampled(losses: Any, weights: Any = None) -> Callable[[], Any]:
    return lambda: derive_limiting_sde(Problem.from_sample_losses(losses, parameters=(u, v), weights=weights))


def document(**changes: str | None) -> str:
    """A problem file of the hyperbola with isotropic noise, but for some keys (None removes one)."""
    keys = {
        "parameters": '["u", "v"]',
        "loss": '"(u*v - 1)**2/2"',
        "noise": '{ kind = "isotropic" }',
    } | changes
    return "".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None)


def loss_file(loss: str, *names: str, **changes: str | None) -> str:
    """A problem file of one loss."""
    listed = ", ".join(f'"{name}"' for name in names or ("u", "v"))
    return document(loss=f'"{loss}"', parameters=f"[{listed}]", **changes)


def matrix_file(first_entry: str, **changes: str | None) -> str:
    return document(noise=f'{{ kind = "matrix", sigma = [["{first_entry}", "0"], ["0", "1"]] }}', **changes)


def residual_file(residuals: str = '["u*v - 1"]', noise: str = '{ kind = "label" }') -> str:
    return document(loss=None, residuals=residuals, noise=noise)


def sample_file(losses: str, weights: str | None = None, noise: str | None = None) -> str:
    return document(loss=None, noise=noise, sample_losses=losses, weights=weights)


# --- keys, which only a file has -------------------------------------------------------------------

KEYS = [
    Row("unknown key", errors.ProblemFileError, ("'manifolds'", "unknown", "'manifold'"), toml=document(manifolds="1")),
    Row(
        "unknown key without a near one",
        errors.ProblemFileError,
        ("'qqq'", "unknown", "the keys here are", "sample_losses"),
        toml=document(qqq="1"),
    ),
    Row(
        "unknown key of the noise",
        errors.ProblemFileError,
        ("[noise]", "'scal'", "'scale'"),
        toml=document(noise='{ kind = "isotropic", scal = "1" }'),
    ),
    Row(
        "unknown name in near",
        errors.ProblemFileError,
        ("[near]", "'uu'", "'u'"),
        toml=document(near="{ uu = 1, v = 1 }"),
    ),
    Row(
        "no parameters",
        errors.ProblemFileError,
        ("'parameters'", "missing", '["u", "v"]'),
        toml=document(parameters=None),
    ),
    Row("no noise", errors.ProblemFileError, ("'noise'", "missing", "isotropic"), toml=document(noise=None)),
    Row(
        "no loss",
        errors.ProblemFileError,
        ("exactly one of", "residuals, loss, sample_losses", "none"),
        toml=document(loss=None),
    ),
    Row(
        "two losses",
        errors.ProblemFileError,
        ("exactly one of", "residuals and loss"),
        toml=document(residuals='["u*v - 1"]'),
    ),
    Row(
        "unknown kind of noise",
        errors.ProblemFileError,
        ("'gaussian'", "label, isotropic, matrix"),
        toml=document(noise='{ kind = "gaussian" }'),
    ),
    Row(
        "no kind of noise",
        errors.ProblemFileError,
        ("[noise]", "'kind'", "missing"),
        toml=document(noise='{ scale = "1" }'),
    ),
    Row(
        "no sigma",
        errors.ProblemFileError,
        ("'sigma'", "missing", "one row for each parameter"),
        toml=document(noise='{ kind = "matrix" }'),
    ),
    Row(
        "unknown assumption",
        errors.ProblemFileError,
        ("[constants]", "'s'", "'pos'", "positive"),
        toml=document() + '[constants]\ns = "pos"\n',
    ),
    Row(
        "noise beside sample losses",
        errors.ProblemFileError,
        ("'noise'", "sample_losses", "remove it"),
        toml=sample_file('["u", "v"]', noise='{ kind = "isotropic" }'),
    ),
    Row(
        "weights beside a loss",
        errors.ProblemFileError,
        ("'weights'", "sample_losses only"),
        toml=document(weights='["1"]'),
    ),
    Row("no TOML", errors.ProblemFileError, ("not valid TOML", "line 1"), toml="this is not TOML"),
    Row("an empty file", errors.ProblemFileError, ("'parameters'", "missing"), toml=""),
    Row(
        "float cell",
        errors.ProblemFileError,
        ("'scale'", "0.5", "write it in quotes"),
        toml=document(noise='{ kind = "isotropic", scale = 0.5 }'),
    ),
    Row(
        "loss as a list",
        errors.ProblemFileError,
        ("'loss'", "a list", "a string is wanted"),
        toml=document(loss='["u"]'),
    ),
    Row("title as a number", errors.ProblemFileError, ("'title'", "an integer (5)"), toml=document(title="5")),
    Row(
        "parameters as a string",
        errors.ProblemFileError,
        ("'parameters'", "a string", "a list is wanted"),
        toml=document(parameters='"uv"'),
    ),
    Row(
        "parameter as a number",
        errors.ProblemFileError,
        ("parameters[1]", "an integer (1)"),
        toml=document(parameters='["u", 1]'),
    ),
    Row(
        "residuals as a string",
        errors.ProblemFileError,
        ("'residuals'", "a string", "a list is wanted"),
        toml=residual_file('"u*v - 1"'),
    ),
    Row(
        "noise as a string",
        errors.ProblemFileError,
        ("'noise'", "'isotropic'", "a table is wanted"),
        toml=document(noise='"isotropic"'),
    ),
    Row("near as a number", errors.ProblemFileError, ("'near'", "a table is wanted"), toml=document(near="5")),
    Row(
        "ragged sigma",
        errors.ProblemFileError,
        ("'sigma'", "rows of one length", "2, 1"),
        toml=document(noise='{ kind = "matrix", sigma = [["1", "0"], ["1"]] }'),
    ),
    Row(
        "label noise beside a loss",
        errors.ProblemFileError,
        ("'label'", "residuals = [...]"),
        toml=document(noise='{ kind = "label" }'),
    ),
    Row(
        "name of a function",
        errors.BadSymbol,
        ("'exp'", "function", "rename"),
        toml=document(parameters='["exp", "v"]'),
    ),
    Row(
        "word of the language",
        errors.BadSymbol,
        ("'lambda'", "lambda1"),
        toml=document(parameters='["lambda", "v"]'),
    ),
]

# --- text that is not an allowed expression, which only a file has ----------------------------------


def syntax_row(name: str, loss: str, *words: str, error: type[SymbolicSGDError] = errors.ExpressionSyntaxError) -> Row:
    return Row(name, error, ("'loss'", *words), toml=loss_file(loss))


EXPRESSIONS = [
    syntax_row("caret", "u^2 + v", "column 2", "**"),
    syntax_row("attribute", "u.real + v", "column 1", "attribute access"),
    syntax_row("unknown function", "exq(u) + v", "column 1", "did you mean 'exp'"),
    syntax_row("call of a name", "u(v)", "column 1", "write products with *"),
    syntax_row("subscript", "u[0] + v", "column 2", "round parentheses"),
    syntax_row("equation", "u*v = 1", "column 5", "a - b"),
    syntax_row("juxtaposition", "u v", "column 1", "products are written u*v"),
    syntax_row("glued number", "3u + v", "column 1", "3*u"),
    syntax_row("open parenthesis", "u + (v", "column 5", "never closed"),
    syntax_row("undeclared name", "(u*w - 1)**2", "column 4", "'w'", "declare it"),
    syntax_row("misspelt name", "u + log(uu)", "column 9", "did you mean 'u'"),
    syntax_row("imaginary unit", "(u*v - I)**2", "column 8", "imaginary unit"),
    syntax_row("division by zero", "u/0 + v", "column 3", "division by zero"),
    syntax_row("root of a negative number", "u + sqrt(-1)", "column 5", "not a finite real number"),
    Row(
        "cell of sigma",
        errors.ExpressionSyntaxError,
        ("sigma[0][0]", "column 3", "'q'"),
        toml=matrix_file("u*q"),
    ),
    Row(
        "entry of manifold",
        errors.ExpressionSyntaxError,
        ("manifold[0]", "column 5", "'='"),
        toml=document(manifold='["u*v = 1"]'),
    ),
    Row(
        "entry of domain",
        errors.ExpressionSyntaxError,
        ("domain[0]", "column 1", "not a condition"),
        toml=document(domain='["u"]'),
    ),
]

# --- symbols ------------------------------------------------------------------------------------------

REAL_U = sp.Symbol("u", real=True)

SYMBOLS = [
    Row(
        "undeclared in the loss",
        errors.BadSymbol,
        ("loss", "w", "parameters=", "constants="),
        stated(loss=(u * w - 1) ** 2),
    ),
    Row("undeclared in the noise", errors.BadSymbol, ("σ[0, 0]", "w", "constants="), noisy(w)),
    Row("undeclared in manifold", errors.BadSymbol, ("manifold[0]", "w"), stated(manifold=[u * w - 1])),
    Row("undeclared in domain", errors.BadSymbol, ("domain[0]", "w"), stated(domain=[w > 0])),
    Row("undeclared in near", errors.BadSymbol, ("near", "w", "neither"), stated(near={u: 1, v: 1, w: 1})),
    Row("undeclared residual", errors.BadSymbol, ("residuals[1]", "w"), regression([u * v - 1, u - w])),
    Row("undeclared sample loss", errors.BadSymbol, ("sample loss 1", "w"), sampled([u**2, u - w])),
    Row("near by name", errors.BadSymbol, ("near", "'u'"), stated(near={"u": 1, "v": 1})),
    Row(
        "repeated",
        errors.BadSymbol,
        ("parameters", "u", "once"),
        stated(parameters=(u, v, u)),
        document(parameters='["u", "v", "u"]'),
    ),
    Row(
        "parameter and constant",
        errors.BadSymbol,
        ("u", "both a parameter and a constant"),
        stated(constants=(u,)),
        document() + '[constants]\nu = "real"\n',
    ),
    Row(
        "twin in the loss",
        errors.BadSymbol,
        ("two different symbols", "'u'", "real=True", "once"),
        stated(loss=REAL_U * v),
    ),
    Row("twin parameters", errors.BadSymbol, ("two different symbols", "'u'"), stated(parameters=(u, v, REAL_U))),
    Row("twin in the noise", errors.BadSymbol, ("two different symbols", "'u'"), noisy(REAL_U)),
    Row("twin in manifold", errors.BadSymbol, ("two different symbols", "'u'"), stated(manifold=[REAL_U * v - 1])),
    Row("dummy twin", errors.BadSymbol, ("two different symbols", "'u'"), stated(loss=(sp.Dummy("u") * v - 1) ** 2)),
    *[
        Row(
            f"symbol with {assumption}={value}",
            errors.BadSymbol,
            ("parameters", "u", "real=True"),
            stated(parameters=(sp.Symbol("u", **{assumption: value}), v)),
        )
        for assumption, value in (
            ("real", False),
            ("imaginary", True),
            ("complex", True),
            ("commutative", False),
            ("integer", True),
        )
    ],
    *[
        Row(
            f"name {name!r}",
            errors.BadSymbol,
            (repr(name)[1:-1], "letters, digits and underscores"),
            stated(parameters=(sp.Symbol(name), v), loss=v**2),
            document(parameters=f"['{name}', 'v']", loss='"v**2"') if name.isprintable() and "'" not in name else None,
        )
        for name in ("u v", "θ", "_u", "1u", "", "u\n", r"\input{x}", "__import__('os')")
    ],
]

# --- exactness, shapes, types ---------------------------------------------------------------------------

EXACTNESS = [
    Row("Float in the loss", errors.InexactNumber, ("loss", "0.1", "exact()"), stated(loss=(u * v - 0.1) ** 2)),
    Row("Float exponent", errors.InexactNumber, ("loss", "2.0", "Rational"), stated(loss=(u * v - 1) ** sp.Float(2))),
    Row("Float residual", errors.InexactNumber, ("residuals[0]", "0.25", "exact()"), regression([u * v - 0.25])),
    Row("NumPy data", errors.InexactNumber, ("residuals[1]", "exact()"), regression([u * v - 1, np.float64(0.5) * u])),
    Row("float loss", errors.InexactNumber, ("loss", "1.5", "exact()"), stated(loss=1.5)),
    Row("Float noise", errors.InexactNumber, ("σ[0, 0]", "0.5"), noisy(0.5 * u)),
    Row("float scale", errors.InexactNumber, ("scale", "0.1", "exact()"), stated(noise=IsotropicNoise(0.1))),
    Row("float amplitude", errors.InexactNumber, ("amplitude", "0.1"), regression([u * v - 1], LabelNoise(0.1))),
    Row("Float in manifold", errors.InexactNumber, ("manifold[0]", "1.0"), stated(manifold=[u * v - 1.0])),
    Row("Float in domain", errors.InexactNumber, ("domain[0]", "0.5"), stated(domain=[u > 0.5])),
    Row("float weights", errors.InexactNumber, ("weights", "Rational"), sampled([HYPERBOLA, u**2], [0.5, 0.5])),
    Row(
        "NumPy weights", errors.InexactNumber, ("weights", "exact()"), sampled([HYPERBOLA, u**2], np.array([0.5, 0.5]))
    ),
]

SHAPES = [
    Row(
        "one row too few",
        errors.BadShape,
        ("σ is 1×2", "2 parameters", "2×Ξ"),
        stated(noise=sp.Matrix([[1, 0]])),
        document(noise='{ kind = "matrix", sigma = [["1", "0"]] }'),
    ),
    Row(
        "one row too many",
        errors.BadShape,
        ("σ is 3×1", "2 parameters"),
        stated(noise=sp.Matrix([1, 0, u])),
        document(noise='{ kind = "matrix", sigma = [["1"], ["0"], ["u"]] }'),
    ),
    Row("no column", errors.BadShape, ("σ is 2×0", "Ξ ≥ 1"), stated(noise=sp.zeros(2, 0))),
]


def type_rows(
    field: str, values: dict[str, Any], words: tuple[str, ...], state: Callable[[Any], Callable[[], Any]]
) -> list[Row]:
    """One row for each wrong value of a field; the message has to name its type."""
    return [
        Row(f"{field} as {name}", errors.BadInput, (*words, type(value).__name__), state(value))
        for name, value in values.items()
    ]


TYPES = [
    *type_rows(
        "loss",
        {
            "a string": "u*v",
            "a list": [HYPERBOLA],
            "a set": {HYPERBOLA},
            "a dict": {u: 1},
            "an array": np.array([HYPERBOLA]),
            "a matrix": sp.Matrix([HYPERBOLA]),
            "a relation": u < v,
            "an equation": sp.Eq(u * v, 1),
            "None": None,
            "a boolean": True,
            "a complex number": 1j,
        },
        ("loss", "not a SymPy expression"),
        lambda value: stated(loss=value),
    ),
    *type_rows(
        "parameters",
        {
            "a string": "uv",
            "a set": {u, v},
            "a frozenset": frozenset({u, v}),
            "a dict": {u: 1, v: 1},
            "None": None,
            "a number": 2,
        },
        ("parameters", "ordered sequence"),
        lambda value: stated(parameters=value),
    ),
    *type_rows(
        "constants", {"a string": "s", "a set": {s}}, ("constants", "ordered"), lambda value: stated(constants=value)
    ),
    *type_rows(
        "noise",
        {
            "None": None,
            "a string": "label",
            "a number": 1,
            "nested lists": [[1, 0], [0, 1]],
            "an array": np.eye(2),
            "a class": IsotropicNoise,
        },
        ("noise", "SymPy Matrix"),
        lambda value: stated(noise=value),
    ),
    *type_rows(
        "sigma",
        {"a list": [[1]], "an array": np.eye(2)},
        ("σ", "SymPy Matrix"),
        lambda value: lambda: GradientNoise(value),
    ),
    *type_rows(
        "scale",
        {"a string": "1", "None": None, "a boolean": True, "a matrix": sp.eye(2)},
        ("scale", "not a SymPy expression"),
        lambda value: stated(noise=IsotropicNoise(value)),
    ),
    *type_rows(
        "amplitude", {"a string": "1"}, ("amplitude",), lambda value: regression([u * v - 1], LabelNoise(value))
    ),
    *type_rows(
        "residuals",
        {"a string": "u*v - 1", "an expression": u * v - 1, "a set": {u * v - 1}, "a dict": {u: 1}, "None": None},
        ("residuals", "list of expressions"),
        regression,
    ),
    *type_rows("sample losses", {"a string": "u*v", "a set": {HYPERBOLA}}, ("sample losses", "list"), sampled),
    *type_rows(
        "manifold",
        {"an expression": u * v - 1, "a string": "u*v - 1", "a set": {u * v - 1}, "a number": 1},
        ("manifold", "list of expressions"),
        lambda value: stated(manifold=value),
    ),
    *type_rows(
        "domain",
        {"a relation": u > 0, "a string": "u > 0", "a set": {u > 0}},
        ("domain", "list of inequalities"),
        lambda value: stated(domain=value),
    ),
    *type_rows("near", {"a list": [1, 1], "a number": 1}, ("near", "dict"), lambda value: stated(near=value)),
    Row("names for symbols", errors.BadSymbol, ("parameters", "'u'", "str", "Symbol"), stated(parameters=("u", "v"))),
    Row("expression for a symbol", errors.BadSymbol, ("parameters", "u*v", "Symbol"), stated(parameters=(u, u * v))),
    Row("residual as a list", errors.BadInput, ("residuals[0]", "list"), regression([[u * v - 1]])),
    Row("manifold as an equation", errors.BadInput, ("manifold[0]", "Equality"), stated(manifold=[sp.Eq(u * v, 1)])),
    Row("domain as an equation", errors.BadInput, ("domain[0]", "inequality"), stated(domain=[sp.Eq(u, v)])),
    Row("domain as a conjunction", errors.BadInput, ("domain[0]", "inequality"), stated(domain=[sp.And(u > 0, v > 0)])),
    Row("impossible domain", errors.BadInput, ("domain[0]", "never true"), stated(domain=[sp.false])),
    Row("no parameters at all", errors.BadInput, ("parameters", "empty"), stated(parameters=(), loss=sp.Integer(1))),
    Row("no residuals", errors.BadInput, ("residuals", "empty"), regression([]), residual_file("[]")),
    Row("no sample losses", errors.BadInput, ("no sample losses",), sampled([]), sample_file("[]")),
    Row(
        "near without v",
        errors.BadInput,
        ("near", "v", "every parameter"),
        stated(near={u: 1}),
        document(near="{ u = 1 }"),
    ),
    Row(
        "near NaN",
        errors.BadInput,
        ("near[u]", "nan"),
        stated(near={u: float("nan"), v: 1}),
        document(near="{ u = nan, v = 1 }"),
    ),
    Row(
        "near infinite",
        errors.BadInput,
        ("near[u]", "finite"),
        stated(near={u: sp.oo, v: 1}),
        document(near="{ u = inf, v = 1 }"),
    ),
    Row("near complex", errors.BadInput, ("near[u]", "1j"), stated(near={u: 1j, v: 1})),
    Row("near text", errors.BadInput, ("near[u]", "'1'"), stated(near={u: "1", v: 1})),
    Row("near symbolic", errors.BadInput, ("near[u]", "number"), stated(near={u: v, v: 1})),
    Row(
        "near symbolic and real",
        errors.BadInput,
        ("near[u]", "number"),
        stated(near={u: s, v: 1}, constants=(s,)),
        document(near='{ u = "v", v = 1 }'),
    ),
    Row(
        "near beyond float64",
        errors.BadInput,
        ("near[u]", "finite"),
        stated(near={u: 10**400, v: 1}),
    ),
    Row("no problem", errors.BadInput, ("Problem", "str"), lambda: derive_limiting_sde("u*v")),
    Row(
        "verify without an SDE",
        errors.BadInput,
        ("LimitingSDE", "str"),
        lambda: verify("u*v"),
    ),
    Row(
        "label noise without residuals",
        errors.BadInput,
        ("LabelNoise", "least_squares"),
        stated(noise=LabelNoise(1)),
    ),
    Row(
        "amplitude of a parameter",
        errors.BadSymbol,
        ("amplitude", "u"),
        regression([u * v - 1], LabelNoise(u)),
        residual_file(noise='{ kind = "label", amplitude = "u" }'),
    ),
    Row(
        "the right remedy for it",
        errors.BadSymbol,
        ("amplitude", "parameter"),
        lambda: refuted(regression([u * v - 1], LabelNoise(u)), "neither a parameter"),
    ),
]


def refuted(action: Callable[[], Any], wrong: str) -> None:
    """The error that `action` raises, unless its message holds words that are not true."""
    try:
        action()
    except SymbolicSGDError as error:
        assert wrong not in str(error)
        raise


def doubled(times: int) -> sp.Expr:
    """An expression whose tree doubles at every level."""
    expression: Any = u * v
    for _ in range(times):
        expression = sp.sin(expression) + sp.cos(expression)
    return expression


FUNCTIONS = [
    Row(
        "unknown function of SymPy",
        errors.UnsupportedExpression,
        ("gamma(u)", "known are", "tanh"),
        stated(loss=sp.gamma(u) + v),
    ),
    Row(
        "undefined function", errors.UnsupportedExpression, ("f(u)", "known are"), stated(loss=sp.Function("f")(u) + v)
    ),
    Row("unknown function in the noise", errors.UnsupportedExpression, ("gamma(u)",), noisy(sp.gamma(u))),
    Row("unknown function in domain", errors.UnsupportedExpression, ("gamma(u)",), stated(domain=[sp.gamma(u) > 0])),
    Row(
        "where the unknown function stands",
        errors.UnsupportedExpression,
        ("loss", "gamma(u)"),
        stated(loss=sp.gamma(u) + v),
    ),
    Row(
        "piecewise",
        errors.UnsupportedExpression,
        ("Piecewise",),
        stated(loss=sp.Piecewise((u * v, u > 0), (v, True))),
    ),
    Row(
        "derivative",
        errors.UnsupportedExpression,
        ("Derivative", "doit"),
        stated(loss=sp.Derivative(u**2 * v, u) ** 2),
    ),
]

# --- losses that have no manifold of minimizers -------------------------------------------------------------

MINIMA = [
    Row(
        "isolated minimum",
        errors.IsolatedMinimum,
        ("u = 0", "isolated", "near="),
        stated(loss=u**2 + v**2),
        loss_file("u**2 + v**2"),
    ),
    Row(
        "isolated minimum in three dimensions",
        errors.IsolatedMinimum,
        ("x = 1, y = 1, z = 0", "rank H = D = 3"),
        stated(loss=(x - 1) ** 2 + (x * y - 1) ** 2 + z**2, parameters=(x, y, z)),
        loss_file("(x - 1)**2 + (x*y - 1)**2 + z**2", "x", "y", "z"),
    ),
    Row("saddle", errors.SaddlePoint, ("a saddle", "local minimizers", "near="), stated(loss=u * v), loss_file("u*v")),
    Row(
        "near a saddle",
        errors.SaddlePoint,
        ("not positive semidefinite", "u = 0, v = 0"),
        stated(near={u: 0, v: 0}),
        document(near="{ u = 0, v = 0 }"),
    ),
    Row(
        "maximum",
        errors.SaddlePoint,
        ("a maximum", "local minimizers"),
        stated(loss=-(u**2) - v**2),
        loss_file("-u**2 - v**2"),
    ),
    Row("no minimum: linear", errors.NoMinimum, ("no minimum", "near="), stated(loss=u + v), loss_file("u + v")),
    Row(
        "no minimum: exponential",
        errors.NoMinimum,
        ("at infinity", "manifold="),
        stated(loss=sp.exp(u) + v**2),
        loss_file("exp(u) + v**2"),
    ),
    Row(
        "no minimum: bounded",
        errors.NoMinimum,
        ("no minimum",),
        stated(loss=sp.tanh(u) + v**2),
        loss_file("tanh(u) + v**2"),
    ),
    Row(
        "only a saddle, and flat at infinity",
        errors.SaddlePoint,
        ("no minimizer", "saddle"),
        stated(loss=sp.exp(-(u**2)) + v**2),
        loss_file("exp(-u**2) + v**2"),
    ),
    Row(
        "bounded maximum",
        errors.SaddlePoint,
        ("a maximum",),
        stated(loss=sp.exp(-(u**2) - v**2)),
        loss_file("exp(-u**2 - v**2)"),
    ),
    Row(
        "degenerate: fourth power",
        errors.DegenerateMinimum,
        ("rank", "flatter than quadratic"),
        stated(loss=(u * v - 1) ** 4),
        loss_file("(u*v - 1)**4"),
    ),
    Row(
        "degenerate in one normal direction",
        errors.DegenerateMinimum,
        ("flatter than quadratic",),
        stated(loss=x**2 + (y - z) ** 4, parameters=(x, y, z)),
        loss_file("x**2 + (y - z)**4", "x", "y", "z"),
    ),
    Row(
        "degenerate on the stated manifold",
        errors.DegenerateMinimum,
        ("rank 0", "manifold=", "flatter than quadratic"),
        stated(loss=(u * v - 1) ** 4, manifold=[u * v - 1]),
        loss_file("(u*v - 1)**4", manifold='["u*v - 1"]'),
    ),
    Row(
        "degenerate where two branches cross",
        errors.DegenerateMinimum,
        ("x = 0, y = 0, z = 0", "not a manifold", "regular point"),
        stated(loss=x**2 * y**2 + z**2, parameters=(x, y, z), near={x: 0, y: 0, z: 0}),
        loss_file("x**2*y**2 + z**2", "x", "y", "z", near="{ x = 0, y = 0, z = 0 }"),
    ),
    Row("constant", errors.ConstantLoss, ("gradient is zero everywhere",), stated(loss=sp.Integer(1)), loss_file("1")),
    Row(
        "constant in the parameters",
        errors.ConstantLoss,
        ("does not depend on the parameters",),
        stated(loss=s**2, constants=(s,)),
        loss_file("s**2") + '[constants]\ns = "positive"\n',
    ),
    Row(
        "constant by an identity",
        errors.ConstantLoss,
        ("does not depend on the parameters",),
        stated(loss=sp.sin(u) ** 2 + sp.cos(u) ** 2),
        loss_file("sin(u)**2 + cos(u)**2"),
    ),
    Row(
        "rank not constant",
        errors.RankNotConstant,
        ("rank 1 at", "rank 2 at", "near=", "domain="),
        stated(loss=(x**2 + y**2 + z**2 - 1) ** 2 * ((y - 2) ** 2 + (z - 2) ** 2), parameters=(x, y, z)),
        loss_file("(x**2 + y**2 + z**2 - 1)**2*((y - 2)**2 + (z - 2)**2)", "x", "y", "z"),
    ),
    Row(
        "sample losses without a common minimum",
        errors.NoMinimum,
        ("no minimum",),
        sampled([u + v, u - v]),
        sample_file('["u + v", "u - v"]'),
    ),
    Row(
        "sample losses that decrease for ever",
        errors.NoMinimum,
        ("at infinity",),
        sampled([sp.exp(u), sp.exp(v)]),
        sample_file('["exp(u)", "exp(v)"]'),
    ),
]

MANIFOLDS = [
    Row(
        "a level set that is not Γ",
        errors.ManifoldMismatch,
        ("not Γ", "|∇L|", "correct the equations"),
        stated(manifold=[u * v - 2]),
        document(manifold='["u*v - 2"]'),
    ),
    Row(
        "too few equations",
        errors.ManifoldMismatch,
        ("not Γ", "|∇L|"),
        stated(loss=DECOUPLED, parameters=(x, y, z), manifold=[z]),
        loss_file("(x*y - 1)**2/2 + z**2/2", "x", "y", "z", manifold='["z"]'),
    ),
    Row(
        "contradictory equations",
        errors.ManifoldMismatch,
        ("contradict", "no common zero"),
        stated(manifold=[u * v - 1, u * v - 2]),
        document(manifold='["u*v - 1", "u*v - 2"]'),
    ),
    Row(
        "an equation without real zeros",
        errors.ManifoldMismatch,
        ("no common zero",),
        stated(manifold=[u**2 + 1]),
        document(manifold='["u**2 + 1"]'),
    ),
    Row(
        "dependent equations",
        errors.ManifoldMismatch,
        ("2 equations", "rank 1", "independent"),
        stated(manifold=[u * v - 1, 2 * u * v - 2]),
        document(manifold='["u*v - 1", "2*u*v - 2"]'),
    ),
    Row(
        "a squared equation",
        errors.ManifoldMismatch,
        ("manifold=", "zero"),
        stated(manifold=[(u * v - 1) ** 2]),
        document(manifold='["(u*v - 1)**2"]'),
    ),
    Row(
        "an equation that depends on a constant",
        errors.ManifoldMismatch,
        ("not Γ", "s = "),
        stated(loss=(u * v - s) ** 2 / 2, constants=(s,), manifold=[u * v - 1]),
        loss_file("(u*v - s)**2/2", manifold='["u*v - 1"]') + '[constants]\ns = "positive"\n',
    ),
    Row(
        "a part of Γ",
        errors.ManifoldMismatch,
        ("2 equations", "rank 1"),
        stated(loss=(x * y - 1) ** 2 / 2, parameters=(x, y, z), manifold=[x * y - 1, z]),
        loss_file("(x*y - 1)**2/2", "x", "y", "z", manifold='["x*y - 1", "z"]'),
    ),
]

NOT_SMOOTH = [
    Row(
        "kink of Abs",
        errors.NotSmooth,
        ("not smooth", "Abs", "minimizer", "domain="),
        stated(loss=sp.Abs(u * v - 1)),
        loss_file("abs(u*v - 1)"),
    ),
    Row(
        "cone",
        errors.NotSmooth,
        ("not smooth", "sqrt"),
        stated(loss=sp.sqrt(u**2 + v**2)),
        loss_file("sqrt(u**2 + v**2)"),
    ),
    Row(
        "two derivatives only",
        errors.NotSmooth,
        ("three continuous derivatives",),
        stated(loss=(u * v - 1) ** 2 + sp.Abs(u * v - 1) ** sp.Rational(5, 2)),
        loss_file("(u*v - 1)**2 + abs(u*v - 1)**(5/2)"),
    ),
    Row(
        "noise divides by zero",
        errors.NotSmooth,
        ("noise", "divides by zero", "Γ"),
        noisy(1 / (u * v - 1)),
        matrix_file("1/(u*v - 1)"),
    ),
    Row(
        "noise divides by another form of zero",
        errors.NotSmooth,
        ("noise", "divides by zero"),
        noisy(1 / (u**2 * v**2 - 1)),
        matrix_file("1/(u**2*v**2 - 1)"),
    ),
    Row(
        "noise is infinite",
        errors.NotSmooth,
        ("noise", "log"),
        noisy(sp.log(u * v - 1)),
        matrix_file("log(u*v - 1)"),
    ),
]

COMPLEX = [
    Row(
        "imaginary unit in the loss",
        errors.ComplexValue,
        ("loss", "imaginary", "real"),
        stated(loss=(u * v - sp.I) ** 2),
    ),
    Row("imaginary unit in the noise", errors.ComplexValue, ("σ[0, 0]", "imaginary"), noisy(sp.I)),
    Row("infinity", errors.ComplexValue, ("loss", "infinity"), stated(loss=u * v + sp.oo)),
    Row("NaN", errors.ComplexValue, ("loss", "finite"), stated(loss=sp.nan)),
    Row(
        "nowhere real",
        errors.ComplexValue,
        ("not a finite real number", "domain=", "near="),
        stated(loss=sp.sqrt(-1 - u**2 - v**2)),
        loss_file("sqrt(-1 - u**2 - v**2)"),
    ),
    Row(
        "logarithm nowhere real",
        errors.ComplexValue,
        ("not a finite real number", "domain="),
        stated(loss=sp.log(-1 - u**2 * v**2) ** 2),
        loss_file("log(-1 - u**2*v**2)**2"),
    ),
    Row(
        "not real near the point given",
        errors.ComplexValue,
        ("near", "not a finite real number"),
        stated(loss=(sp.log(u) - v) ** 2, near={u: -1, v: 1}),
        loss_file("(log(u) - v)**2", near="{ u = -1, v = 1 }"),
    ),
    Row(
        "not real on the manifold given",
        errors.ComplexValue,
        ("log(-1.0)", "not a real number"),
        stated(loss=sp.log(u * v) ** 2, manifold=[u * v + 1]),
        loss_file("log(u*v)**2", manifold='["u*v + 1"]'),
    ),
    Row(
        "noise complex at Γ: root",
        errors.ComplexValue,
        ("sqrt(-", "not a real number"),
        noisy(sp.sqrt(-1 - u**2)),
        matrix_file("sqrt(-1 - u**2)"),
    ),
    Row(
        "noise complex at Γ: logarithm",
        errors.ComplexValue,
        ("log(-1.0)", "not a real number"),
        noisy(sp.log(-u * v)),
        matrix_file("log(-u*v)"),
    ),
    Row(
        "where the noise is complex, and what to change",
        errors.ComplexValue,
        ("noise", "u = ", "domain="),
        noisy(sp.sqrt(-1 - u**2)),
        matrix_file("sqrt(-1 - u**2)"),
    ),
]

TOO_LARGE = [
    Row(
        "too many parameters",
        errors.ProblemTooLarge,
        ("parameters", "300", "limit is 256"),
        stated(loss=sp.Symbol("x0") ** 2, parameters=sp.symbols("x:300")),
        loss_file("x0**2", *(f"x{i}" for i in range(300))),
    ),
    Row(
        "too long a loss",
        errors.ProblemTooLarge,
        ("loss", "operations", "smaller parts"),
        lambda: stated(loss=doubled(18))(),
    ),
    syntax_row("too many operations", "+".join(["u"] * 20_002), "20,001 operations", error=errors.ProblemTooLarge),
    syntax_row("a number of too many digits", "u*v + 1e999", "column 7", "limits", error=errors.ProblemTooLarge),
    syntax_row("too high a power", "u**1000 + v", "column 1", "64", error=errors.ProblemTooLarge),
    Row(
        "a number beyond float64 in the loss",
        errors.ProblemTooLarge,
        ("loss",),
        stated(loss=(sp.Integer(10) ** 400 * u * v - 1) ** 2),
        loss_file("(1e200*1e200*u*v - 1)**2"),
    ),
    Row(
        "a number beyond float64 in the noise",
        errors.ProblemTooLarge,
        ("noise",),
        noisy(sp.Integer(10) ** 400),
        matrix_file("1e200*1e200"),
    ),
]


def half(numerator: int = 1) -> sp.Rational:
    return sp.Rational(numerator, 2)


TWO = [HYPERBOLA, (u * v + 1) ** 2]
TWO_TEXT = '["(u*v - 1)**2/2", "(u*v + 1)**2"]'

WEIGHTS = [
    Row(
        "sum",
        errors.BadInput,
        ("1/2, 1/3", "sum 1"),
        sampled(TWO, [half(), sp.Rational(1, 3)]),
        sample_file(TWO_TEXT, '["1/2", "1/3"]'),
    ),
    Row(
        "negative",
        errors.BadInput,
        ("-1/2", "positive"),
        sampled(TWO, [half(3), -half()]),
        sample_file(TWO_TEXT, '["3/2", "-1/2"]'),
    ),
    Row("zero", errors.BadInput, ("1, 0", "positive"), sampled(TWO, [1, 0]), sample_file(TWO_TEXT, "[1, 0]")),
    Row("number of them", errors.BadInput, ("1 weights for 2",), sampled(TWO, [1]), sample_file(TWO_TEXT, '["1"]')),
    Row(
        "symbolic",
        errors.BadInput,
        ("weights", "rationals"),
        sampled(TWO, [u, 1 - u]),
        sample_file(TWO_TEXT, '["u", "1 - u"]'),
    ),
    Row("irrational", errors.BadInput, ("sqrt(2)", "rationals"), sampled(TWO, [sp.sqrt(2) / 2, 1 - sp.sqrt(2) / 2])),
    Row(
        "strings",
        errors.BadInput,
        ("weights", "'1/2'"),
        sampled(TWO, ["1/2", "1/2"]),
    ),
    Row(
        "nothing",
        errors.BadInput,
        ("weights", "None"),
        sampled(TWO, [None, 1]),
    ),
    Row(
        "a number",
        errors.BadInput,
        ("weights", "int"),
        sampled(TWO, 1),
    ),
    Row(
        "a set",
        errors.BadInput,
        ("weights", "set"),
        sampled(TWO, {sp.Rational(1, 3), sp.Rational(2, 3)}),
    ),
]

ROWS = [
    *KEYS,
    *EXPRESSIONS,
    *SYMBOLS,
    *EXACTNESS,
    *SHAPES,
    *TYPES,
    *FUNCTIONS,
    *MINIMA,
    *MANIFOLDS,
    *NOT_SMOOTH,
    *COMPLEX,
    *TOO_LARGE,
    *WEIGHTS,
]


def assert_says(message: str, row: Row) -> None:
    missing = [word for word in row.words if word not in message]
    assert not missing, f"the message lacks {missing}: {message}"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # test_refused_by_the_process is about those
@pytest.mark.parametrize("row", params(ROWS, "python"))
def test_refused_through_python(row):
    with pytest.raises(SymbolicSGDError) as caught:
        row.python()
    assert isinstance(caught.value, row.error), f"{type(caught.value).__name__}: {caught.value}"
    assert_says(str(caught.value), row)


@pytest.mark.parametrize("row", params([row for row in ROWS if row.python is None], "toml"))
def test_refused_by_the_reader(row):
    """The class of what only a file can get wrong, which the command line does not show."""
    with pytest.raises(SymbolicSGDError) as caught:
        derive_limiting_sde(problem_from_text(row.toml))
    assert isinstance(caught.value, row.error), f"{type(caught.value).__name__}: {caught.value}"
    assert_says(str(caught.value), row)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("row", params(ROWS, "toml"))
def test_refused_through_the_command_line(row, tmp_path, capsys):
    path = tmp_path / "problem.toml"
    path.write_text(row.toml, encoding="utf-8")
    assert main(["derive", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"symbolic-sgd: {path}: ")
    assert err.count("\n") == 1 and err.endswith("\n")
    assert "Traceback" not in err
    assert_says(err, row)


def test_names_of_rows_are_distinct():
    for road in ("python", "toml"):
        names = [row.name for row in ROWS if getattr(row, road) is not None]
        assert len(set(names)) == len(names)


# --- the file itself, and the process ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["derive", "verify"])
@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        pytest.param(lambda path: None, "no such file", id="absent"),
        pytest.param(lambda path: path.mkdir(), "directory", id="directory"),
        pytest.param(lambda path: path.write_bytes(b"title = '\xff'"), "UTF-8", id="not text"),
        pytest.param(lambda path: path.write_bytes(b"\x00\x01"), "not valid TOML", id="binary"),
        pytest.param(lambda path: path.write_text("#" * (1 << 20) + "\n"), "1,048,576", id="too long"),
    ],
)
def test_unreadable_files(command, prepare, words, tmp_path, capsys):
    path = tmp_path / "problem.toml"
    prepare(path)
    assert main([command, str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert str(path) in err and words in err


def test_the_file_is_named_once(tmp_path, capsys):
    path = tmp_path / "problem.toml"
    path.write_text(document(manifolds="1"))
    main(["derive", str(path)])
    assert capsys.readouterr().err.count(str(path)) == 1


def test_an_output_that_cannot_be_written(tmp_path, capsys):
    path = tmp_path / "problem.toml"
    path.write_text(document())
    target = tmp_path / "absent" / "f.tex"
    assert main(["derive", str(path), "--latex", str(target)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert str(target) in err and err.count("\n") == 1


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "symbolic_sgd", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(document(manifolds="1"), "'manifold'", id="key"),
        pytest.param(loss_file("u + v"), "no minimizer", id="nothing but the message on stderr"),
    ],
)
def test_refused_by_the_process(text, words, tmp_path):
    path = tmp_path / "problem.toml"
    path.write_text(text)
    done = run("derive", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"symbolic-sgd: {path}: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_verify_never_ends_in_a_traceback(tmp_path, capsys):
    path = tmp_path / "problem.toml"
    path.write_text(matrix_file("log(u*v - 1)"))
    assert main(["verify", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# --- hostile files -------------------------------------------------------------------------------------------------

HOSTILE = {
    "attribute access": loss_file("u.__class__.__mro__ + v"),
    "call": loss_file("__import__('os').system('touch pwned')"),
    "call without quotes": loss_file("open(u) + v"),
    "lambda": loss_file("(lambda: u)()"),
    "comprehension": loss_file("sum(u for u in v)"),
    "power tower": loss_file("u*v + 9**9**9**9"),
    "exponential tower": loss_file("u*v + exp(exp(exp(exp(9))))"),
    "5000 parentheses": loss_file("(" * 5000 + "u*v" + ")" * 5000),
    "5000 calls": loss_file("sin(" * 5000 + "u*v" + ")" * 5000),
    "5000 signs": loss_file("-" * 5000 + "u*v"),
    "half a million terms": loss_file("+".join(["u"] * 500_000)),
    "squares of squares": loss_file("(" * 60 + "u" + "*v + 1)**2" * 60),
    "code as a name": document(parameters="""["__import__('os').system('touch pwned')", "v"]"""),
    "code in sigma": matrix_file("exec(u)"),
    "code in near": document(near='{ u = "exit(1)", v = 1 }'),
    "code in domain": document(domain='["u.__class__ > 0"]'),
    "nested lists": "parameters = " + "[" * 100_000 + "]" * 100_000,
    "dotted key": "a." * 300_000 + "a = 1",
    "long integer": "near = " + "9" * 500_000,
    "many parameters": document(parameters="[" + ", ".join(f'"x{i}"' for i in range(50_000)) + "]"),
    "many residuals": residual_file("[" + ", ".join(['"u"'] * 100_000) + "]"),
    "wide sigma": document(noise='{ kind = "matrix", sigma = [[' + '"1",' * 100_000 + "]] }"),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_with_little_work(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "problem.toml"
    path.write_text(HOSTILE[name])
    work, code = calls(lambda: main(["derive", str(path)]))
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert len(err) < 1000 + 2 * len(str(path))
    assert work < 20_000_000
    assert [p.name for p in tmp_path.iterdir()] == ["problem.toml"]


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def functions():
    return stated()().lambdify()


@pytest.fixture(scope="module")
def scaled_functions():
    return stated(noise=IsotropicNoise(s), constants=(s,))().lambdify()


POINTS = [
    ("too long", [1, 1, 1], errors.BadPoint, ("(3,)", "last dimension", "2")),
    ("too short in a batch", np.ones((4, 1)), errors.BadPoint, ("(4, 1)", "(..., 2)")),
    ("a scalar", 1.0, errors.BadPoint, ("()", "last dimension")),
    ("empty", [], errors.BadPoint, ("(0,)", "last dimension")),
    ("NaN", [np.nan, 1], errors.BadPoint, ("not finite", "(0,)", "nan")),
    ("NaN in a batch", [[1, 1], [1, np.nan]], errors.BadPoint, ("not finite", "(1, 1)")),
    ("infinite", [np.inf, 0], errors.BadPoint, ("not finite", "inf")),
    ("complex", [1 + 0j, 1], errors.BadPoint, ("complex128", "real")),
    ("complex objects", np.array([1j, 1], dtype=object), errors.BadPoint, ("real numbers",)),
    ("symbols", np.array([u, 1], dtype=object), errors.BadPoint, ("real numbers",)),
    ("arbitrary objects", np.array([object(), 1], dtype=object), errors.BadPoint, ("real numbers",)),
    ("None", [None, 1], errors.BadPoint, ("not finite",)),
    ("strings", ["1", "1"], errors.BadPoint, ("<U1", "real numbers")),
    ("booleans", [True, True], errors.BadPoint, ("bool", "real numbers")),
    ("dates", np.array(["2020-01-01"] * 2, dtype="M8[D]"), errors.BadPoint, ("datetime64", "real numbers")),
    ("ragged", [[1, 1], [1]], errors.BadPoint, ("no array of numbers",)),
    ("a dict", {u: 1, v: 1}, errors.BadPoint, ("real numbers",)),
    ("off Γ", [1, 1.01], errors.OffManifold, ("[1.   1.01]", "not on Γ", "Φ(x)", "check=False")),
    ("far off Γ", [2, 2], errors.OffManifold, ("not on Γ", "Φ(x)")),
    ("one of a batch off Γ", [[1, 1], [2, 0.5], [3, 1]], errors.OffManifold, ("[3. 1.]", "not on Γ")),
    ("the saddle", [0, 0], errors.OffManifold, ("not positive semidefinite", "rank 1", "-1.")),
    ("overflow", [1e200, 1e-200], errors.OffManifold, ("not on Γ",)),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("point", "error", "words"), [row[1:] for row in POINTS], ids=[row[0] for row in POINTS])
def test_bad_points(functions, point, error, words):
    for evaluate in (functions.drift, functions.diffusion):
        with pytest.raises(error) as caught:
            evaluate(point)
        assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_batch_off_the_manifold_beyond_the_first_block(functions):
    points = np.ones((9000, 2))
    points[8999] = (5, 1)
    with pytest.raises(errors.OffManifold, match=r"\[5. 1.\]"):
        functions.drift(points)


CONSTANTS = [
    ("missing", {}, ("constant s", "by keyword, e.g. s=1.0")),
    ("unknown", {"s": 1, "t": 1}, ("'t'", "the constants are s")),
    ("NaN", {"s": np.nan}, ("constant s", "not finite")),
    ("complex", {"s": 1j}, ("constant s", "not real")),
    ("text", {"s": "large"}, ("constant s", "not real")),
    ("symbolic", {"s": u}, ("constant s", "not real")),
    ("of the wrong shape", {"s": [1, 2, 3]}, ("constant s", "broadcast", "(2,)")),
    ("against its assumption", {"s": -1}, ("s > 0",)),
]


@pytest.mark.parametrize(("constants", "words"), [row[1:] for row in CONSTANTS], ids=[row[0] for row in CONSTANTS])
def test_bad_constants(scaled_functions, constants, words):
    with pytest.raises(SymbolicSGDError) as caught:
        scaled_functions.drift([[1, 1], [2, 0.5]], **constants)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_constant_where_there_is_none(functions):
    with pytest.raises(errors.BadInput, match="'s' is no constant of this problem: the problem has no constants"):
        functions.drift([1, 1], s=1)


PAIRS = [sp.symbols(f"p{k} q{k}") for k in range(4)]


def circles():
    """Σ(g_k² + g_k⁴), g_k = |x_k|² − 1, expanded, four pairs: Γ is a product of circles, and a frame of columns of H is singular on
    some of it."""
    loss = sp.expand(sum((p**2 + q**2 - 1) ** 2 + (p**2 + q**2 - 1) ** 4 for p, q in PAIRS))
    start = {s: a for pair in PAIRS for s, a in zip(pair, (1, 0), strict=True)}
    problem = Problem(
        loss=loss, parameters=tuple(s for pair in PAIRS for s in pair), noise=IsotropicNoise(), near=start
    )
    return derive_limiting_sde(problem)


def test_singular_point():
    """Drift −½x on each circle, by hand (Brownian motion on S¹)."""
    sde = circles()
    f = sde.lambdify()
    assert sde.valid_where
    regular = np.array([0.6, 0.8] * 4)
    np.testing.assert_allclose(f.drift(regular), -regular / 2, atol=1e-12)
    singular = np.array([0.6, 0.8] * 3 + [0, 1])
    with pytest.raises(errors.SingularPoint) as caught:
        f.drift([regular, singular])
    assert "q3 = 1" in str(caught.value) and "near=" in str(caught.value)
    with pytest.raises(errors.SingularPoint):
        sde.at(dict(zip((s for pair in PAIRS for s in pair), singular, strict=True)))


@pytest.mark.parametrize(
    ("loss", "point", "drift"),
    [
        (sp.expand((u**2 + v**2 - 1) ** 2), [0, 1], [0, -0.5]),
        (sp.expand((u**2 + v**2 + w**2 - 1) ** 2), [0, 0, -1], [0, 0, 1]),
        (sp.expand((u**2 + v**2 - 1) ** 2 + 2 * (u**2 + v**2 - 1) * w + 2 * w**2), [0, 1, 0], None),
    ],
)
def test_where_a_pivot_vanishes_the_formulas_hold(loss, point, drift):
    """The column of H that a frame would be made of is zero there; the literal theorem knows nothing of frames."""
    parameters = sorted(loss.free_symbols, key=str)
    sde = derive_limiting_sde(Problem(loss=loss, parameters=parameters, noise=IsotropicNoise()))
    assert sde.valid_where == ()
    expected = literal_terms(loss, parameters, sp.eye(len(parameters)), [sp.Integer(a) for a in point], digits=30)
    found = sde.lambdify().drift(point)
    np.testing.assert_allclose(found, [float(a) for a in expected.drift], atol=1e-12)
    if drift is not None:
        np.testing.assert_allclose(found, drift, atol=1e-12)


def test_another_branch_and_the_crossing():
    """Γ of u²v² is {u = 0} ∪ {v = 0}: by hand, −∇ln(v²)/4 on the first branch; the crossing is refused."""
    f = stated(loss=u**2 * v**2, near={u: 2, v: 0})().lambdify()
    np.testing.assert_allclose(f.drift([2, 0]), [-0.25, 0], atol=1e-12)
    np.testing.assert_allclose(f.drift([0, 3]), [0, -1 / 6], atol=1e-12)
    with pytest.raises((errors.OffManifold, errors.SingularPoint)):
        f.drift([0, 0])


def test_a_point_where_the_noise_is_not_real():
    f = noisy(sp.sqrt(u), near={u: 1, v: 1})().lambdify()
    with pytest.raises(SymbolicSGDError):
        f.diffusion([-1, -1])


AT_A_POINT = [
    ("missing", {u: 1}, errors.BadInput, ("no value for v",)),
    ("by name", {"u": 1, "v": 1}, errors.BadInput, ("no value for u",)),
    ("off Γ", {u: 2, v: 2}, errors.OffManifold, ("not on Γ",)),
    ("NaN", {u: sp.nan, v: 1}, errors.BadInput, ("u", "nan")),
    ("text", {u: "one", v: 1}, errors.BadInput, ("u", "one")),
    ("complex", {u: sp.I, v: 1}, errors.BadInput, ("u", "real")),
    ("symbolic", {u: w, v: 1}, errors.BadInput, ("u", "w")),
    ("unknown symbol", {u: 1, v: 1, w: 3}, errors.BadInput, ("w",)),
    ("None", None, errors.BadInput, ("NoneType",)),
]


@pytest.mark.parametrize(
    ("point", "error", "words"),
    [pytest.param(*row[1:], id=row[0]) for row in AT_A_POINT],
)
def test_bad_points_for_at(point, error, words):
    sde = stated()()
    with pytest.raises(SymbolicSGDError) as caught:
        sde.at(point)
    assert isinstance(caught.value, error)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_unknown_term(functions):
    with pytest.raises(errors.BadInput, match="tangent_noise"):
        functions.term("tangent", [1, 1])


def test_every_error_is_a_value_error_with_a_message():
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    assert len(classes) > 20
    assert all(issubclass(c, SymbolicSGDError) and issubclass(c, ValueError) and c.__doc__ for c in classes)
