"""The theorem with every block filled in, as LaTeX that compiles with amsmath."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.derive.derivation import TERMS, Derivation, Term

PRINTED = 1500
"""A block with more operations than this when written out is given by its definition and the smaller blocks."""

LINE = 75
"""LaTeX characters that make about one line of text, apart from commands."""


def snippet(derivation: Derivation, matrices: Mapping[str, SymbolicMatrix | None]) -> str:
    """The limiting SDE: its statement, Γ, and one display for each block of the theorem.

    A block that is small is written out. A large one is stated by its definition, and then σ, ∇²L and the frame F of
    the normal space (or, without a frame, ∂Φ and ∇²L† by powers of ∇²L) are stated too, so that every block is determined
    by what is printed.

    Args:
        derivation: the limiting SDE.
        matrices: name of a term → its expressions, or None where they are too large to be written out.
    """
    parts = [_statement(derivation), _manifold(derivation)]
    printed = {name: matrix for name, matrix in matrices.items() if matrix is not None and _size(matrix) <= PRINTED}
    large = [term for term in TERMS if term.name not in printed]
    if large:
        parts.extend(_ground(derivation))
    for term in TERMS:
        if term not in large:
            parts.append(_block(printed[term.name], term))
        elif term.definition != term.symbol:  # otherwise the ground states it
            parts.append(display(rf"{term.symbol} = {term.definition}"))
    if derivation.minor is not None and derivation.minor.expanded_size("minor") <= PRINTED:
        conditions = r",\quad ".join(map(expression_latex, derivation.conditions()))
        parts.append(display(rf"\text{{valid where }} {conditions}"))
    return "\n".join(parts) + "\n"


GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Pi",
        "Sigma",
        "Upsilon",
        "Phi",
        "Psi",
        "Omega",
    ]
)
"""Names that amsmath alone can print as letters."""


def symbol_latex(name: str) -> str:
    """A symbol's name in LaTeX: a letter or Greek letter with its index, any other word upright.

    >>> symbol_latex("u12"), symbol_latex("theta_1"), symbol_latex("width")
    ('u_{12}', '\\\\theta_{1}', '\\\\mathrm{width}')
    """
    base, _, index = name.partition("_")
    if not index:
        base = name.rstrip("0123456789").rstrip("_")
        index = name[len(base) :].lstrip("_")
    letter = rf"\{base}" if base in GREEK else base if len(base) == 1 else rf"\mathrm{{{base}}}"
    return rf"{letter}_{{{index.replace('_', ',')}}}" if index else letter


def expression_latex(expression: Any) -> str:
    """LaTeX with names as `symbol_latex` writes them."""
    names = {s: symbol_latex(s.name) for s in expression.free_symbols}
    return sp.latex(expression, symbol_names=names)


def display(body: str) -> str:
    """One formula on lines of its own."""
    return "\\begin{equation*}\n" + body + "\n\\end{equation*}"


def aligned(lines: list[str]) -> str:
    """Formulas aligned at their &."""
    return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"


def _statement(derivation: Derivation) -> str:
    loss = broken_sum(derivation.problem.loss)
    return aligned(
        [
            r"dY &= \Sigma_{\parallel}^{1/2}(Y)\,dW + b(Y)\,dt \quad\text{on } \Gamma,\qquad t = k\eta^2",
            r"b &= b_{\parallel} + b_{\perp\parallel} + b_{\perp} = \tfrac12\,\partial^2\Phi[\Sigma]",
            r"\Sigma_{\perp} &= \nabla^2 L\,S + S\,\nabla^2 L,\quad S = (I-\partial\Phi)\,S\,(I-\partial\Phi)",
            *equation_lines("L", loss),
        ]
    )


def _manifold(derivation: Derivation) -> str:
    d, m = derivation.problem.dimension, derivation.codimension
    lines = [rf"\Gamma &: \quad \dim\Gamma = {d - m},\quad \operatorname{{rank}}\nabla^2 L = {m}"]
    for equation in derivation.equations.expand("equations").flat():
        lines.extend(equation_lines("0", broken_sum(equation)))
    return aligned(lines)


def _ground(derivation: Derivation) -> Iterator[str]:
    yield from _matrix(r"\nabla^2 L", derivation.blocks, "hessian")
    yield from _matrix(r"\sigma", derivation.blocks, "noise_factor")
    if "frame" in derivation.guard.names:
        yield r"With a matrix $F$ whose columns span the range of $\nabla^2 L$ on $\Gamma$:"
        yield from _matrix("F", derivation.guard, "frame")
        inverses = [
            r"\partial\Phi &= I - F (F^{\top}F)^{-1} F^{\top}",
            r"\nabla^2 L^{\dagger} &= F \bigl(F^{\top}\,\nabla^2 L\,F\bigr)^{-1} F^{\top}",
        ]
    else:
        m = derivation.codimension
        yield rf"With $e_k$, the sum of the principal $k\times k$ minors of $\nabla^2 L$, and $r = {_resolvent(m)}$:"
        inverses = [
            r"\partial\Phi &= I - r\,\nabla^2 L",
            r"\nabla^2 L^{\dagger} &= r^2\,\nabla^2 L",
        ]
    yield aligned(
        [
            *inverses,
            r"\Sigma_{\parallel} &= \partial\Phi\,\sigma\sigma^{\top}\partial\Phi,\quad "
            r"\Sigma_{\perp\parallel} = (I-\partial\Phi)\,\sigma\sigma^{\top}\partial\Phi,\quad "
            r"\Sigma_{\perp} = (I-\partial\Phi)\,\sigma\sigma^{\top}(I-\partial\Phi)",
        ]
    )


def _resolvent(m: int) -> str:
    """r(∇²L), with r(H)H = I − ∂Φ by Cayley–Hamilton: (e_{M−1} − e_{M−2}H + …)/e_M."""
    powers = ["I", r"\nabla^2 L", *(rf"(\nabla^2 L)^{{{k}}}" for k in range(2, m))]
    coefficients = [f"e_{{{m - 1 - k}}}\\," if k < m - 1 else "" for k in range(m)]
    terms = [f"{'-' if k % 2 else '+'} {c}{p}" for k, (c, p) in enumerate(zip(coefficients, powers, strict=False))]
    return rf"\bigl({' '.join(terms).removeprefix('+ ')}\bigr)/e_{{{m}}}"


def _matrix(symbol: str, program: Program, name: str) -> list[str]:
    if program.expanded_size(name) > PRINTED:
        return []
    return matrix_display(symbol, "", program.expand(name))


def _size(matrix: SymbolicMatrix) -> int:
    return sum(int(sp.count_ops(entry)) for entry in matrix.flat())


def _block(matrix: SymbolicMatrix, term: Term) -> str:
    definition = "" if term.definition == term.symbol else f"{term.definition} = "
    return "\n".join(matrix_display(term.symbol, definition, matrix))


def matrix_display(symbol: str, definition: str, matrix: Any) -> list[str]:
    """A matrix in one display, or entry by entry where it is too wide for a page."""
    if matrix.is_zero_matrix:
        return [display(f"{symbol} = {definition}0")]
    widest = sum(
        max(visible_length(expression_latex(matrix[i, j])) for i in range(matrix.rows)) + 2 for j in range(matrix.cols)
    )
    if widest + visible_length(symbol + definition) <= LINE:
        return [display(f"{symbol} = {definition}{expression_latex(matrix)}")]
    named, entries = sp.cse(
        list(matrix.flat()), symbols=sp.numbered_symbols("t", start=1, exclude=matrix.free_symbols), order="none"
    )
    lines = [rf"{symbol} &= {definition.removesuffix('= ')}"] if definition else []
    places = product(range(matrix.rows), range(matrix.cols))
    for (i, j), entry in zip(places, entries, strict=True):
        index = f"{i + 1}" if matrix.cols == 1 else f"{i + 1},{j + 1}"
        lines.extend(equation_lines(rf"\bigl({symbol}\bigr)_{{{index}}}", broken_sum(entry)))
    where = [line for name, value in named for line in equation_lines(expression_latex(name), broken_sum(value))]
    return [aligned(lines), *(["where", aligned(where)] if where else [])]


def equation_lines(left: str, pieces: list[str]) -> list[str]:
    """left = the pieces of a broken sum, for `aligned`."""
    return [f"{left} &= {pieces[0]}", *(rf"&\quad {piece}" for piece in pieces[1:])]


def broken_sum(expression: Any) -> list[str]:
    """An expression as LaTeX, a sum broken after as many terms as fill a line.

    >>> u, v = sp.symbols("u v")
    >>> broken_sum(u - v)
    ['u - v']
    """
    lines, length = [""], 0
    terms: Any = expression.as_ordered_terms()
    for term in terms:
        negative = term.could_extract_minus_sign()
        text = expression_latex(-term if negative else term)
        if lines[-1] and length + visible_length(text) > LINE:
            lines.append("")
            length = 0
        sign = "-" if negative else "+"
        lines[-1] += f" {sign} {text}" if lines[-1] else (f"{sign} {text}" if len(lines) > 1 or negative else text)
        length += visible_length(text) + 2
    return lines


def visible_length(latex: str) -> int:
    """About how many characters a formula takes on the page: commands count as one, braces as none."""
    count, i = 0, 0
    while i < len(latex):
        if latex[i] == "\\":
            i += 1
            while i < len(latex) and latex[i].isalpha():
                i += 1
            count += 1
            continue
        count += latex[i] not in "{}_^ "
        i += 1
    return count
