"""The theorem as a document of its own: its identities and the errata of its source, with the outcome of their checks."""

from dataclasses import dataclass

from symbolic_sgd.checks.theorem_statements import DIMENSIONS, ERRATA, STATEMENTS, Erratum
from symbolic_sgd.citation import PAPER
from symbolic_sgd.documents.document import Block, Document, Items, Section, Verbatim
from symbolic_sgd.printing.blocks import Formula, Math, display, paragraph
from symbolic_sgd.printing.prose import in_words, sentence

TITLE = "The theorem itself: block identities and errata"


@dataclass(frozen=True)
class CheckedTheorem:
    """The document, and whether every identity holds and every erratum is confirmed."""

    document: Document
    holds: bool


def checked_theorem() -> CheckedTheorem:
    """Every identity and every erratum is checked while the document is made (seconds)."""
    held, confirmed = [s.holds for s in STATEMENTS], [e.confirmed for e in ERRATA]
    sections = (
        Section("A loss at a point of Γ", _jets()),
        Section("Φ to second order", _flow()),
        Section("Identities", _identities(held)),
        Section("Errata of the poster", _errata(confirmed)),
        Section("Citation", (paragraph("The theorem:"), Verbatim(PAPER))),
    )
    result = paragraph(_outcome(held, "identities hold"), "; ", _outcome(confirmed, "errata are confirmed"), ".")
    return CheckedTheorem(Document(TITLE, result, sections), all(held) and all(confirmed))


def _outcome(outcomes: list[bool], words: str) -> str:
    return f"{sum(outcomes)} of {len(outcomes)} {words}"


def _jets() -> tuple[Block, ...]:
    return (
        sentence(
            "In coordinates that diagonalise H = ∇²L, the first D − M of them tangent to Γ, the theorem sees of a loss at a point "
            "of Γ no more than"
        ),
        display(r"H = \mathrm{diag}(0, \ldots, 0, \lambda_1, \ldots, \lambda_M)"),
        paragraph(*in_words(
            "with λ > 0, and its third derivatives T, which vanish for three tangent directions. The checks below are made with "
            "letters for all λ, all T, and all entries of Σ: they hold for every loss and every noise in the dimensions "
            f"(D, M) = {', '.join(map(str, DIMENSIONS))}. The projection on the tangent space is ∂Φ, and "
            "T[B] is the vector of the sums over i, j of "
        ), Math(r"\partial_i\partial_j\nabla L\,B_{ij}"), ".",
        ),
    )  # fmt: skip


def _flow() -> tuple[Block, ...]:
    return (
        paragraph(*in_words("The flow from a point beside Γ, in powers of the distance "), Math(r"\varepsilon"), ":"),
        Formula(
            (
                r"x &= \varepsilon x_1 + \varepsilon^2 x_2 + \ldots,\quad x_1 = e^{-Ht} v",
                r"\dot{x}_2 &= -H x_2 - \tfrac{1}{2}\,T[x_1 x_1^{\top}]",
            )
        ),
        paragraph(
            *in_words("has the limit Φ, so that "), Math(r"\partial^2\Phi[v v^{\top}] = 2 x_2(\infty)"),
            ": this, and nothing of the theorem, is what seven of the identities are held against; two are definitions that are put back.",
        ),
    )  # fmt: skip


def _identities(held: list[bool]) -> tuple[Block, ...]:
    return tuple(
        block
        for statement, ok in zip(STATEMENTS, held, strict=True)
        for block in (
            sentence(f"{statement.name[0].upper()}{statement.name[1:]} ({_word(ok)}):"),
            display(statement.formula),
        )
    )


def _errata(confirmed: list[bool]) -> tuple[Block, ...]:
    rows = (
        paragraph(
            *in_words(f"{k}. {e.name}: printed "),
            Math(e.printed),
            ", it is ",
            Math(e.corrected),
            f" — {_judged(e, ok)}",
        )
        for k, (e, ok) in enumerate(zip(ERRATA, confirmed, strict=True), 1)
    )
    return (
        paragraph("The poster of the paper has five errors:"),
        Items(tuple(rows)),
        paragraph(
            "The linear model has ",
            Math(r"f_i = \sum_j z_{ij}(u_j^2 - v_j^2)"),
            " with letters for its data, at points of Γ.",
        ),
    )


def _word(holds: bool) -> str:
    return "holds" if holds else "FAILS"


def _judged(erratum: Erratum, confirmed: bool) -> str:
    if not confirmed:
        return "NOT confirmed"
    return (
        "confirmed: what is printed has no meaning"
        if erratum.wrong is None
        else "confirmed: what is printed does not hold"
    )
