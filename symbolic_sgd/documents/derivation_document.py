"""The document of one derivation, in the order of a proof."""

from collections.abc import Callable

from symbolic_sgd.documents import consequences, ending, setting, theorem, wants
from symbolic_sgd.documents.document import Block, Document, Section
from symbolic_sgd.documents.findings import Findings
from symbolic_sgd.documents.formulas import in_text
from symbolic_sgd.errors import NoRegularizerFormula
from symbolic_sgd.printing.blocks import Inline, Paragraph
from symbolic_sgd.printing.prose import in_words
from symbolic_sgd.regularizer.regularizer import Regularizer

SECTIONS: tuple[tuple[str, Callable[[Findings], tuple[Block, ...]]], ...] = (
    ("The problem", setting.problem),
    ("The theorem", theorem.theorem),
    ("Assumptions checked", setting.assumptions),
    ("The manifold Γ", setting.manifold),
    ("The limiting equation in vectors", theorem.in_vectors),
    ("The limit Φ of the gradient flow", setting.gradient_flow),
    ("∇²L, ∂Φ and ∇²L† on Γ", theorem.operators),
    ("The noise on Γ and the Lyapunov inverse", theorem.noise_on_manifold),
    ("The four terms", theorem.terms),
    ("The limiting equation", theorem.equation),
    ("The regularizer", consequences.regularizer),
    ("What the noise wants", wants.section),
    ("In coordinates of Γ", consequences.chart),
    ("Pictures", consequences.pictures),
    ("Certificate", lambda findings: ending.certificate(findings.certificate)),
    ("Citation", lambda _: ending.citation()),
)
"""(title, what stands under it): a further section is a further row, and an empty one is left out."""


def derivation_document(findings: Findings) -> Document:
    """Every section that has something to say."""
    written = ((title, blocks(findings)) for title, blocks in SECTIONS)
    sections = tuple(Section(title, blocks) for title, blocks in written if blocks)
    return Document(findings.title, Paragraph((*result(findings), *ending.warning(findings.certificate))), sections)


def result(findings: Findings) -> list[Inline]:
    """The outcome in one line: what the regularization descends, and what moves."""
    found = findings.regularizer
    if findings.constant:
        return in_words("Nothing moves on Γ: noise and drift vanish.")
    noise = "no noise along Γ" if findings.vanishes("tangent_noise") else "noise along Γ"
    if findings.derivation.optimizer.has_slow_field:
        noise += ", and a drift that the optimizer imposes"
    if isinstance(found, NoRegularizerFormula):
        return in_words(
            f"The regularization descends a function along every arc of Γ, a curve; no formula of it was found; {noise}."
        )
    if not isinstance(found, Regularizer):
        return in_words(f"Regularization towards no function that was found (undecided); {noise}.")
    if found.expression is None:
        return in_words(f"No regularizer: {_evidence(found)}; {noise}.")
    if not found.expression:
        return in_words(f"No regularization: {noise}, and the drift that keeps it there.")
    descends = [*in_words("The regularization descends R = "), *in_text(found.expression)]
    return [*descends, *in_words(f"; {noise}.")]


def _evidence(found: Regularizer) -> str:
    if found.loop_integral is not None:
        return f"the regularization has the integral {found.loop_integral:.6g} round a closed curve on Γ"
    return f"the regularization has a curl, {found.curl:.4g} at one point of Γ"
