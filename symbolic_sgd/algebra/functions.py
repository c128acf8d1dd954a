"""The elementary functions the engine knows: one row each, and no other list of them anywhere.

A row says how SymPy, NumPy and mpmath call the function, what its derivative is, and where it stops being smooth.
Adding a function means adding a row; `tests/algebra/test_functions.py` walks the table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
import sympy as sp

from symbolic_sgd.algebra.precision import mp


@dataclass(frozen=True)
class ElementaryFunction:
    """A smooth real function f of one variable.

    Args:
        name: the name in problem files and in programs.
        symbolic: f as SymPy applies it.
        numeric: f on float64 arrays.
        precise: f on mpmath numbers.
        derivative: f′(a), written with the arithmetic of `a` itself (any operand that overloads + − * /); it is given
            the argument a, the value f(a), and `apply(name, *operands)` for other rows of this file.
        kinks: expressions of the argument a whose zeros are the points where f is not smooth.
    """

    name: str
    symbolic: Callable[[sp.Expr], sp.Expr]
    numeric: Callable[[Any], Any]
    precise: Callable[[Any], Any]
    derivative: Callable[[Any, Any, Callable[..., Any]], Any]
    kinks: Callable[[Any], tuple[Any, ...]] = lambda a: ()


FUNCTIONS: dict[str, ElementaryFunction] = {
    row.name: row
    for row in (
        ElementaryFunction("exp", sp.exp, np.exp, mp.function("exp"), lambda a, f, apply: f),
        ElementaryFunction("log", sp.log, np.log, mp.function("log"), lambda a, f, apply: 1 / a, kinks=lambda a: (a,)),
        ElementaryFunction(
            "sqrt", sp.sqrt, np.sqrt, mp.function("sqrt"), lambda a, f, apply: 1 / (2 * f), kinks=lambda a: (a,)
        ),
        ElementaryFunction("sin", sp.sin, np.sin, mp.function("sin"), lambda a, f, apply: apply("cos", a)),
        ElementaryFunction("cos", sp.cos, np.cos, mp.function("cos"), lambda a, f, apply: -apply("sin", a)),
        ElementaryFunction(
            "tan",
            sp.tan,
            np.tan,
            mp.function("tan"),
            lambda a, f, apply: 1 + f * f,
            kinks=lambda a: (a.graph.call("cos", a),),
        ),
        ElementaryFunction(
            "asin",
            sp.asin,
            np.arcsin,
            mp.function("asin"),
            lambda a, f, apply: 1 / apply("sqrt", 1 - a * a),
            kinks=lambda a: (1 - a * a,),
        ),
        ElementaryFunction(
            "acos",
            sp.acos,
            np.arccos,
            mp.function("acos"),
            lambda a, f, apply: -1 / apply("sqrt", 1 - a * a),
            kinks=lambda a: (1 - a * a,),
        ),
        ElementaryFunction("atan", sp.atan, np.arctan, mp.function("atan"), lambda a, f, apply: 1 / (1 + a * a)),
        ElementaryFunction("sinh", sp.sinh, np.sinh, mp.function("sinh"), lambda a, f, apply: apply("cosh", a)),
        ElementaryFunction("cosh", sp.cosh, np.cosh, mp.function("cosh"), lambda a, f, apply: apply("sinh", a)),
        ElementaryFunction("tanh", sp.tanh, np.tanh, mp.function("tanh"), lambda a, f, apply: 1 - f * f),
        ElementaryFunction(
            "asinh", sp.asinh, np.arcsinh, mp.function("asinh"), lambda a, f, apply: 1 / apply("sqrt", 1 + a * a)
        ),
        ElementaryFunction(
            "acosh",
            sp.acosh,
            np.arccosh,
            mp.function("acosh"),
            lambda a, f, apply: 1 / apply("sqrt", a * a - 1),
            kinks=lambda a: (a - 1,),
        ),
        ElementaryFunction(
            "atanh",
            sp.atanh,
            np.arctanh,
            mp.function("atanh"),
            lambda a, f, apply: 1 / (1 - a * a),
            kinks=lambda a: (1 - a * a,),
        ),
        ElementaryFunction(
            "erf",
            sp.erf,
            scipy.special.erf,
            mp.function("erf"),
            lambda a, f, apply: 2 / apply("sqrt", apply("pi")) * apply("exp", -a * a),
        ),
        ElementaryFunction("Abs", sp.Abs, np.abs, abs, lambda a, f, apply: apply("sign", a), kinks=lambda a: (a,)),
        ElementaryFunction(
            "sign", sp.sign, np.sign, mp.function("sign"), lambda a, f, apply: 0 * a, kinks=lambda a: (a,)
        ),
    )
}
"""Every function of one variable that may stand in a loss, by name."""

CONSTANTS: dict[str, tuple[sp.Expr, float, Callable[[], Any]]] = {
    "pi": (sp.pi, float(np.pi), lambda: +mp.pi),
    "E": (sp.E, float(np.e), lambda: +mp.e),
}
"""Named real numbers, by the name in problem files: SymPy's, the float, and mpmath's at its working precision."""
