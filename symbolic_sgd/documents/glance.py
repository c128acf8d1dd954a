"""The short document of a derivation: what is seen first, without a search for Φ or for coordinates."""

from symbolic_sgd.documents import consequences, setting, theorem
from symbolic_sgd.documents.derivation_document import result
from symbolic_sgd.documents.document import Block, Document, Figure, Items, Section
from symbolic_sgd.documents.findings import Findings, Matrices
from symbolic_sgd.errors import SymbolicSGDError, Undecided
from symbolic_sgd.printing.blocks import Math, paragraph
from symbolic_sgd.printing.displays import expression_latex
from symbolic_sgd.printing.prose import sentence
from symbolic_sgd.regularizer.regularizer import Regularizer
from symbolic_sgd.theorem.derivation import PLAIN, Derivation
from symbolic_sgd.theorem.structural import StructuralFormulas

NOT_SOUGHT = Undecided("it was not sought")
"""Why Φ and a chart are not in it."""


def glance(
    title: str,
    derivation: Derivation,
    structure: StructuralFormulas,
    matrices: Matrices,
    regularizer: Regularizer | SymbolicSGDError,
    road: tuple[str, ...],
    figures: tuple[Figure, ...] = (),
) -> Document:
    """Γ, the limiting equation in vectors, R, entries where they are short, and how it was found.

    Args:
        title: of the problem.
        derivation: the limiting SDE.
        structure: the same in vectors.
        matrices: name of a term → its expressions, or None where they are too large to be written out.
        regularizer: R or that there is none; or why it is undecided.
        road: sentences on how it was found.
        figures: pictures of it.
    """
    findings = Findings(
        title=title,
        derivation=derivation,
        structure=structure,
        matrices=matrices,
        hessian=None,
        regularizer=regularizer,
        limit=NOT_SOUGHT,
        chart=NOT_SOUGHT,
        certificate=None,
        figures=figures,
    )
    sections = (
        Section("Pictures", figures),
        Section("The manifold Γ", setting.manifold(findings)),
        Section("The limiting equation", _equation(findings)),
        Section("The regularizer", consequences.regularizer(findings)),
        Section("Entry by entry", theorem.entries(findings)),
        Section("How it was found", (Items(tuple(map(sentence, road))),)),
    )
    return Document(title, paragraph(*result(findings)), tuple(section for section in sections if section.blocks))


def _equation(findings: Findings) -> tuple[Block, ...]:
    optimizer = findings.derivation.optimizer
    stated = setting.PLAIN_STEP if optimizer == PLAIN else theorem.step(findings)
    time = paragraph("at the time ", Math(rf"t = k\,{expression_latex(optimizer.map_unit)}"), " has the limit")
    return (*stated, time, *theorem.motion(findings), *theorem.in_vectors(findings))
