"""The last sections: the regularizer, the SDE in coordinates of Γ, the certificate, and how to cite."""

from collections.abc import Iterator

from symbolic_sgd.charts.chart_sde import ChartSDE
from symbolic_sgd.charts.fixed_points import FixedPoints
from symbolic_sgd.charts.zeros_in_chart import FixedPoint
from symbolic_sgd.documents.document import Block, Items
from symbolic_sgd.documents.findings import Findings, attempt
from symbolic_sgd.documents.formulas import inline, listed, matrix_equation, printed
from symbolic_sgd.errors import NoRegularizerFormula, SymbolicSGDError
from symbolic_sgd.printing.blocks import Inline, Math, Paragraph, display, paragraph
from symbolic_sgd.printing.displays import equations, expression_latex
from symbolic_sgd.printing.layout import LINE
from symbolic_sgd.printing.prose import in_words, sentence
from symbolic_sgd.printing.width import visible_length
from symbolic_sgd.regularizer.regularizer import Regularizer


def regularizer(findings: Findings) -> tuple[Block, ...]:
    """R with mixed + normal regularization = −∂Φ∇R on Γ, or the evidence that there is none, or why it is undecided."""
    found = findings.regularizer
    by_metric = r"S_{\!P}" if findings.derivation.optimizer.in_metric else ""
    terms = {term.name: term.symbol for term in findings.derivation.terms}
    total = " + ".join(terms[name] for name in findings.derivation.regularizing)
    covector = rf"S_{{\!P}}^{{-1}}({total})" if by_metric else total
    asked = rf"{total} = -\,\partial\Phi\,{by_metric}\nabla R"
    if isinstance(found, NoRegularizerFormula):
        return (
            sentence("Γ is a curve. Along every arc of it the regularization descends"),
            display(rf"R = -\int \langle {covector},\, dY\rangle"),
            sentence(f"and no formula of R was found: {found}."),
        )
    if not isinstance(found, Regularizer):
        return (
            sentence("Whether the regularization descends a function R on Γ,"),
            display(asked),
            paragraph(f"is not decided: {found}."),
        )
    if found.expression is None:
        return (
            sentence("The regularization descends no function on Γ: no R has"),
            display(asked),
            sentence(f"Evidence: {found.words}."),
        )
    if not found.expression:
        return (sentence("The mixed and the normal regularization vanish on Γ: nothing is regularized."),)
    return (
        sentence("On Γ, up to a constant, the regularization descends R:"),
        display(asked),
        *equations([("R", found.expression)]),
        sentence(f"How it is known: {found.words}."),
    )


def chart(findings: Findings) -> tuple[Block, ...]:
    """The same SDE over D − M coordinates, with its fixed points or stationary density."""
    found = findings.chart
    if not isinstance(found, ChartSDE):
        return (paragraph(f"No chart was found by itself: {found}"),)
    still = findings.vanishes("tangent_noise")
    moving = "" if still else r" + \sigma_\theta\,dW"
    return (
        paragraph(
            *in_words("In the coordinates θ"), " = (", *listed(found.coordinates), *in_words("), with x = ψ(θ),"),
            " the limit reads",
        ),
        display(r"d\theta = 0" if findings.constant else rf"d\theta = b_\theta\,dt{moving}"),
        *matrix_equation(r"\psi(\theta)", [], found.embedding),
        *(() if findings.constant else (*_coefficients(found, still), *_long_run(found))),
    )  # fmt: skip


def _coefficients(found: ChartSDE, still: bool) -> Iterator[Block]:
    """b_θ and σ_θ entry by entry where they are short, else by the coefficients in the ambient space."""
    coefficients = attempt(lambda: (found.drift, found.diffusion))
    if isinstance(coefficients, SymbolicSGDError) or not all(map(printed, coefficients)):
        yield _by_ambient(found, still)
        return
    drift, noise = coefficients
    yield from matrix_equation(r"b_\theta", [], drift)
    if not still:
        yield from matrix_equation(r"\sigma_\theta", [], noise)


def _by_ambient(found: ChartSDE, still: bool) -> Paragraph:
    """The coefficients in a chart by those in the ambient space."""
    if found.chart.embedding.selected is None:
        noise: list[Inline] = [] if still else [" and ", Math(r"\sigma_\theta = \psi'^{+}\sigma_{\parallel}")]
        drift = Math(r"b_\theta = \psi'^{+}\bigl(b - \tfrac12\,\psi''[\sigma_\theta\sigma_\theta^{\top}]\bigr)")
        return paragraph("where ", drift, *noise, ".")
    rows = "b_θ consists of those rows of b" if still else "b_θ and σ_θ consist of those rows of b and of σ_∥"
    return sentence(f"where {rows} that belong to the coordinates, at x = ψ(θ).")


def _long_run(found: ChartSDE) -> Iterator[Block]:
    points = attempt(lambda: found.fixed_points)
    if not isinstance(points, SymbolicSGDError):
        yield from _fixed_points(points)
        return
    if len(found.coordinates) == 1:
        density = attempt(lambda: found.stationary_density)
        if isinstance(density, SymbolicSGDError):
            yield sentence(f"{str(density)[0].upper()}{str(density)[1:]}.")
        else:
            yield paragraph("Stationary density with respect to ", Math("d" + inline(found.coordinates[0]).tex), ":")
            yield from equations([("p", density)])


def _fixed_points(found: FixedPoints) -> Iterator[Block]:
    """Those in the chart, those elsewhere on Γ, and what is known beyond them where that is not all."""
    if len(found):
        yield paragraph("Fixed points" + ("" if found.complete else " that were found") + ":")
        yield Items(tuple(map(_fixed_point, found)))
    if found.elsewhere:
        yield sentence("Fixed points that were found elsewhere on Γ, where this chart does not go:")
        yield Items(tuple(map(_fixed_point, found.elsewhere)))
    if not found.complete or not len(found):
        yield sentence(f"Of its fixed points is known: {found.reason}.")


def _fixed_point(point: FixedPoint) -> Paragraph:
    """Exact where every coordinate fits into a line of text, else to six digits."""
    short = all(visible_length(expression_latex(c)) <= LINE // 3 for c in point.ambient)
    fits = point.exact and (short or any(c.free_symbols for c in point.ambient))
    shown = listed(point.ambient if fits else [c.evalf(6) for c in point.ambient])
    return paragraph(Math("x"), " = (" if fits else " ≈ (", *shown, f"), {point.stability}")


def pictures(findings: Findings) -> tuple[Block, ...]:
    """Those that were drawn."""
    return findings.figures
