"""The document of a family: the limit with every size as a symbol, what is known of it, and what was checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from symbolic_sgd.checks.certificate import Certificate
from symbolic_sgd.documents import ending
from symbolic_sgd.documents.document import Block, Document, Section
from symbolic_sgd.printing.blocks import Inline, Math, Paragraph, display
from symbolic_sgd.printing.layout import LINE
from symbolic_sgd.printing.prose import in_words, sentence
from symbolic_sgd.printing.width import visible_length


@dataclass(frozen=True)
class FamilyFindings:
    """What there is to say of a family.

    Args:
        title: the heading; the user's own text.
        limit: the SDE and the formulas that it names.
        known: sentences, first that on Γ.
        regularizer: R, None where none is known.
        charges: equations of charges and of their drifts.
        induced: LaTeX of R in function space, None where nothing was asked.
        certificate: the outcome of `verify`.
    """

    title: str
    limit: tuple[Block, ...]
    known: tuple[str, ...]
    regularizer: Math | None
    charges: tuple[Block, ...] = ()
    induced: str | None = None
    certificate: Certificate | None = None


def _charges(findings: FamilyFindings) -> Sequence[Block]:
    intro = sentence(
        "The gradient flow conserves these functions. On Γ they move with the drift that stands beside them:"
    )
    return (intro, *findings.charges) if findings.charges else ()


def _induced(findings: FamilyFindings) -> Sequence[Block]:
    return () if findings.induced is None else (display(findings.induced),)


SECTIONS: tuple[tuple[str, Callable[[FamilyFindings], Sequence[Block]]], ...] = (
    ("The limiting equation for every size", lambda findings: findings.limit),
    ("What is known of it", lambda findings: tuple(map(sentence, findings.known))),
    ("What the gradient flow conserves", _charges),
    ("The regularizer in function space", _induced),
    ("Certificate", lambda findings: ending.certificate(findings.certificate)),
    ("Citation", lambda _: ending.citation()),
)
"""(title, what stands under it): a further section is a further row, and an empty one is left out."""


def family_document(findings: FamilyFindings) -> Document:
    """Every section that has something to say."""
    written = ((title, tuple(blocks(findings))) for title, blocks in SECTIONS)
    sections = tuple(Section(title, blocks) for title, blocks in written if blocks)
    return Document(findings.title, Paragraph((*_result(findings), *ending.warning(findings.certificate))), sections)


def _result(findings: FamilyFindings) -> list[Inline]:
    if findings.regularizer is None:
        return in_words("No regularizer is known for this noise.")
    descends = "For every size the regularization descends "
    if visible_length(findings.regularizer.tex) > LINE // 2:
        return in_words(f"{descends}the function R below.")
    return [*in_words(f"{descends}R = "), findings.regularizer, "."]
