"""The theorem with every block filled in, as paragraphs and displays."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import sympy as sp

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import SymbolicMatrix
from symbolic_sgd.optimizers.kernel import LYAPUNOV
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.printing.blocks import Block, Code, Formula, Inline, Math, Paragraph, aligned, display, paragraph
from symbolic_sgd.printing.displays import (
    LINES,
    entry_displays,
    equated,
    equation,
    equation_lines,
    expression_latex,
    filled,
    height,
    matrix_displays,
    room,
    where,
    zeros,
)
from symbolic_sgd.printing.fitting import fitted
from symbolic_sgd.printing.layout import layout, on_trial, renamed
from symbolic_sgd.printing.named_parts import named_parts
from symbolic_sgd.printing.prose import in_words, sentence
from symbolic_sgd.printing.structural import WRITTEN, structural
from symbolic_sgd.printing.width import visible_length
from symbolic_sgd.problems.perturbation import LossPerturbation
from symbolic_sgd.theorem.derivation import PLAIN, Derivation
from symbolic_sgd.theorem.response import MapResponse
from symbolic_sgd.theorem.structural import LARGEST_SHOWN, SIGMA, StructuralFormulas
from symbolic_sgd.theorem.terms import Term, own_terms

PRINTED = 1500
"""Operations up to which entries are printed as expressions where all are asked for."""

NAMED = 2000
"""Operations of a program up to which the SDE's coefficients are printed by named parts."""

OF_LOSS = ("tangent_projection", "hessian_pinv", "drift")
"""Terms that are the same for every optimizer, or the sum of the others."""

SHORT = 150
"""Operations of a matrix whose entries are printed unasked, if they take no more than LINES lines."""


def theorem(
    derivation: Derivation,
    structure: StructuralFormulas,
    matrices: Mapping[str, SymbolicMatrix | None],
    program: Callable[[str], Program | None],
    *,
    entries: bool = False,
) -> Iterator[Block]:
    """The limiting SDE: its statement, Γ, every term in vectors, and then entry by entry what is short.

    Args:
        derivation: the limiting SDE.
        structure: the same in vectors.
        matrices: name of a term → its expressions, or None where they are too large to be written out.
        program: name of a term → its shortest program, None where it is computed by matrices.
        entries: whether all terms are printed entry by entry, in named parts where they are large.
    """
    yield from _statement(derivation)
    yield from _manifold(derivation, structure)
    yield from structural(structure)
    yield from of_map(derivation)
    yield from _noise(derivation, structure)
    yield from _validity(derivation)
    shown = _all_entries if entries else _short_entries
    yield from shown(derivation.terms, matrices, program)


def _statement(derivation: Derivation) -> Iterator[Block]:
    optimizer = derivation.optimizer
    unit = r"\eta^2" if optimizer == PLAIN else rf"\,{expression_latex(optimizer.map_unit)}"
    motion = [r"b(Y)\,dt + \sigma_{\parallel}(Y)\,dW", r"\quad\text{on } \Gamma,", rf"\quad t = k{unit}"]
    drift = [r"b_{\parallel} + b_{\perp\parallel} + b_{\perp}", *_totals(optimizer)]
    stated = {"dY": motion, "b": drift}
    if derivation.response.is_lyapunov and derivation.response.in_parameters:
        solution = [r"\nabla^2 L\,S + S\,\nabla^2 L,", r"\quad S = (I-\partial\Phi)\,S\,(I-\partial\Phi)"]
        stated[r"\Sigma_{\perp}"] = solution
    lines = [line for left, pieces in stated.items() for line in equation_lines(left, filled(pieces, room()))]
    if optimizer != PLAIN:
        lines[:0] = [
            f"& {piece}" for piece in filled(re.split(r"(?=\\quad )", renamed(optimizer.stated_equation)), room())
        ]
    yield aligned(lines)
    noise = derivation.stated.noise
    if isinstance(noise, LossPerturbation):
        yield from _perturbed_loss(noise)
    found = fitted([derivation.stated.loss], room("L"), expression_latex, letter="r")
    yield aligned(equation("L", found.entries[0]))
    yield from where(found.parts)


