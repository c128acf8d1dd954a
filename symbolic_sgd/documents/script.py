"""A problem and its optimizer as a Python script that states and derives them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.printing.str import StrPrinter

from symbolic_sgd.errors import BadInput
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.as_data import problem_document
from symbolic_sgd.problems.noise import GradientNoise, IsotropicNoise, LabelNoise, Noise, SamplingNoise
from symbolic_sgd.problems.perturbation import LossPerturbation
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.problems.problem_file import LETTERS

OWN = (
    "Problem",
    "derive_limiting_sde",
    "verify",
    "problem",
    "sde",
    "certificate",
    "f",
    "Symbol",
    "symbols",
    "Matrix",
    "Rational",
)
"""Names that the script uses itself: a symbol that is called so gets a variable of another name."""

LINE = 88
"""Characters of a line that need not be broken."""

LAST = """
print(sde)
f = sde.lambdify()  # f.drift(x) and f.diffusion(x), for points x of the manifold
certificate = verify(sde)
print(certificate)
"""


def python_script(problem: Problem, optimizer: Optimizer) -> str:
    """A script that states the problem and the optimizer, derives the limiting SDE, and checks it.

    Raises:
        BadInput: a noise or an optimizer that problem files do not know either.

    >>> u, v = sp.symbols("u v", real=True)
    >>> problem = Problem.least_squares([u*v - sp.Rational(1, 2)], parameters=(u, v), noise=LabelNoise(1))
    >>> print(python_script(problem, SGD()).partition("sde = ")[0])
    from sympy import Rational, symbols
    <BLANKLINE>
    from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde, verify
    <BLANKLINE>
    u, v = symbols("u v", real=True)
    problem = Problem.least_squares([u*v - Rational(1, 2)], parameters=(u, v), noise=LabelNoise(1))
    <BLANKLINE>
    """
    return _Script(problem, optimizer).text()


class _Exact(StrPrinter):
    """Fractions as SymPy's own: 1/2 would be a float to Python."""

    def _print_Rational(self, expr: Any) -> str:
        return f"{'-' if expr.p < 0 else ''}Rational({abs(expr.p)}, {expr.q})"

    def _print_Half(self, expr: Any) -> str:
        return self._print_Rational(expr)


