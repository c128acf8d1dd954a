"""One measurement in this process: a tool derives the drift of one problem. Started by ladder.py, one process each.

    python benchmarks/measure_one.py TOOL MODEL LIMIT COUNT_LIMIT     # TOOL: ours, sympy, domainmatrix
    python benchmarks/measure_one.py count MODEL LIMIT COUNT_LIMIT FILE     # FILE: a drift as text

Prints one JSON object a line; what does not end within its limit is ended by the kernel (SIGALRM), in C code as well.
"""

import json
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mpmath
import sympy as sp
from derivation import operations_after_cse
from literal_theorem import domain_matrices, literal_drift, plain_sympy
from models import Model, ladders

from symbolic_sgd import derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.errors import ExpressionTooLarge

DIGITS = 50

VALUE_LIMIT = 120
"""Seconds for the value at a point, which are not part of the time that is measured."""


def peak() -> float:
    """The largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(**figures: Any) -> None:
    print(json.dumps(figures), flush=True)


def measure(tool: str, model: Model, count_limit: float) -> None:
    """Seconds and memory of the derivation; then its value at a point of Γ; then what cse leaves of it."""
    derive, stated = TOOLS[tool], model.problem()
    baseline, start = peak(), time.perf_counter()
    result = derive(model, stated)
    seconds, most = time.perf_counter() - start, peak()
    report(seconds=seconds, peak=most, increase=most - baseline)
    signal.setitimer(signal.ITIMER_REAL, VALUE_LIMIT)
    with mpmath.workdps(DIGITS), mp.workdps(DIGITS):
        operations, values = our_figures(result, model) if tool == "ours" else peer_figures(result, model)
    report(operations=operations, values=values)
    if count_limit:
        signal.setitimer(signal.ITIMER_REAL, count_limit)
        count(result.drift if tool == "ours" else result)


def count(drift: Sequence[sp.Expr]) -> None:
    start = time.perf_counter()
    report(after_cse=int(operations_after_cse(drift)), cse_seconds=time.perf_counter() - start)


def our_figures(sde: Any, model: Model) -> tuple[int, list[str]]:
    program = sde.program.select("drift")
    point = {x: mpmath.mpf(a.p) / a.q for x, a in model.point.items()}
    return program.operations, [mpmath.nstr(a, 30) for a in program.run(PRECISE, point)["drift"]]


def peer_figures(drift: sp.Matrix, model: Model) -> tuple[int, list[str]]:
    values: dict[sp.Basic, Any] = {x: mpmath.mpf(a.p) / a.q for x, a in model.point.items()}
    numbers = [value(entry, values) for entry in drift]
    return operations(values), [mpmath.nstr(a, 30) for a in numbers]


def value(expression: sp.Basic, known: dict[sp.Basic, Any]) -> Any:
    """A rational expression's value, where each distinct subexpression is computed once."""
    if expression not in known:
        if isinstance(expression, sp.Rational):
            known[expression] = mpmath.mpf(expression.p) / expression.q
        else:
            parts = [value(a, known) for a in expression.args]
            combine = {sp.Add: mpmath.fsum, sp.Mul: mpmath.fprod, sp.Pow: lambda ab: ab[0] ** int(ab[1])}
            known[expression] = combine[type(expression)](parts)
    return known[expression]


def operations(distinct: dict[sp.Basic, Any]) -> int:
    """Additions, multiplications and powers of the distinct subexpressions; 1/b is part of the multiplication a/b."""
    sums = sum(len(e.args) - 1 for e in distinct if isinstance(e, (sp.Add, sp.Mul)))
    return sums + sum(isinstance(e, sp.Pow) and e.exp != -1 for e in distinct)


TOOLS = {
    "ours": lambda model, stated: derive_limiting_sde(stated),
    "sympy": lambda model, stated: literal_drift(model, plain_sympy()),
    "domainmatrix": lambda model, stated: literal_drift(model, domain_matrices(model.parameters)),
}


def read_drift(path: str, model: Model) -> list[sp.Expr]:
    """A list of rational expressions as Maxima and Giac print it."""
    names = {str(x): x for x in model.parameters}
    return list(sp.sympify(Path(path).read_text().replace("^", "**"), locals=names))


def main(tool: str, what: str, limit: str, count_limit: str, path: str = "") -> None:
    model = {model.name: model for models in ladders().values() for model in models}[what]
    signal.setitimer(signal.ITIMER_REAL, float(limit))
    sys.setrecursionlimit(100_000)
    try:
        if tool == "count":
            drift = read_drift(path, model)
            report(operations=peer_figures(sp.Matrix(drift), model)[0])
            signal.setitimer(signal.ITIMER_REAL, float(count_limit))
            count(drift)
        else:
            measure(tool, model, float(count_limit))
    except ExpressionTooLarge:
        report(after_cse=None)
    except MemoryError:
        report(stopped="memory")


if __name__ == "__main__":
    main(*sys.argv[1:])
