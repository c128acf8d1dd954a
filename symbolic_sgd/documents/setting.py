"""The first sections: what is stated, what was checked, Γ, and the limit of the gradient flow."""

from collections.abc import Iterator

from symbolic_sgd.documents.document import Block, Items
from symbolic_sgd.documents.findings import Findings
from symbolic_sgd.documents.formulas import listed, matrix_equation
from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.flow.explicit import ExplicitLimit
from symbolic_sgd.flow.implicit import ImplicitLimit
from symbolic_sgd.flow.limit import FlowLimit
from symbolic_sgd.manifold.precise import DIGITS
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.printing.blocks import Formula, Math, Paragraph, display, paragraph
from symbolic_sgd.printing.displays import equation_lines, equations, filled, room, zeros
from symbolic_sgd.printing.prose import in_words, sentence
from symbolic_sgd.theorem.derivation import PLAIN

PLAIN_STEP: tuple[Block, ...] = (
    paragraph("Stochastic gradient descent with learning rate ", Math(r"\eta"), ","),
    display(r"x(k+1) = x(k) - \eta\,\bigl(\nabla L(x(k)) + \text{noise}\bigr)"),
)


def sentence_case(words: str) -> str:
    """With a capital letter at the beginning."""
    return words[:1].upper() + words[1:]


def problem(findings: Findings) -> tuple[Block, ...]:
    """The loss, its parameters, and the noise of SGD."""
    stated, optimizer = findings.derivation.stated, findings.derivation.optimizer
    further: list[Block] = []
    if stated.constants:
        further.append(paragraph("Constants, which stay symbolic: ", *listed(stated.constants), "."))
    if stated.conditions:
        further.append(paragraph(*in_words("On the part of Γ that is meant, "), *listed(stated.conditions), "."))
    return (
        *(PLAIN_STEP if optimizer == PLAIN else ()),
        paragraph(
            *in_words(
                f"{'' if optimizer == PLAIN else sentence_case(optimizer.label) + ' '}runs over D = {stated.dimension} parameters x"
            ),
            " = (",
            *listed(stated.parameters),
            "), with loss",
        ),
        *equations([("L", stated.loss)]),
        sentence(f"The noise is {optimizer.noise_statement(stated)}"),
        *further,
    )


def assumptions(findings: Findings) -> tuple[Block, ...]:
    """What the theorem assumes, and how it was examined."""
    derivation = findings.derivation
    rank = (
        f"At {len(derivation.points)} points of Γ, known to 120 digits, ∇²L is positive semidefinite of rank "
        f"M = {derivation.codimension}, which is the codimension of the zeros of ∇L there; ranks and zeros are decided to "
        f"{DIGITS} digits."
    )
    return (
        sentence(
            "The theorem asks for a manifold Γ of minimizers, smooth, on which ∇²L has the rank of its codimension."
        ),
        Items(
            (
                sentence(rank),
                paragraph("The loss and the noise are smooth at these points, and real on the domain."),
                sentence(f"The normal space of Γ is spanned by {derivation.frame_origin}."),
                _where(findings),
            )
        ),
        sentence(
            "Elsewhere in the zero set of ∇L, at saddles, maxima and points of another rank, the theorem says nothing, and "
            "neither do the formulas below."
        ),
    )


def _where(findings: Findings) -> Paragraph:
    derivation = findings.derivation
    on = "all of Γ" if derivation.component is None else str(derivation.component)
    conditions, further = derivation.conditions_within(200)
    if not conditions and not further:
        return sentence(f"The formulas hold on {on}.")
    words = " and ".join(further)
    if not conditions:
        return sentence(f"The formulas hold on {on}, where {words}.")
    rest = in_words(f" and where {words}.") if further else ["."]
    return paragraph(*in_words(f"The formulas hold on {on}, where "), *listed(conditions), *rest)


def manifold(findings: Findings) -> tuple[Block, ...]:
    """Γ: equations and dimension."""
    derivation = findings.derivation
    d, m = derivation.problem.dimension, derivation.codimension
    vanishing = derivation.equations.expand("printed").flat()
    return (
        sentence(f"Γ has dimension D − M = {d - m} and is given, near the points found, by"),
        *zeros(vanishing),
    )


def gradient_flow(findings: Findings) -> tuple[Block, ...]:
    """Φ, what the flow conserves, and how Φ is known."""
    limit = findings.limit
    if isinstance(limit, SymbolicSGDError):
        return (paragraph(*in_words("Φ was not found: "), str(limit)),)
    pieces = [r"\lim_{t\to\infty} x(t),", r"\quad \dot x = -\nabla L(x),\quad x(0) = x"]
    return (
        Formula(tuple(equation_lines(r"\Phi(x)", filled(pieces, room(r"\Phi(x)"))))),
        *_conserved(limit),
        *_form(limit),
        sentence(_where_it_starts(findings.derivation.optimizer)),
    )


def _where_it_starts(optimizer: Optimizer) -> str:
    if not optimizer.is_finite:
        return "SGD reaches Γ near Φ(x(0)), and the limiting equation starts there."
    rate = "At a learning rate that stays, " if optimizer.kernel is not None else "By itself "
    return (
        f"{rate}{optimizer.label} without noise does not follow this flow: the limiting equation starts where its "
        "own iteration ends, symbolic_sgd.iteration_limit(problem, optimizer)(x)."
    )


def _conserved(limit: FlowLimit) -> Iterator[Block]:
    if limit.integrals:
        yield paragraph("Conserved by the flow, so that ", Math(r"I_k(\Phi(x)) = I_k(x)"), ":")
        yield from equations([(f"I_{{{k}}}(x)", i.expression) for k, i in enumerate(limit.integrals, start=1)])


def _form(limit: FlowLimit) -> Iterator[Block]:
    counted = f"{len(limit.integrals)} of the D − M = {limit.dimension} independent first integrals were found"
    if isinstance(limit.form, ExplicitLimit):
        yield sentence(
            f"Φ is explicit: {limit.form.road}; the formula agrees with the integrated flow at {limit.starts} random starts."
        )
        yield from matrix_equation(r"\Phi(x)", [], limit.form.expressions)
    elif isinstance(limit.form, ImplicitLimit):
        yield sentence(f"Φ is implicit but exact: {counted}, and with the equations of Γ they determine Φ(x):")
        yield from zeros(limit.form.equations[: limit.codimension])
    else:
        yield sentence(f"Φ is numeric: {counted}, so it has no formula and is integrated where it is needed.")
