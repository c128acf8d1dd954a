"""The theorem with every block filled in, as paragraphs and displays."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.printing.blocks import Block, Code, Formula, Math, aligned, display, paragraph
from symbolic_sgd.printing.displays import (
    LEFT,
    broken_sum,
    entry_displays,
    equation_lines,
    expression_latex,
    matrix_displays,
    visible_length,
    where,
)
from symbolic_sgd.printing.layout import fresh_names, layout
from symbolic_sgd.printing.named_parts import named_parts
from symbolic_sgd.printing.structural import structural
from symbolic_sgd.theorem.derivation import TERMS, Derivation, Term
from symbolic_sgd.theorem.normal_space import Framed
from symbolic_sgd.theorem.structural import StructuralFormulas

PRINTED = 1500
"""A block with more operations than this when written out is given by its definition and the smaller blocks."""

NAMED = 2000
"""Operations of a program up to which the SDE's coefficients are printed by named parts."""

COEFFICIENTS = ("tangent_noise", "drift")
"""What the SDE is made of: these blocks are printed with named parts where they are too large to be written out."""


def theorem(
    derivation: Derivation,
    structure: StructuralFormulas,
    matrices: Mapping[str, SymbolicMatrix | None],
    program: Callable[[str], Program],
) -> Iterator[Block]:
    """The limiting SDE: its statement, Γ, the terms in vectors, and one display for each block of the theorem, entry by entry.

    A block that is small is written out. A large one is stated by its definition, and then σ, ∇²L and the frame F of
    the normal space (or, without a frame, ∂Φ and ∇²L† by powers of ∇²L) are stated too, so that every block is determined
    by what is printed. The drift and the tangent noise are printed with named parts as well, up to NAMED operations.

    Args:
        derivation: the limiting SDE.
        structure: the same in vectors.
        matrices: name of a term → its expressions, or None where they are too large to be written out.
        program: name of a term → its shortest program.
    """
    yield from _statement(derivation)
    yield _manifold(derivation)
    yield from structural(structure)
    yield paragraph("Entry by entry:")
    printed = {name: matrix for name, matrix in matrices.items() if matrix is not None and _size(matrix) <= PRINTED}
    if len(printed) < len(TERMS):
        yield from _ground(derivation)
    for term in TERMS:
        yield from _term(term, printed.get(term.name), program)
    yield from _validity(derivation)


def _validity(derivation: Derivation) -> Iterator[Block]:
    printed = derivation.minor is None or derivation.minor.expanded_size("minor") <= PRINTED
    conditions = derivation.conditions() if printed else derivation.cell
    if conditions:
        listed = r",\quad ".join(map(expression_latex, conditions))
        yield display(rf"\text{{valid where }} {listed}")
    if derivation.component is not None and derivation.component.equations:
        on = r",\quad ".join(f"{expression_latex(e)} = 0" for e in derivation.component.equations)
        yield display(rf"\text{{on the part of }}\Gamma\text{{ where }} {on}")


def _statement(derivation: Derivation) -> Iterator[Block]:
    loss, residuals = _with_named_sums(derivation.stated.loss)
    yield aligned(
        [
            r"dY &= \sigma_{\parallel}(Y)\,dW + b(Y)\,dt \quad\text{on } \Gamma,\qquad t = k\eta^2",
            r"b &= b_{\parallel} + b_{\perp\parallel} + b_{\perp} = \tfrac12\,\partial^2\Phi[\Sigma]",
            r"\Sigma_{\perp} &= \nabla^2 L\,S + S\,\nabla^2 L,\quad S = (I-\partial\Phi)\,S\,(I-\partial\Phi)",
            *equation_lines("L", broken_sum(loss)),
        ]
    )
    yield from where(residuals)


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


def _manifold(derivation: Derivation) -> Formula:
    d, m = derivation.problem.dimension, derivation.codimension
    lines = [rf"\Gamma &: \quad \dim\Gamma = {d - m},\quad \operatorname{{rank}}\nabla^2 L = {m}"]
    for equation in derivation.equations.expand("printed").flat():
        lines.extend(equation_lines("0", broken_sum(equation)))
    return aligned(lines)


def _ground(derivation: Derivation) -> Iterator[Block]:
    yield from _matrix(r"\nabla^2 L", derivation.blocks, "hessian")
    yield from _matrix(r"\sigma", derivation.blocks, "noise_factor")
    space = derivation.normal_space
    if isinstance(space, Framed):
        yield paragraph(
            "With a matrix ",
            Math("F"),
            " whose columns span the range of ",
            Math(r"\nabla^2 L"),
            " on ",
            Math(r"\Gamma"),
            ":",
        )
        yield from _matrix("F", space.frame, "frame")
        inverses = [
            r"\partial\Phi &= I - F (F^{\top}F)^{-1} F^{\top}",
            r"\nabla^2 L^{\dagger} &= F \bigl(F^{\top}\,\nabla^2 L\,F\bigr)^{-1} F^{\top}",
        ]
    else:
        m = derivation.codimension
        yield paragraph(
            "With ", Math("e_k"), ", the sum of the principal ", Math(r"k\times k"), " minors of ", Math(r"\nabla^2 L"), ", and ",
            Math(f"r = {_resolvent(m)}"), ":",
        )  # fmt: skip
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


def _term(term: Term, matrix: SymbolicMatrix | None, program: Callable[[str], Program]) -> Iterator[Block]:
    """A block written out, or by its definition where it has no matrix of a size to be printed."""
    stated = term.definition != term.symbol
    if matrix is not None:
        yield from matrix_displays(term.symbol, f"{term.definition} = " if stated else "", matrix)
    elif stated:  # otherwise the ground states it
        yield display(rf"{term.symbol} = {term.definition}")
        if term.name in COEFFICIENTS:
            yield from _entries(term, program(term.name))


def _entries(term: Term, program: Program) -> Iterator[Block]:
    """The entries of a large block with named parts, within the budget."""
    if program.operations > NAMED:
        yield paragraph(
            "The entries of ", Math(term.symbol), f" take {program.operations} operations, more than the {NAMED} that are "
            "printed: see ", Code("sde.program"), ".",
        )  # fmt: skip
        return
    yield paragraph("that is, entry by entry,")
    yield from entry_displays(term.symbol, named_parts(program, term.name))


def _resolvent(m: int) -> str:
    """r(∇²L), with r(H)H = I − ∂Φ by Cayley–Hamilton: (e_{M−1} − e_{M−2}H + …)/e_M."""
    powers = ["I", r"\nabla^2 L", *(rf"(\nabla^2 L)^{{{k}}}" for k in range(2, m))]
    coefficients = [f"e_{{{m - 1 - k}}}\\," if k < m - 1 else "" for k in range(m)]
    terms = [f"{'-' if k % 2 else '+'} {c}{p}" for k, (c, p) in enumerate(zip(coefficients, powers, strict=False))]
    return rf"\bigl({' '.join(terms).removeprefix('+ ')}\bigr)/e_{{{m}}}"


def _matrix(symbol: str, program: Program, name: str) -> list[Block]:
    if program.expanded_size(name) > PRINTED:
        return []
    return matrix_displays(symbol, "", program.expand(name))


def _size(matrix: SymbolicMatrix) -> int:
    return sum(int(sp.count_ops(entry)) for entry in matrix.flat())