def _perturbed_loss(noise: LossPerturbation) -> Iterator[Block]:
    """L̂ and the covariance of what perturbs it."""
    left, drawn = r"\hat L(x, \xi)", ", ".join(map(expression_latex, noise.perturbations))
    found = fitted([noise.loss], room(left), expression_latex, letter="s")
    yield aligned(equation(left, found.entries[0]))
    yield from where(found.parts)
    yield from matrix_displays(rf"\mathrm{{Cov}}({drawn})", [], sp.ImmutableDenseMatrix(noise.factor * noise.factor.T))


def _totals(optimizer: Optimizer) -> list[str]:
    """What the drift is beside the sum of its three terms: ½∂²Φ[Σ] for SGD at a learning rate that tends to 0; what is imposed."""
    own = [rf"+ {term.symbol}" for term in own_terms(optimizer)]
    return own if own or optimizer.kernel is not LYAPUNOV else [r"= \tfrac12\,\partial^2\Phi[\Sigma]"]


def of_map(derivation: Derivation) -> Iterator[Block]:
    """What the terms are, where they are made of the derivatives of a map."""
    if not isinstance(derivation.response, MapResponse):
        return
    yield paragraph(
        *in_words("With "), Math(r"A = I - \partial G"), *in_words(", the projection "), Math("P"),
        *in_words(" on its kernel along its range, its group inverse "), Math(r"A^{\#}"), *in_words(" and "),
        Math(r"\Sigma = G_{\xi} V G_{\xi}^{\top}"), *in_words(" in the state z = (x, m − ι(x)), at rest on Γ, of which x-parts are meant:"),
    )  # fmt: skip
    terms = [term for term in derivation.terms if term.definition != term.symbol and term.name not in OF_LOSS]
    yield aligned(
        [line for term in terms for line in equation_lines(term.symbol, filled([term.definition], room(term.symbol)))]
    )


def _manifold(derivation: Derivation, structure: StructuralFormulas) -> Iterator[Block]:
    """Γ by its equations, which are f_i = 0 where the formulas in vectors state the f_i."""
    d, m = derivation.problem.dimension, derivation.codimension
    sizes = [rf"\quad \dim\Gamma = {d - m},", rf"\quad \mathrm{{rank}}\,\nabla^2 L = {m}"]
    vanishing, levels = derivation.equations.expand("printed").flat(), structure.levels(WRITTEN)
    stated, free = list(map(equated, vanishing)), room(r"\Gamma = \{x:\},")
    if set(vanishing) == set(levels) and visible_length(", ".join(stated)) > free:
        f = structure.level.tex
        stated = [rf"{f}_i = 0", rf"\ 1 \leq i \leq {len(levels)}"] if structure.bends else [f"{f} = 0"]
    if max(map(visible_length, stated)) <= free:
        pieces = [*(f"{piece}," for piece in stated[:-1]), rf"{stated[-1]}\}},"]
        yield aligned(equation_lines(r"\Gamma", filled([rf"\{{x : {pieces[0]}", *pieces[1:], *sizes], room(r"\Gamma"))))
    else:
        first, *further = filled(sizes, room(r"\Gamma"))
        yield aligned([rf"\Gamma &: {first}", *(f"& {piece}" for piece in further)])
        yield from zeros(vanishing)


def _noise(derivation: Derivation, structure: StructuralFormulas) -> Iterator[Block]:
    """σ where a line in vectors holds it, or in words where it is long."""
    if not any(SIGMA.name in line.value.names for line in structure.lines):
        return
    noise = derivation.noise_factor
    if noise.expanded_size("noise_factor") <= SHORT:
        factor = noise.expand("noise_factor")
        if factor.rows > LARGEST_SHOWN and factor == factor[0, 0] * sp.eye(*factor.shape):
            scale = "" if factor[0, 0] == 1 else rf"{expression_latex(factor[0, 0])}\,"
            yield display(rf"\sigma = {scale}I")
            return
        if _is_short(r"\sigma", factor):
            yield from matrix_displays(r"\sigma", [], factor)
            return
    yield sentence(f"The noise is {derivation.optimizer.noise_statement(derivation.stated)}")


def _validity(derivation: Derivation) -> Iterator[Block]:
    conditions, further = derivation.conditions_within(PRINTED)
    if conditions:
        yield from _listed(r"\text{valid where }", list(map(expression_latex, conditions)))
    if further:
        yield sentence(f"The formulas hold where {' and '.join(further)}.")
    if derivation.component is not None and derivation.component.equations:
        yield from _listed(
            r"\text{on the part of }\Gamma\text{ where }", list(map(equated, derivation.component.equations))
        )


