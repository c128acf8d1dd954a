"""A problem as one formula, for notebooks: L, the noise, the parameters, and what is stated of Γ."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sympy as sp

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem

LARGEST = 400
"""Operations of an expression that is shown."""

LINES = 12
"""Residuals that are shown."""


def problem_latex(problem: "Problem") -> str:
    """LaTeX without delimiters, for amsmath and every version of MathJax."""
    lines = [*_loss(problem), rf"\text{{noise}} &:\quad {problem.noise.latex}", *_domain(problem), *_manifold(problem)]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def shown(expression: Any) -> str | None:
    """LaTeX of an expression, or None where it is too large to be looked at."""
    return sp.latex(expression) if operations(expression) <= LARGEST else None


def _loss(problem: "Problem") -> Iterator[str]:
    """L; of several residuals, by these."""
    loss, count = problem.loss, len(problem.residuals)
    if count > 1 and operations(loss) > LARGEST // 10:
        r = _letter(problem)
        yield rf"L &= \frac{{1}}{{{2 * count}}} \sum_{{i=1}}^{{{count}}} {r}_i^2"
        for i, residual in enumerate(problem.residuals[:LINES], start=1):
            yield f"{r}_{{{i}}} &= {_written(residual)}"
        if count > LINES:
            yield r"&\;\vdots"
    else:
        yield f"L &= {_written(loss)}"


def _letter(problem: "Problem") -> str:
    """A letter for residuals that no symbol begins with."""
    taken = {s.name[0] for s in problem.symbols}
    return next(letter for letter in ("r", "f", "g", "h", r"\varrho") if letter not in taken)


def _written(expression: Expression) -> str:
    return shown(expression) or rf"\text{{{operations(expression)} operations}}"


def _domain(problem: "Problem") -> Iterator[str]:
    parameters = ", ".join(map(sp.latex, problem.parameters))
    yield rf"({parameters}) &\in \mathbb{{R}}^{{{problem.dimension}}}"
    if problem.constants:
        yield rf"\text{{constants}} &:\quad {', '.join(map(sp.latex, problem.constants))}"
    if problem.conditions:
        yield rf"\text{{where}} &:\quad {', '.join(map(sp.latex, problem.conditions))}"


def _manifold(problem: "Problem") -> Iterator[str]:
    """What is stated of Γ; the rest is found by `derive_limiting_sde`."""
    if problem.manifold:
        yield rf"\Gamma &\subseteq \{{{' = '.join(map(_written, problem.manifold))} = 0\}}"
    if problem.near is not None:
        near = ", ".join(f"{sp.latex(s)} = {a:.6g}" for s, a in problem.near.items())
        yield rf"\text{{near}} &:\quad {near}"
