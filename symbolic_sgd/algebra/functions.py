"""The elementary functions the engine knows, one row each.

A row says how SymPy, NumPy, mpmath and the libraries of the back ends call the function, what its derivative is, and where
it stops being smooth: adding a function means adding a row. A back end refuses in words what its column lacks; a
`StableForm` needs no columns, being computed by other rows. `tests/algebra/test_functions.py` walks the table.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
import sympy as sp

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.errors import UnsupportedExpression


@dataclass(frozen=True)
class ElementaryFunction:
    """A smooth real function f of one variable (or of two).

    Args:
        name: the name in problem files and in programs.
        symbolic: f as SymPy applies it.
        numeric: f on float64 arrays.
        precise: f on mpmath numbers.
        derivative: f′(a), written with the arithmetic of `a` itself (any operand that overloads + − * /); it is given
            the argument a, the value f(a), and `apply(name, *operands)` for other rows of this file. With two arguments,
            a pair of partial derivatives.
        kinks: expressions of the arguments whose zeros are the points where f is not smooth.
        arity: the number of arguments.
        libraries: what the libraries of the back ends call it: "c" (C and LLVM, by the C library), "jax" (below `jax`),
            "torch" (below `torch`), "arb" (a method of python-flint's balls).
    """

    name: str
    symbolic: Callable[..., sp.Expr]
    numeric: Callable[..., Any]
    precise: Callable[..., Any]
    derivative: Callable[..., Any]
    kinks: Callable[..., tuple[Any, ...]] = lambda *operands: ()
    arity: int = 1
    libraries: Mapping[str, str] = field(default_factory=dict)


def _called(name: str, **otherwise: str) -> Mapping[str, str]:
    """The columns of a function that all libraries have, under one name but for those that are stated."""
    return {"c": name, "jax": f"numpy.{name}", "torch": name, "arb": name} | otherwise


@dataclass(frozen=True)
class StableForm(ElementaryFunction):
    """A function that formulas write by other functions, as ln(1 + eᵃ), at the cost of its digits in float64.

    Its derivative is a product of such functions, where differentiating what is written would subtract nearly equal
    numbers: with p = eᵃ/(eᵃ + eᵇ) and q = eᵇ/(eᵃ + eᵇ) the derivative of p is pq, and p − p² has no digit left at
    a − b = 40.

    Args:
        computed: f(*operands, apply) by rows that libraries have, an identity at any precision; None for a function that
            libraries have themselves.
    """

    computed: Callable[..., Any] | None = None


def _special(name: str) -> Callable[..., Any]:
    """A function of `scipy.special`, which is loaded when one is first called: that takes longer than all of NumPy."""
    return lambda *operands, **where: getattr(scipy.special, name)(*operands, **where)


def _erf(a: Any, out: Any = None, **where: Any) -> Any:
    """erf, which SciPy has for doubles only: for longer ones e^{−a²}Σ_n 2ⁿa^{2n+1}/(1·3···(2n + 1)), whose terms have one sign."""
    if np.asarray(a).dtype != np.longdouble:
        return scipy.special.erf(a, out=out, **where)
    size = np.minimum(np.abs(a), np.longdouble(NEARLY_ONE))
    term, total, n = size, size, 1
    while np.any(term > total * np.finfo(np.longdouble).eps / 4):
        term = term * (2 * size * size / (2 * n + 1))
        total, n = total + term, n + 1
    half = np.sqrt(np.arctan(np.longdouble(1)))  # √π/2
    return np.copysign(np.exp(-size * size) * total / half, a, out=out)


NEARLY_ONE = 7
"""Where erf differs from 1 by less than a long double tells."""


def _stable(
    name: str,
    symbolic: Callable[..., sp.Expr],
    computed: Callable[..., Any],
    derivative: Callable[..., Any],
    arity: int = 1,
) -> StableForm:
    """A row that every kind of number computes by other rows."""
    return StableForm(
        name,
        symbolic,
        lambda *operands: computed(*operands, _numeric),
        lambda *operands: computed(*operands, _precise),
        derivative,
        arity=arity,
        computed=computed,
    )


def _numeric(name: str, *operands: Any) -> Any:
    return FUNCTIONS[name].numeric(*operands) if operands else CONSTANTS[name][1]


def _precise(name: str, *operands: Any) -> Any:
    return FUNCTIONS[name].precise(*operands) if operands else CONSTANTS[name][2]()


def _square(a: Any) -> Any:
    return a * a


def _log_add_exp(a: Any, b: Any, apply: Callable[..., Any]) -> Any:
    """max(a, b) + ln(1 + e^{−|a−b|}), where w = 1 if b > a, else 0, tells which is larger: nothing overflows."""
    difference = b - a
    sign = apply("sign", difference)
    w = sign * (1 + sign) / 2
    return (1 - w) * a + w * b + apply("log1p", apply("exp", (1 - 2 * w) * difference))


FUNCTIONS: dict[str, ElementaryFunction] = {
    row.name: row
    for row in (
        ElementaryFunction("exp", sp.exp, np.exp, mp.function("exp"), lambda a, f, apply: f, libraries=_called("exp")),
        ElementaryFunction(
            "log",
            sp.log,
            np.log,
            mp.function("log"),
            lambda a, f, apply: 1 / a,
            kinks=lambda a: (a,),
            libraries=_called("log"),
        ),
        ElementaryFunction(
            "sqrt",
            sp.sqrt,
            np.sqrt,
            mp.function("sqrt"),
            lambda a, f, apply: 1 / (2 * f),
            kinks=lambda a: (a,),
            libraries=_called("sqrt"),
        ),
        ElementaryFunction(
            "sin", sp.sin, np.sin, mp.function("sin"), lambda a, f, apply: apply("cos", a), libraries=_called("sin")
        ),
        ElementaryFunction(
            "cos", sp.cos, np.cos, mp.function("cos"), lambda a, f, apply: -apply("sin", a), libraries=_called("cos")
        ),
        ElementaryFunction(
            "tan",
            sp.tan,
            np.tan,
            mp.function("tan"),
            lambda a, f, apply: 1 + f * f,
            kinks=lambda a: (a.graph.call("cos", a),),
            libraries=_called("tan"),
        ),
        ElementaryFunction(
            "asin",
            sp.asin,
            np.arcsin,
            mp.function("asin"),
            lambda a, f, apply: 1 / apply("sqrt", 1 - a * a),
            kinks=lambda a: (1 - a * a,),
            libraries=_called("asin", jax="numpy.arcsin"),
        ),
        ElementaryFunction(
            "acos",
            sp.acos,
            np.arccos,
            mp.function("acos"),
            lambda a, f, apply: -1 / apply("sqrt", 1 - a * a),
            kinks=lambda a: (1 - a * a,),
            libraries=_called("acos", jax="numpy.arccos"),
        ),
        ElementaryFunction(
            "atan",
            sp.atan,
            np.arctan,
            mp.function("atan"),
            lambda a, f, apply: 1 / (1 + a * a),
            libraries=_called("atan", jax="numpy.arctan"),
        ),
        ElementaryFunction(
            "sinh",
            sp.sinh,
            np.sinh,
            mp.function("sinh"),
            lambda a, f, apply: apply("cosh", a),
            libraries=_called("sinh"),
        ),
        ElementaryFunction(
            "cosh",
            sp.cosh,
            np.cosh,
            mp.function("cosh"),
            lambda a, f, apply: apply("sinh", a),
            libraries=_called("cosh"),
        ),
        ElementaryFunction(
            "tanh",
            sp.tanh,
            np.tanh,
            mp.function("tanh"),
            lambda a, f, apply: apply("sech2", a),
            libraries=_called("tanh"),
        ),
        ElementaryFunction(
            "asinh",
            sp.asinh,
            np.arcsinh,
            mp.function("asinh"),
            lambda a, f, apply: 1 / apply("sqrt", 1 + a * a),
            libraries=_called("asinh", jax="numpy.arcsinh"),
        ),
        ElementaryFunction(
            "acosh",
            sp.acosh,
            np.arccosh,
            mp.function("acosh"),
            lambda a, f, apply: 1 / apply("sqrt", a * a - 1),
            kinks=lambda a: (a - 1,),
            libraries=_called("acosh", jax="numpy.arccosh"),
        ),
        ElementaryFunction(
            "atanh",
            sp.atanh,
            np.arctanh,
            mp.function("atanh"),
            lambda a, f, apply: 1 / (1 - a * a),
            kinks=lambda a: (1 - a * a,),
            libraries=_called("atanh", jax="numpy.arctanh"),
        ),
        ElementaryFunction(
            "erf",
            sp.erf,
            _erf,
            mp.function("erf"),
            lambda a, f, apply: 2 / apply("sqrt", apply("pi")) * apply("exp", -a * a),
            libraries=_called("erf", jax="scipy.special.erf"),
        ),
        ElementaryFunction(
            "Ei",
            sp.Ei,
            _special("expi"),
            mp.function("ei"),
            lambda a, f, apply: apply("exp", a) / a,
            kinks=lambda a: (a,),
            libraries={"jax": "scipy.special.expi", "arb": "ei"},
        ),
        StableForm(
            "log1p",
            lambda a: sp.log(1 + a),
            np.log1p,
            mp.function("log1p"),
            lambda a, f, apply: 1 / (1 + a),
            kinks=lambda a: (1 + a,),
            libraries=_called("log1p"),
        ),
        StableForm(
            "expm1",
            lambda a: sp.exp(a) - 1,
            np.expm1,
            mp.function("expm1"),
            lambda a, f, apply: apply("exp", a),
            libraries=_called("expm1"),
        ),
        StableForm(
            "erfc",
            lambda a: 1 - sp.erf(a),
            _special("erfc"),
            mp.function("erfc"),
            lambda a, f, apply: -2 / apply("sqrt", apply("pi")) * apply("exp", -a * a),
            libraries=_called("erfc", jax="scipy.special.erfc"),
        ),
        _stable(
            "logerfc",
            lambda a: sp.log(1 - sp.erf(a)),
            lambda a, apply: apply("log", apply("erfc", a)),
            lambda a, f, apply: -apply("mills", a),
        ),
        _stable(
            "mills",
            lambda a: 2 * sp.exp(-(a**2)) / (sp.sqrt(sp.pi) * (1 - sp.erf(a))),
            lambda a, apply: 2 / apply("sqrt", apply("pi")) * apply("exp", -a * a) / apply("erfc", a),
            lambda a, f, apply: f * (f - 2 * a),
        ),
        _stable(
            "share",
            lambda a, b: sp.exp(a) / (sp.exp(a) + sp.exp(b)),
            lambda a, b, apply: 1 / (1 + apply("exp", b - a)),
            lambda a, b, f, apply: (f * apply("share", b, a), -f * apply("share", b, a)),
            arity=2,
        ),
        _stable(
            "logaddexp",
            lambda a, b: sp.log(sp.exp(a) + sp.exp(b)),
            _log_add_exp,
            lambda a, b, f, apply: (apply("share", a, b), apply("share", b, a)),
            arity=2,
        ),
        _stable(
            "logcosh",
            lambda a: sp.log(sp.cosh(a)),
            lambda a, apply: apply("log1p", 2 * _square(apply("sinh", a / 2))),
            lambda a, f, apply: apply("tanh", a),
        ),
        _stable(
            "sech",
            lambda a: 1 / sp.cosh(a),
            lambda a, apply: 1 / apply("cosh", a),
            lambda a, f, apply: -f * apply("tanh", a),
        ),
        _stable(
            "sech2",
            lambda a: 1 - sp.tanh(a) ** 2,
            lambda a, apply: _square(1 / apply("cosh", a)),
            lambda a, f, apply: -2 * f * apply("tanh", a),
        ),
        _stable(
            "tanhc",
            lambda a: 1 - sp.tanh(a),
            lambda a, apply: 2 / (1 + apply("exp", 2 * a)),
            lambda a, f, apply: -apply("sech2", a),
        ),
        ElementaryFunction(
            "Abs",
            sp.Abs,
            np.abs,
            abs,
            lambda a, f, apply: apply("sign", a),
            kinks=lambda a: (a,),
            libraries=_called("abs", c="fabs", arb="__abs__"),
        ),
        ElementaryFunction(
            "sign",
            sp.sign,
            np.sign,
            mp.function("sign"),
            lambda a, f, apply: 0 * a,
            kinks=lambda a: (a,),
            libraries=_called("sign", c="sgd_sign", arb="sgn"),
        ),
    )
}
"""Every function that may stand in a loss, by name."""

CONSTANTS: dict[str, tuple[sp.Expr, float, Callable[[], Any]]] = {
    "pi": (sp.pi, float(np.pi), lambda: +mp.pi),
    "E": (sp.E, float(np.e), lambda: +mp.e),
}
"""Named real numbers, by the name in problem files: SymPy's, the float, and mpmath's at its working precision."""


def in_library(library: str) -> dict[str, str]:
    """What a library calls the functions of the table, by their names there: a column of it."""
    return {name: row.libraries[library] for name, row in FUNCTIONS.items() if library in row.libraries}


def check_supported(operations: Iterable[str], supported: Container[str], who: str) -> None:
    """Raise unless every operation is among those that a back end has; it may have fewer than this file.

    Raises:
        UnsupportedExpression: and the name of the first that it lacks.
    """
    for name in operations:
        if name not in supported:
            raise UnsupportedExpression(
                f"{who} has no function {name!r}: evaluate with NumPy() or MPMath(digits=…), or fill its column in the table of functions"
            )