def _listed(words: str, formulas: Sequence[str]) -> Iterator[Block]:
    pieces = [f"{words} {formulas[0]}", *(rf"\quad {formula}" for formula in formulas[1:])]
    lines = filled([*(f"{piece}," for piece in pieces[:-1]), pieces[-1]], layout().line)
    yield display(lines[0]) if len(lines) == 1 else aligned(f"&{line}" for line in lines)


# --- entries --------------------------------------------------------------------------------------


def _short_entries(
    terms: Sequence[Term], matrices: Mapping[str, SymbolicMatrix | None], program: Callable[[str], Program | None]
) -> Iterator[Block]:
    """The terms that are short and not zero, each once, and how long the others are."""
    blocks: list[Block] = []
    long: list[tuple[Term, int | None]] = []
    shown: list[SymbolicMatrix] = []
    for term in terms:
        matrix = matrices[term.name]
        if matrix is not None and (matrix.is_zero_matrix or matrix in shown):
            continue
        if matrix is not None and _is_short(term.symbol, matrix):
            blocks += _named(matrix_displays(term.symbol, [], matrix), f"{term.name}_entries")
            shown.append(matrix)
        else:
            shortest = program(term.name) if matrix is None else None
            long.append((term, size(matrix) if matrix is not None else shortest and shortest.operations))
    if blocks:
        yield paragraph("Entry by entry:")
        yield from blocks
    if long:
        counted = [operations for _, operations in long if operations is not None]
        yield written_out([term.symbol for term, _ in long], max(counted) if counted else None)


def written_out(symbols: Sequence[str], most: int | None) -> Paragraph:
    """That the entries of some terms are not printed, of so many operations at most; None where they are computed by matrices."""
    listed: list[Inline] = []
    for k, symbol in enumerate(symbols):
        listed += [" and " if k == len(symbols) - 1 else ", "] if k else []
        listed.append(Math(symbol))
    several = len(symbols) > 1
    whose = f"their entries, of up to {most}" if several else f"its entries, of {most}"
    verb = "are" if several else "is"
    if most is None:
        whose = "their entries" if several else "its entries"
        return paragraph(
            *listed, f" {verb} what stands above in vectors; {whose} are computed by matrices, and not printed."
        )
    return paragraph(*listed, f" {verb} what stands above in vectors; {whose} operations, are not printed.")


def _all_entries(
    terms: Sequence[Term], matrices: Mapping[str, SymbolicMatrix | None], program: Callable[[str], Program | None]
) -> Iterator[Block]:
    yield paragraph("Entry by entry:")
    for term in terms:
        matrix = matrices[term.name]
        if matrix is not None and size(matrix) <= PRINTED:
            yield from _named(matrix_displays(term.symbol, [], matrix), f"{term.name}_entries")
        else:
            yield from _by_named_parts(term, program(term.name))


def _by_named_parts(term: Term, program: Program | None) -> Iterator[Block]:
    if program is None:
        yield paragraph(
            Math(term.symbol),
            ": ",
            *in_words("The entries are computed by matrices: see "),
            Code("sde.lambdify()"),
            ".",
        )
        return
    if program.operations > NAMED:
        text = f"The entries take {program.operations} operations, more than the {NAMED} that are printed: see "
        yield paragraph(Math(term.symbol), ": ", *in_words(text), Code("sde.program"), ".")
        return
    (output,) = (output for output in program.outputs if output.name == term.name)
    found = named_parts(program, term.name, room(term.symbol), expression_latex)
    yield from entry_displays(term.symbol, output.shape, found)


def _named(blocks: Sequence[Block], name: str) -> list[Block]:
    """With a name for the first line, if it is a formula of its own."""
    first, *others = blocks
    return [display(first.lines[0], name) if isinstance(first, Formula) and not first.aligned else first, *others]


def _is_short(symbol: str, matrix: SymbolicMatrix) -> bool:
    if size(matrix) > SHORT:
        return False
    with on_trial():
        blocks = matrix_displays(symbol, [], matrix)
    return sum(height(block.lines) if isinstance(block, Formula) else 1 for block in blocks) <= LINES


def size(matrix: SymbolicMatrix) -> int:
    """Operations in all entries."""
    return sum(operations(entry) for entry in matrix.flat())
