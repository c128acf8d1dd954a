"""The same derivation as a script for Maxima or Giac, with rational functions cancelled after every step.

python benchmarks/algebra_systems.py maxima "OLM 2,3 dense"     # prints the script
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import sympy as sp
from literal_theorem import lyapunov_coefficients, unpacked
from models import Model, ladders


@dataclass(frozen=True)
class Language:
    """How one system writes matrices.

    Args:
        matrix: rows of texts as a matrix.
        times: the sign of the matrix product.
        transpose, inverse, cancelled: names of functions.
        first: the index of the first row.
        script: (statements, point, parameters) as a whole script that prints SECONDS, VALUES and DRIFT.
    """

    matrix: Callable[[Iterable[Iterable[str]]], str]
    times: str
    transpose: str
    inverse: str
    cancelled: str
    first: int
    script: Callable[[list[str], list[str], list[str]], str]

    def of(self, a: sp.Matrix) -> str:
        return self.matrix([str(entry).replace("**", "^") for entry in row] for row in a.tolist())

    def entry(self, name: str, i: int, j: int) -> str:
        return f"{name}[{i + self.first},{j + self.first}]"

    def product(self, *factors: str) -> str:
        return self.times.join(factors)

    def flipped(self, name: str) -> str:
        return f"{self.transpose}({name})"

    def let(self, name: str, value: str) -> str:
        return f"{name}:{self.assign}{self.cancelled}({value})"

    @property
    def assign(self) -> str:
        return "=" if self.first == 0 else ""


def statements(model: Model, to: Language) -> list[str]:
    """The theorem, line by line, as at the head of literal_theorem.py; the drift ends up in `mdrift`."""
    identity, w = to.of(sp.eye(len(model.parameters))), model.weight
    return [
        to.let("mj", to.of(model.jacobian())),
        to.let("msigma", to.of(model.covariance())),
        to.let("mg", to.product("mj", to.flipped("mj"))),
        to.let("mdual", to.product(f"{to.inverse}(mg)", "mj")),
        to.let("mpinv", f"({1 / w})*({to.product(to.flipped('mdual'), 'mdual')})"),
        to.let("mtangent", f"{identity}-({w})*({to.product(to.flipped('mj'), 'mj', 'mpinv')})"),
        to.let("mnormal", f"{identity}-mtangent"),
        *_lyapunov(model, to),
        to.let("mparallel", to.product("mtangent", "msigma", "mtangent")),
        to.let("mcross", to.product("mpinv", "mnormal", "msigma", "mtangent")),
        *(line for name in ("mparallel", "mcross", "ms") for line in _third_derivative(model, name, to)),
        to.let(
            "mdrift",
            f"-({to.product('mpinv', 'tmparallel')})/2-({to.product('mtangent', 'tmcross')})"
            f"-({to.product('mtangent', 'tms')})/2",
        ),
    ]


def _lyapunov(model: Model, to: Language) -> list[str]:
    m = len(model.residuals)
    pairs = list(combinations_with_replacement(range(m), 2))
    system = to.matrix(
        ["+".join(to.entry("mg", *ij) for ij in terms) or "0" for terms in row] for row in lyapunov_coefficients(m)
    )
    return [
        to.let("my", to.product("mdual", "msigma", to.flipped("mdual"))),
        to.let("msystem", system),
        to.let("mright", to.matrix([f"({1 / model.weight})*{to.entry('my', *ab)}"] for ab in pairs)),
        to.let("mpacked", to.product(f"{to.inverse}(msystem)", "mright")),
        to.let("mz", to.matrix([to.entry("mpacked", k, 0) for k in row] for row in unpacked(m))),
        to.let("ms", to.product(to.flipped("mj"), "mz", "mj")),
    ]


def _third_derivative(model: Model, name: str, to: Language) -> list[str]:
    """T[B] in the variable t<name>."""
    lines, total = [], []
    for k, f in enumerate(model.residuals):
        slope = to.of(model.weight * sp.Matrix([f.diff(x) for x in model.parameters]))
        lines += [
            to.let("mf", to.of(sp.hessian(f, model.parameters))),
            to.let("mfb", to.product("mf", name)),
            to.let("mslope", slope),
            to.let(
                f"mt{k}",
                f"({'+'.join(to.entry('mfb', i, i) for i in range(len(model.parameters)))})*mslope"
                f"+{to.product('mf', f'({name}+{to.flipped(name)})', 'mslope')}",
            ),
        ]
        total.append(f"mt{k}")
    return [*lines, to.let(f"t{name}", "+".join(total))]


def _maxima(lines: list[str], point: list[str], parameters: list[str]) -> str:
    at = ",".join(f"{x}={value}" for x, value in zip(parameters, point, strict=True))
    return "\n".join(
        [
            "display2d:false$ linel:1000000$ ratmx:true$ scalarmatrixp:false$ started:elapsed_real_time()$",
            *(f"{line}$" for line in lines),
            "mdrift:map(first,args(ratdisrep(mdrift)))$",
            'print("SECONDS",elapsed_real_time()-started)$',
            f'print("VALUES",string(ratsimp(subst([{at}],mdrift))))$',
            'print("DRIFT",string(mdrift))$',
        ]
    )


def _giac(lines: list[str], point: list[str], parameters: list[str]) -> str:
    body = "\n".join(f"{line};" for line in lines)
    return "\n".join(
        [
            f"work():={{\n{body}\nreturn mat2list(mdrift);\n}}:;",
            "spent:=time(drift:=work()):;",
            'print("SECONDS "+string(spent));',
            f'print("VALUES "+string(ratnormal(subst(drift,[{",".join(parameters)}],[{",".join(point)}]))));',
            'print("DRIFT "+string(drift));\n',
        ]
    )


def _bracketed(rows: Iterable[Iterable[str]]) -> list[str]:
    return [f"[{','.join(row)}]" for row in rows]


LANGUAGES: dict[str, Language] = {
    "maxima": Language(
        lambda rows: f"matrix({','.join(_bracketed(rows))})", " . ", "transpose", "invert", "rat", 1, _maxima
    ),
    "giac": Language(lambda rows: f"[{','.join(_bracketed(rows))}]", "*", "tran", "inv", "ratnormal", 0, _giac),
}


def script(model: Model, to: Language) -> str:
    """The whole script for one problem."""
    values: list[Any] = [model.point[x] for x in model.parameters]
    return to.script(statements(model, to), [f"({v})" for v in values], [str(x) for x in model.parameters])


if __name__ == "__main__":
    chosen = {model.name: model for models in ladders().values() for model in models}[sys.argv[2]]
    print(script(chosen, LANGUAGES[sys.argv[1]]))
