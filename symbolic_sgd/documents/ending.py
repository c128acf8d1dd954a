"""What every document ends with: the checks of its certificate, and the paper."""

from collections.abc import Iterator

from symbolic_sgd.checks.certificate import Certificate
from symbolic_sgd.checks.report import checks_table
from symbolic_sgd.citation import PAPER
from symbolic_sgd.documents.document import Block, Verbatim
from symbolic_sgd.printing.blocks import Inline, Paragraph, paragraph
from symbolic_sgd.printing.prose import sentence


def certificate(found: Certificate | None) -> tuple[Block, ...]:
    """Every check of the certificate."""
    return () if found is None else (_verdict(found), checks_table(found), *_seen(found))


def warning(found: Certificate | None) -> list[Inline]:
    """What is said at the head of a document whose certificate has a check that did not pass."""
    return [] if found is None or found.passed else [" NOT every check of the certificate passed."]


def citation() -> tuple[Block, ...]:
    """The paper."""
    return (paragraph("The theorem:"), Verbatim(PAPER))


def _seen(found: Certificate) -> Iterator[Block]:
    """What the numbers of the table do not say, such as the digits that float64 leaves far out."""
    for check in found.checks:
        if check.telling and check.detail:
            yield sentence(f"{check.name}: {check.detail}.")


def _verdict(found: Certificate) -> Paragraph:
    outcome = "Every check passed" if found.passed else "NOT every check passed"
    return paragraph(f"{outcome}; each compares the formulas with a computation that shares only the loss with them.")
