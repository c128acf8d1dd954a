"""The theorem with every block filled in, as LaTeX that compiles with amsmath."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.printing.layout import fresh_names, layout, symbol_latex
from symbolic_sgd.printing.named_parts import named_parts
from symbolic_sgd.theorem.derivation import TERMS, Derivation, Term
from symbolic_sgd.theorem.normal_space import Framed

PRINTED = 1500
"""A block with more operations than this when written out is given by its definition and the smaller blocks."""

LEFT = 11
"""Characters that are kept free on a line that is broken: the left-hand side stands on it."""

NAMED = 2000
"""Operations of a program up to which the SDE's coefficients are printed by named parts."""

LINES = 12
"""Lines of a display; more of them are several displays, between which a page may end."""

COEFFICIENTS = ("tangent_noise", "drift")
"""What the SDE is made of: these blocks are printed with named parts where they are too large to be written out."""

Write = Callable[[Any], str]
"""An expression in LaTeX."""


def snippet(
    derivation: Derivation, matrices: Mapping[str, SymbolicMatrix | None], program: Callable[[str], Program]
) -> str:
    """The limiting SDE: its statement, Γ, and one display for each block of the theorem.

    A block that is small is written out. A large one is stated by its definition, and then σ, ∇²L and the frame F of
    the normal space (or, without a frame, ∂Φ and ∇²L† by powers of ∇²L) are stated too, so that every block is determined
    by what is printed. The drift and the tangent noise are printed with named parts as well, up to NAMED operations.

    Args:
        derivation: the limiting SDE.
        matrices: name of a term → its expressions, or None where they are too large to be written out.
        program: name of a term → its shortest program.
    """
    parts = [_statement(derivation), _manifold(derivation)]
    printed = {name: matrix for name, matrix in matrices.items() if matrix is not None and _size(matrix) <= PRINTED}
    large = [term for term in TERMS if term.name not in printed]
    if large:
        parts.extend(_ground(derivation))
    for term in TERMS:
        if term not in large:
            parts.append(_block(printed[term.name], term))
        elif term.name in COEFFICIENTS:
            parts.extend(_named(term, program(term.name)))
        elif term.definition != term.symbol:  # otherwise the ground states it
            parts.append(display(rf"{term.symbol} = {term.definition}"))
    printed = derivation.minor is None or derivation.minor.expanded_size("minor") <= PRINTED
    conditions = derivation.conditions() if printed else derivation.cell
    if conditions:
        listed = r",\quad ".join(map(expression_latex, conditions))
        parts.append(display(rf"\text{{valid where }} {listed}"))
    if derivation.component is not None and derivation.component.equations:
        on = r",\quad ".join(f"{expression_latex(e)} = 0" for e in derivation.component.equations)
        parts.append(display(rf"\text{{on the part of }}\Gamma\text{{ where }} {on}"))
    return "\n".join(parts) + "\n"


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
    loss, residuals = _with_named_sums(derivation.stated.loss)
    statement = aligned(
        [
            r"dY &= \Sigma_{\parallel}^{1/2}(Y)\,dW + b(Y)\,dt \quad\text{on } \Gamma,\qquad t = k\eta^2",
            r"b &= b_{\parallel} + b_{\perp\parallel} + b_{\perp} = \tfrac12\,\partial^2\Phi[\Sigma]",
            r"\Sigma_{\perp} &= \nabla^2 L\,S + S\,\nabla^2 L,\quad S = (I-\partial\Phi)\,S\,(I-\partial\Phi)",
            *equation_lines("L", broken_sum(loss)),
        ]
    )
    return "\n".join([statement, *_where(residuals)])


def _with_named_sums(expression: Any) -> tuple[Any, list[tuple[sp.Symbol, Any]]]:
    """The expression with names r_1, r_2, … for sums inside its terms that are too long for a line, the innermost first."""
    names = fresh_names("r", expression.free_symbols)
    named: dict[Any, sp.Symbol] = {}

    def shortened(e: Any) -> Any:
        if not e.args:
            return e
        rebuilt = e.func(*map(shortened, e.args))
        if not rebuilt.is_Add or visible_length(expression_latex(rebuilt)) <= layout().line - LEFT:
            return rebuilt
        if rebuilt not in named:
            named[rebuilt] = next(names)
        return named[rebuilt]

    whole = expression.func(*map(shortened, expression.args)) if expression.args else expression
    return whole, [(name, e) for e, name in named.items()]


