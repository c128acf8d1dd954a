"""The theorem with every block filled in, as LaTeX that compiles with amsmath."""

import sympy as sp
from sympy.printing.latex import LatexPrinter

from symbolic_sgd.derive.derivation import DRIFT_TERMS, TERMS, Derivation, Term

PRINTED = 400
"""A block with more operations than this when written out is given by its definition and the smaller blocks."""

LINE = 90
"""Operations in a line of an entry, about a text width."""


def snippet(derivation: Derivation) -> str:
    """The limiting SDE as an `align*` for the statement and one display for each block.

    Blocks that are small are written out; a large one is stated by its definition in terms of σ, N, C and L, which are
    always written out (with named intermediate results where they are large themselves).
    """
    parts = [_statement(derivation), _manifold(derivation)]
    if any(not _fits(derivation.program, term.name) for term in TERMS):
        parts.append(_building_blocks(derivation))
    parts.extend(_block(derivation, term) for term in TERMS)
    if derivation.valid_where:
        conditions = r",\quad ".join(map(sp.latex, derivation.valid_where))
        parts.append(_display(rf"\text{{valid where }}\; {conditions}"))
    return "\n".join(parts)


def _statement(derivation: Derivation) -> str:
    return "\n".join(
        [
            r"\begin{align*}",
            r"dY &= \Sigma_{\parallel}^{1/2}(Y)\,dW + b(Y)\,dt \quad\text{on } \Gamma, \qquad t = k\eta^2,\\",
            r"b &= b_{\parallel} + b_{\perp\parallel} + b_{\perp} = \tfrac12\,\partial^2\Phi[\Sigma],\\",
            rf"L &= {sp.latex(derivation.problem.loss)}",
            r"\end{align*}",
        ]
    )


def _manifold(derivation: Derivation) -> str:
    d, m = derivation.problem.dimension, derivation.codimension
    equations = ",\\; ".join(f"{sp.latex(e)} = 0" for e in derivation.equations)
    vector = r",\,".join(map(sp.latex, derivation.problem.parameters))
    return _display(rf"\Gamma = \bigl\{{({vector}) : {equations}\bigr\}}, \qquad \dim\Gamma = {d - m},\quad \operatorname{{rank}}\nabla^2L = {m}")
