"""What `derive` shows: the loss, the noise, Γ, the limiting SDE and R on a screen, and after it how they were found."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.printing.one_formula import DIFFERENTIALS
from symbolic_sgd.printing.plain import SUBSCRIPTS, WIDTH, filled, plain, plainly_zero, wrapped
from symbolic_sgd.printing.structural import WRITTEN
from symbolic_sgd.printing.theorem import NAMED
from symbolic_sgd.problems.noise import GradientNoise
from symbolic_sgd.regularizer.regularizer import Regularizer
from symbolic_sgd.theorem.derivation import PLAIN
from symbolic_sgd.theorem.response import ReshuffledResponse
from symbolic_sgd.theorem.structural import REGULARIZER, Line
from symbolic_sgd.theorem.terms import DRIFT_TERMS

LABELLED = ("tangent_noise", *DRIFT_TERMS, "drift")
"""Terms whose names stand beside their lines."""

LABELS = 42
"""Characters of these lines that are kept free for them."""

LEFT = len("Γ = {}, , with")
"""Characters that stand on the line of Γ beside its equations and its sizes."""

FEW = 8
"""Rows of a matrix, and lines of an expression, that a screen has room for."""

Terms = Mapping[str, Line]
"""The line of each term."""


def screen(title: str | None, sde: LimitingSDE, found: Regularizer | SymbolicSGDError) -> str:
    """The report on a derivation.

    Args:
        title: of the problem.
        sde: what was derived.
        found: what is known of the regularizer, or why it is undecided.
    """
    lines: Terms = {line.term: line for line in sde.structure.written if line.term is not None}
    blocks = (
        [title] if title else [],
        list(chain(_loss(sde), _manifold(sde), _noise(sde), _optimizer(sde))),
        list(chain([_equation(sde, lines)], _structure(sde))),
        list(_regularizer(sde, found, lines)),
        list(chain.from_iterable(_entries(sde, name, lines[name]) for name in DIFFERENTIALS)),
        list(_road(sde)),
    )
    return "\n\n".join("\n".join(block) for block in blocks if block)


# --- the problem ----------------------------------------------------------------------------------


def _loss(sde: LimitingSDE) -> Iterator[str]:
    """The loss, in f_1 … f_M where it is long and they are all of it."""
    loss, levels = sde.problem.loss, _levels(sde)
    text = f"L = {plain(loss)}"
    if len(text) > WIDTH and levels:
        symbols = {name: sp.Symbol(name) for name in levels}
        meant = {sign * f: sign * symbols[name] for name, f in levels.items() for sign in (1, -1)}
        named: Expression = sp.factor_terms(loss.xreplace(meant))  # pyright: ignore[reportArgumentType]
        if not named.free_symbols & set(sde.problem.parameters):
            text = f"L = {plain(named)}"
    yield from _within(wrapped(text, indent="    "), "L is too long for a screen")


def _manifold(sde: LimitingSDE) -> Iterator[str]:
    """Γ by its equations, or by f_1 … f_M where these vanish on it and are long; and what the f_i are."""
    levels = _levels(sde)
    manifold = sde.manifold
    sizes = f"dimension {manifold.dimension}, codimension {manifold.codimension}"
    zeros = ", ".join(map(plainly_zero, manifold.equations))
    if set(levels.values()) == set(manifold.equations) and len(zeros) + len(sizes) > WIDTH - LEFT:
        zeros = " = ".join([*levels, "0"])
    lines = wrapped(f"Γ = {{{zeros}}}, {sizes}", indent="    ")
    if levels:
        lines[-1] += ", with"
        stated = (f"  {name} = {plain(f)}" for name, f in levels.items())
        lines.extend(chain.from_iterable(wrapped(text, indent="      ") for text in stated))
    yield from _within(lines, f"Γ, {sizes}: its equations are too long for a screen, --json has them")


def _levels(sde: LimitingSDE) -> dict[str, Expression]:
    """f, or f₁ … f_M, by their names."""
    levels, name = sde.structure.levels(WRITTEN), sde.structure.level.name
    indices = [""] if len(levels) == 1 else [str(i + 1).translate(SUBSCRIPTS) for i in range(len(levels))]
    return {f"{name}{index}": level for index, level in zip(indices, levels, strict=True)}


def _noise(sde: LimitingSDE) -> Iterator[str]:
    noise = sde.problem.noise
    yield from wrapped(f"The noise is {sde.optimizer.noise_statement(sde.problem)}", indent="    ")
    response = sde.derivation.response
    if isinstance(noise, GradientNoise) and (response.in_parameters or isinstance(response, ReshuffledResponse)):
        rows = [f"[{', '.join(map(plain, row))}]" for row in noise.sigma.tolist()]
        if len(rows) <= FEW and max(map(len, rows)) <= WIDTH - 6:
            yield from (f"{'  σ = ' if i == 0 else '      '}{row}" for i, row in enumerate(rows))


def _within(lines: Sequence[str], otherwise: str) -> Sequence[str]:
    """The lines, or if they are too many what is said instead."""
    return lines if len(lines) <= 2 * FEW else [otherwise]


# --- the limiting equation ------------------------------------------------------------------------


GREEK = {r"\eta": "η", r"\beta": "β"}
"""Letters of optimizers in characters."""


def _optimizer(sde: LimitingSDE) -> Iterator[str]:
    """Which optimizer, where it is not plain SGD."""
    if sde.optimizer != PLAIN:
        numbers = [f"{GREEK.get(letter, letter)} = {plain(value)}" for letter, value in sde.optimizer.letters.items()]
        yield from wrapped(f"The optimizer is {', '.join([sde.optimizer.label, *numbers])}.", indent="    ")


def _time(sde: LimitingSDE) -> str:
    """t, in which the limit moves."""
    return "kη²" if sde.optimizer == PLAIN else f"k {plain(sde.optimizer.map_unit)}"


def _equation(sde: LimitingSDE, lines: Terms) -> str:
    time = _time(sde)
    moving = [f"{lines[name].name.name} {change}" for name, change in DIFFERENTIALS.items() if not _zero(lines[name])]
    if not moving:
        return f"dY = 0 on Γ: nothing moves in the time t = {time}"
    return f"dY = {' + '.join(moving)} on Γ, in Itô's sense and the time t = {time}"


def _zero(line: Line) -> bool:
    return not line.value.names


def _structure(sde: LimitingSDE) -> Iterator[str]:
    """The terms with their names, and what the letters in them stand for."""
    meant = [f"{g.left} = {g.right if g.value is None else plain(g.value)}" for g in sde.structure.given]
    for line in sde.structure.written:
        text = f"{line.name.name} = {line.value}"
        if line.term in LABELLED:
            yield f"  {text:<{LABELS}}  {str(line.term).replace('_', ' ')}"
        elif line.name.name != REGULARIZER.name:
            meant.append(text)
    if meant:
        yield from filled([f"{text}," for text in meant[:-1]] + meant[-1:], "  with ", "    ")


def _descent(sde: LimitingSDE) -> str:
    """What the regularization is by R: the negative gradient on Γ, in the metric of a preconditioner."""
    return "-∂Φ S_P∇R" if sde.optimizer.in_metric else "-∂Φ∇R"


def _regularizer(sde: LimitingSDE, found: Regularizer | SymbolicSGDError, lines: Terms) -> Iterator[str]:
    """R, by its formula in vectors and by its expression, or why there is none."""
    parts = [lines[name] for name in sde.derivation.regularizing if not _zero(lines[name])]
    names = " + ".join(line.name.name for line in parts)
    if isinstance(found, SymbolicSGDError):
        yield from wrapped(f"R is undecided: {found}", indent="    ")
    elif found.expression is None:
        yield from wrapped(f"There is no R with {names} = {_descent(sde)}: {found.words}", indent="    ")
    elif not parts or not found.expression:
        yield f"R = 0: {found.words}"
    else:
        by_vectors = [line for line in sde.structure.written if line.name.name == REGULARIZER.name]
        yield f"{names} = {_descent(sde)} with, up to a constant,"
        yield from (f"  R = {line.value}" for line in by_vectors)
        text = f"  {'  =' if by_vectors else 'R ='} {plain(found.expression)}"
        yield from _within(wrapped(text, indent="      "), "  R is too long for a screen: --json has it")


# --- entries --------------------------------------------------------------------------------------


def _entries(sde: LimitingSDE, name: str, line: Line) -> Iterator[str]:
    """A coefficient entry by entry where it is short; where it is not, one line with what to do."""
    if _zero(line):
        return
    letter, size = line.name.name, sde.size(name)
    if size.by_matrices:
        yield f"{letter} entry by entry is too long to be read: sde.lambdify() computes it by matrices"
        return
    rows = _rows(sde, name) if size.road else []
    if rows and len(rows) <= FEW and max(map(len, rows)) <= WIDTH:
        yield f"{letter}, entry by entry:"
        yield from rows
    elif size.written <= NAMED:
        yield f"{letter} entry by entry is long ({size.written} operations): --latex F writes it out"
    else:
        yield f"{letter} entry by entry is too long to be read ({size.written} operations): sde.lambdify() computes it"


def _rows(sde: LimitingSDE, name: str) -> list[str]:
    """The rows of a matrix with the parameters they belong to; what is zero is said at the end."""
    entries = {plain(x): row for x, row in zip(sde.problem.parameters, sde.term(name).tolist(), strict=True)}
    width = max(map(len, entries))
    shown = [f"  {x:<{width}}  {', '.join(map(plain, row))}" for x, row in entries.items() if any(row)]
    return shown if len(shown) == len(entries) else [*shown, "  all other rows are zero"]


# --- how it was found -----------------------------------------------------------------------------


def _road(sde: LimitingSDE) -> Iterator[str]:
    """Which road was taken, and how large each term is."""
    yield "How it was found"
    yield from chain.from_iterable(wrapped(f"  {sentence}", indent="    ") for sentence in sde.road)
    if sde.sizes[-1].by_matrices:
        yield "  every term that is not zero is computed by matrices, and not written out"
        return
    roads = list(dict.fromkeys(size.road for size in sde.sizes if size.road and not size.zero))
    yield f"  {'operations of':<28}{'program':>9}{'formula':>9}"
    for size in sde.sizes:
        if size.zero:
            yield f"  {size.name:<28}{'zero':>9}"
        else:
            form = f"({roads.index(size.road) + 1})" if size.road else f"({size.expanded:.2g} written out)"
            yield f"  {size.name:<28}{size.program:>9}{size.written:>9}  {form}"
    for number, road in enumerate(roads, start=1):
        yield from wrapped(f"  ({number}) {road}", indent="      ")