def _manifold(derivation: Derivation) -> str:
    d, m = derivation.problem.dimension, derivation.codimension
    lines = [rf"\Gamma &: \quad \dim\Gamma = {d - m},\quad \operatorname{{rank}}\nabla^2 L = {m}"]
    for equation in derivation.equations.expand("printed").flat():
        lines.extend(equation_lines("0", broken_sum(equation)))
    return aligned(lines)


def _ground(derivation: Derivation) -> Iterator[str]:
    yield from _matrix(r"\nabla^2 L", derivation.blocks, "hessian")
    yield from _matrix(r"\sigma", derivation.blocks, "noise_factor")
    space = derivation.normal_space
    if isinstance(space, Framed):
        yield r"With a matrix $F$ whose columns span the range of $\nabla^2 L$ on $\Gamma$:"
        yield from _matrix("F", space.frame, "frame")
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


def _named(term: Term, program: Program) -> Iterator[str]:
    """A large block by its definition and, within the budget, its entries with named parts."""
    yield display(rf"{term.symbol} = {term.definition}")
    if program.operations > NAMED:
        yield (
            f"The entries of ${term.symbol}$ take {program.operations} operations, more than the {NAMED} that are "
            r"printed: see \texttt{sde.program}."
        )
        return
    yield "that is, entry by entry,"
    yield from entry_displays(term.symbol, program, term.name)


def entry_displays(symbol: str, program: Program, name: str) -> list[str]:
    """The entries of an output of a program, and the parts in terms of which they are written."""
    named = named_parts(program, name)
    lines = entry_lines(symbol, named.shape, named.entries)
    return [*displays(lines), *_where(named.parts)]


def _where(parts: Sequence[tuple[Any, Any]]) -> list[str]:
    lines = [equation_lines(expression_latex(name), broken_sum(value)) for name, value in parts]
    return ["where", *displays(lines)] if lines else []


def entry_lines(
    symbol: str, shape: tuple[int, int], entries: Sequence[Any], write: Write | None = None
) -> list[list[str]]:
    """(symbol)_ij = …, the lines of each entry."""
    places = product(range(1, shape[0] + 1), range(1, shape[1] + 1))
    return [
        equation_lines(rf"\bigl({symbol}\bigr)_{{{i if shape[1] == 1 else f'{i},{j}'}}}", broken_sum(entry, write))
        for (i, j), entry in zip(places, entries, strict=True)
    ]


def displays(equations: Sequence[list[str]]) -> list[str]:
    """Equations, each of one or more lines, in as many displays as keep them to LINES lines, fractions counted twice."""
    blocks: list[list[str]] = []
    filled = LINES
    for lines in equations:
        height = sum(2 if r"\frac" in line else 1 for line in lines)
        if filled + height > LINES:
            blocks.append([])
            filled = 0
        blocks[-1].extend(lines)
        filled += height
    return [aligned(block) for block in blocks]


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
    if widest + visible_length(symbol + definition) <= layout().line:
        return [display(f"{symbol} = {definition}{expression_latex(matrix)}")]
    named, entries = sp.cse(list(matrix.flat()), symbols=fresh_names("t", matrix.free_symbols), order="none")
    first = [[rf"{symbol} &= {definition.removesuffix('= ')}"]] if definition else []
    return [*displays([*first, *entry_lines(symbol, matrix.shape, tuple(entries))]), *_where(named)]


def equation_lines(left: str, pieces: list[str]) -> list[str]:
    """left = the pieces of a broken sum, for `aligned`."""
    return [f"{left} &= {pieces[0]}", *(rf"&\quad {piece}" for piece in pieces[1:])]


def broken_sum(expression: Any, write: Write | None = None) -> list[str]:
    """An expression as LaTeX, a sum broken after as many terms as fill a line.

    Args:
        expression: what is written.
        write: how a term is written; by default with names as `symbol_latex` writes them.

    >>> u, v = sp.symbols("u v")
    >>> broken_sum(u - v)
    ['u - v']
    """
    write = write or expression_latex
    lines, length, widest = [""], 0, layout().line - LEFT
    terms: Any = expression.as_ordered_terms()
    for term in terms:
        negative = term.could_extract_minus_sign()
        text = write(-term if negative else term)
        if lines[-1] and length + visible_length(text) > widest:
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
