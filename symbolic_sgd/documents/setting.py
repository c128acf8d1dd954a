"""The first sections: what is stated, what was checked, Γ, and the limit of the gradient flow."""

from collections.abc import Iterator

from symbolic_sgd.documents.document import Block, Items
from symbolic_sgd.documents.findings import Findings
from symbolic_sgd.documents.formulas import equations, listed, matrix_equation, program_matrix
from symbolic_sgd.errors import ExpressionTooLarge, SymbolicSGDError
from symbolic_sgd.flow.explicit import ExplicitLimit
from symbolic_sgd.flow.implicit import ImplicitLimit
from symbolic_sgd.flow.limit import FlowLimit
from symbolic_sgd.manifold.precise import DIGITS
from symbolic_sgd.printing.blocks import Math, Paragraph, display, paragraph, words

LARGEST_HESSIAN = 6
"""Parameters up to which ∇²L, which L determines, is printed."""


def problem(findings: Findings) -> tuple[Block, ...]:
    """The loss, its parameters, and the noise of SGD."""
    stated = findings.derivation.stated
    noise = r"x(k+1) = x(k) - \eta\,\bigl(\nabla L(x(k)) + \text{noise}\bigr)"
    further: list[Block] = []
    if stated.constants:
        further.append(paragraph("Constants, which stay symbolic: ", *listed(stated.constants), "."))
    if stated.conditions:
        further.append(paragraph("On the part of Γ that is meant, ", *listed(stated.conditions), "."))
    return (
        paragraph("Stochastic gradient descent with learning rate ", Math(r"\eta"), ","),
        display(noise),
        paragraph(
            f"runs over D = {stated.dimension} parameters ",
            Math("x"),
            " = (",
            *listed(stated.parameters),
            "), with loss",
        ),
        *equations(("L", stated.loss)),
        words(f"The noise is {stated.noise.statement}"),
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
        paragraph(
            "The theorem asks for a manifold Γ of minimizers, smooth, on which ∇²L has the rank of its codimension."
        ),
        Items(
            (
                paragraph(rank),
                paragraph("The loss and the noise are smooth at these points, and real on the domain."),
                paragraph(f"The normal space of Γ is spanned by {derivation.frame_origin}."),
                _where(findings),
            )
        ),
        paragraph(
            "Elsewhere in the zero set of ∇L, at saddles, maxima and points of another rank, the theorem says nothing, and "
            "neither do the formulas below."
        ),
    )


def _where(findings: Findings) -> Paragraph:
    derivation = findings.derivation
    on = "all of Γ" if derivation.component is None else str(derivation.component)
    try:
        conditions = derivation.conditions(budget=200)
    except ExpressionTooLarge:
        return paragraph(f"The formulas hold on {on}, where a minor of ∇²L, too large to be printed, is not singular.")
    if not conditions:
        return paragraph(f"The formulas hold on {on}.")
    return paragraph(f"The formulas hold on {on}, where ", *listed(conditions), ".")


def manifold(findings: Findings) -> tuple[Block, ...]:
    """Γ: equations, dimension, and the Hessian on it."""
    derivation = findings.derivation
    d, m = derivation.problem.dimension, derivation.codimension
    vanishing = derivation.equations.expand("printed").flat()
    hessian = program_matrix(r"\nabla^2 L", derivation.blocks, "hessian") if d <= LARGEST_HESSIAN else ()
    return (
        paragraph(f"Γ has dimension D − M = {d - m} and is given, near the points found, by"),
        *equations(*(("0", e) for e in vanishing)),
        *((paragraph("The Hessian of the loss on it is"), *hessian) if hessian else ()),
    )


def gradient_flow(findings: Findings) -> tuple[Block, ...]:
    """Φ, what the flow conserves, and how Φ is known."""
    limit = findings.limit
    if isinstance(limit, SymbolicSGDError):
        return (paragraph(f"Φ was not found: {limit}"),)
    return (
        display(r"\Phi(x) = \lim_{t\to\infty} x(t),\qquad \dot x = -\nabla L(x),\quad x(0) = x"),
        *_conserved(limit),
        *_form(limit),
        paragraph("SGD reaches Γ near ", Math(r"\Phi(x(0))"), ", and the limiting equation starts there."),
    )


def _conserved(limit: FlowLimit) -> Iterator[Block]:
    if limit.integrals:
        yield paragraph("Conserved by the flow, so that ", Math(r"I_k(\Phi(x)) = I_k(x)"), ":")
        yield from equations(*((f"I_{{{k}}}(x)", i.expression) for k, i in enumerate(limit.integrals, start=1)))


def _form(limit: FlowLimit) -> Iterator[Block]:
    counted = f"{len(limit.integrals)} of the D − M = {limit.dimension} independent first integrals were found"
    if isinstance(limit.form, ExplicitLimit):
        yield paragraph(
            f"Φ is explicit: {limit.form.road}; the formula agrees with the integrated flow at {limit.starts} random starts."
        )
        yield from matrix_equation(r"\Phi(x)", "", limit.form.expressions)
    elif isinstance(limit.form, ImplicitLimit):
        yield paragraph(f"Φ is implicit but exact: {counted}, and with the equations of Γ they determine Φ(x):")
        yield from equations(*(("0", e) for e in limit.form.equations[: limit.codimension]))
    else:
        yield paragraph(f"Φ is numeric: {counted}, so it has no formula and is integrated where it is needed.")