class _Script:
    """One script while it is written: its symbols have variables."""

    def __init__(self, problem: Problem, optimizer: Optimizer):
        self.problem, self.optimizer, self.printer = problem, optimizer, _Exact()
        self.noise = problem.noise.as_stated
        drawn = self.noise.perturbations if isinstance(self.noise, LossPerturbation) else ()
        letters = tuple(LETTERS.values()) if any(isinstance(v, sp.Lambda) for _, v in self._values()) else ()
        self.symbols: dict[Any, str] = {s: _variable(s.name) for s in (*problem.symbols, *drawn, *letters)}

    def text(self) -> str:
        body = "\n".join([*self._declared(), f"problem = {self._stated()}", f"sde = {self._derived()}"])
        names = set(re.findall(r"[A-Za-z_]\w*", re.sub(r'"[^"]*"', "", body))) - set(self.symbols.values())
        own = sorted(name for name in {*names, "verify"} if name in self._classes or name in OWN[:3])
        of_sympy = sorted(name for name in names - set(own) if hasattr(sp, name))
        return f"from sympy import {', '.join(of_sympy)}\n\nfrom symbolic_sgd import {', '.join(own)}\n\n{body}\n{LAST}"

    @property
    def _classes(self) -> set[str]:
        return {type(self.noise).__name__, type(self.optimizer).__name__}

    # --- values

    def written(self, value: Any) -> str:
        """An exact expression, a condition, a matrix, or several of them."""
        if isinstance(value, (str, int)):
            return repr(value)
        if isinstance(value, Fraction):
            return self.written(sp.Rational(value.numerator, value.denominator))
        if isinstance(value, sp.Lambda):
            return self.written(value(*LETTERS.values()))
        if isinstance(value, sp.MatrixBase):
            return f"Matrix({_broken('[', [self.listed(row) for row in value.tolist()], ']')})"
        if isinstance(value, tuple):
            return self.together(value)
        return self.printer.doprint(value.xreplace({s: sp.Symbol(name) for s, name in self.symbols.items()}))

    def listed(self, values: Sequence[Any]) -> str:
        return _broken("[", [*map(self.written, values)], "]")

    def together(self, values: Sequence[Any]) -> str:
        return f"({', '.join(map(self.written, values))}{',' if len(values) == 1 else ''})"

    # --- statements

    def _declared(self) -> Iterator[str]:
        """The symbols with what is assumed of them, as problem files state it."""
        said: Mapping[str, str] = problem_document(self.problem).get("constants", {})
        assumptions: dict[str, list[Any]] = {}
        for symbol in self.symbols:
            assumptions.setdefault(said.get(symbol.name, "real"), []).append(symbol)
        for assumption, several in assumptions.items():
            variables, names = ", ".join(self.symbols[s] for s in several), " ".join(s.name for s in several)
            yield f'{variables} = symbols("{names}", {assumption}=True)'

    def _stated(self) -> str:
        problem, noise = self.problem, self.noise
        parameters = f"parameters={self.together(problem.parameters)}"
        further = self._further()
        if isinstance(noise, SamplingNoise):
            weights = f"weights={self.listed(noise.weights)}"
            return _call("Problem.from_sample_losses", self.listed(noise.losses), parameters, weights, *further)
        if isinstance(noise, LossPerturbation):
            drawn = [f"perturbations={self.together(noise.perturbations)}"]
            drawn += [] if noise.covariance is None else [f"covariance={self.written(noise.covariance)}"]
            return _call("Problem.perturbed", self.written(noise.loss), parameters, *drawn, *further)
        stated = f"noise={self._noise(noise)}"
        if problem.residuals:
            return _call("Problem.least_squares", self.listed(problem.residuals), parameters, stated, *further)
        return _call("Problem", f"loss={self.written(problem.loss)}", parameters, stated, *further)

    def _noise(self, noise: Noise) -> str:
        if type(noise) not in _NOISES:
            raise BadInput(f"noise of type {type(noise).__name__} cannot be written as a script")
        return f"{type(noise).__name__}({_NOISES[type(noise)](self, noise)})"

    def _further(self) -> Iterator[str]:
        problem = self.problem
        if problem.manifold:
            yield f"manifold={self.listed(problem.manifold)}"
        if problem.domain:
            yield f"domain={self.listed(problem.domain)}"
        if problem.near is not None:
            near = ", ".join(f"{self.symbols[s]}: {float(a)!r}" for s, a in problem.near.items())
            yield f"near={{{near}}}"
        if problem.constants:
            yield f"constants={self.together(problem.constants)}"

    def _derived(self) -> str:
        if self.optimizer == SGD():
            return "derive_limiting_sde(problem)"
        optimizer = _call(type(self.optimizer).__name__, *(f"{k}={self.written(v)}" for k, v in self._values()))
        return _call("derive_limiting_sde", "problem", f"optimizer={optimizer}")

    def _values(self) -> list[tuple[str, Any]]:
        """What of the optimizer is not by default."""
        stated = ((f, getattr(self.optimizer, f.name)) for f in fields(self.optimizer) if f.compare)  # type: ignore[arg-type]  (each is a dataclass)
        return [(f.name, value) for f, value in stated if value != f.default]


def _call(name: str, *arguments: str) -> str:
    return _broken(f"{name}(", arguments, ")")


def _broken(first: str, parts: Sequence[str], last: str) -> str:
    """Parts with commas between them, on one line if it is short, else a line each."""
    line = f"{first}{', '.join(parts)}{last}"
    if len(line) <= LINE and "\n" not in line:
        return line
    return "\n".join([first, *("    " + part.replace("\n", "\n    ") + "," for part in parts), last])


def _variable(name: str) -> str:
    return f"{name}_" if name in OWN or hasattr(sp, name) else name


def _label(script: _Script, noise: Any) -> str:
    return script.written(noise.amplitude) + ("" if noise.batch_size is None else f", batch_size={noise.batch_size}")


def _gradient(script: _Script, noise: Any) -> str:
    if noise.covariance is not None:
        return f"covariance={script.written(noise.covariance)}"
    return script.written(noise.sigma)


_NOISES: dict[type[Noise], Callable[[_Script, Any], str]] = {
    LabelNoise: _label,
    IsotropicNoise: lambda script, noise: script.written(noise.scale),
    GradientNoise: _gradient,
}
"""How the arguments of a noise are written."""
