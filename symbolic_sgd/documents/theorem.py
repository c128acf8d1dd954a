"""The middle sections: the theorem, its operators, its four terms, and the equation they add up to. They walk TERMS."""

from math import inf

from symbolic_sgd.documents.document import Block
from symbolic_sgd.documents.findings import Findings
from symbolic_sgd.documents.formulas import IN_VECTORS, matrix_equation, program_matrix
from symbolic_sgd.printing.blocks import Formula, Math, Paragraph, display, paragraph
from symbolic_sgd.printing.displays import equation_lines, filled, room
from symbolic_sgd.printing.prose import sentence
from symbolic_sgd.printing.structural import structural
from symbolic_sgd.theorem.derivation import DRIFT_TERMS, TERMS, THEOREM, Term

OPERATORS = ("tangent_projection", "hessian_pinv")
INVERSE = "lyapunov_solution"
FOUR = ("tangent_noise", *DRIFT_TERMS)

_BY_NAME = {term.name: term for term in TERMS}


def theorem(findings: Findings) -> tuple[Block, ...]:
    """The limiting SDE as it is proved, before anything is filled in."""
    noise, drift = _BY_NAME["tangent_noise"], _BY_NAME["drift"]
    parts = [_BY_NAME[name] for name in DRIFT_TERMS]
    total, named = drift.definition.split(" = ")
    left = room(r"\tfrac12\,\partial^2\Phi[\Sigma]")
    return (
        sentence("As η → 0, SGD at the time t = kη² converges to the diffusion Y on Γ with"),
        Formula(
            (rf"dY &= {total}\,dt + {noise.definition}\,dW", *equation_lines(total, filled(_with_signs(named), left)))
        ),
        sentence("where W is a Brownian motion and the drift has three parts:"),
        Formula(tuple(line for term in parts for line in _part(term))),
        sentence("Σ = σσᵀ is the covariance of the noise, ∂Φ the orthogonal projection on the tangent space of Γ, and"),
        Formula(
            (
                r"\Sigma_{\parallel} &= \partial\Phi\,\Sigma\,\partial\Phi",
                r"\Sigma_{\perp\parallel} &= (I-\partial\Phi)\,\Sigma\,\partial\Phi",
                r"\Sigma_{\perp} &= (I-\partial\Phi)\,\Sigma\,(I-\partial\Phi)",
                rf"{_BY_NAME[INVERSE].symbol} &= {_BY_NAME[INVERSE].definition}",
            )
        ),
        sentence("where S solves ∇²L S + S ∇²L = Σ_⊥ on the normal space."),
        sentence(
            "This is the main theorem of Li, Wang and Arora (2022), with the factor of the mixed term corrected from −½ to −1: "
            "both off-diagonal blocks of Σ contribute."
        ),
    )


def _with_signs(total: str) -> list[str]:
    first, *others = total.split(" + ")
    return [first, *(f"+ {part}" for part in others)]


def _part(term: Term) -> list[str]:
    """A term with its name beside it, or below it where the line is too short."""
    words = rf"\quad \text{{({_words(term)})}}"
    return equation_lines(term.symbol, filled([term.definition, words], room(term.symbol)))


def _words(term: Term) -> str:
    return term.name.replace("_", " ")


def in_vectors(findings: Findings) -> tuple[Block, ...]:
    """The terms as one line each."""
    return tuple(structural(findings.structure, most=inf))


def operators(findings: Findings) -> tuple[Block, ...]:
    """∇²L, ∂Φ and ∇²L†."""
    written = findings.structure.written_hessian
    chain = [] if written is None else [written.latex()]
    hessian = () if findings.hessian is None else matrix_equation(r"\nabla^2 L", chain, findings.hessian)
    return (*hessian, *(block for name in OPERATORS for block in _term(findings, _BY_NAME[name])))


def noise_on_manifold(findings: Findings) -> tuple[Block, ...]:
    """σ on Γ, what was recognised of it, and the Lyapunov inverse."""
    derivation = findings.derivation
    noise = program_matrix(r"\sigma", derivation.blocks, "noise_factor")
    return (
        *((sentence("On Γ the factor of the noise, Σ = σσᵀ, is"), *noise) if noise else ()),
        sentence(f"{derivation.structure}."),
        *_term(findings, _BY_NAME[INVERSE]),
    )


def terms(findings: Findings) -> tuple[Block, ...]:
    """The four terms, each with its source; and what else the list of terms has."""
    others = [term for term in TERMS if term.name not in THEOREM]
    return tuple(
        block for term in (*(_BY_NAME[name] for name in FOUR), *others) for block in _named_term(findings, term)
    )


def _named_term(findings: Findings, term: Term) -> tuple[Block, ...]:
    words = _words(term)
    return (paragraph(f"{words[0].upper()}{words[1:]} ({term.source}):"), *_term(findings, term))


def _term(findings: Findings, term: Term) -> tuple[Block, ...]:
    """A term by its definition, in vectors, and entry by entry."""
    matrix = findings.matrices[term.name]
    in_vectors = [line.value.latex() for line in findings.structure.written if line.term == term.name]
    links = [term.definition, *in_vectors]
    zero = matrix is not None and matrix.is_zero_matrix
    chain = [link for k, link in enumerate(links) if _bare(link) not in map(_bare, (term.symbol, *links[:k]))]
    return matrix_equation(term.symbol, chain[:1] if zero else chain, matrix, IN_VECTORS if in_vectors else "")


def _bare(tex: str) -> str:
    """Without spaces, in which the same formula may differ."""
    return tex.replace(r"\,", "").replace(" ", "")


def equation(findings: Findings) -> tuple[Block, ...]:
    """dY = b dt + σ_∥ dW with the drift filled in."""
    noise, drift = _BY_NAME["tangent_noise"], _BY_NAME["drift"]
    if findings.constant:
        return (display("dY = 0"), paragraph("Nothing moves on ", Math(r"\Gamma", "Γ"), " at this time scale."))
    moving = "" if findings.vanishes(noise.name) else rf" + {noise.symbol}\,dW"
    return (
        display(rf"dY = {drift.symbol}\,dt{moving}"),
        *_term(findings, drift),
        _sense(findings, bool(moving)),
    )


def _sense(findings: Findings, moving: bool) -> Paragraph:
    """In which sense the equation is meant, and what keeps its solution on Γ."""
    if not moving:
        return sentence("No noise is left along Γ: the limit is an ordinary differential equation.")
    compensation = _BY_NAME[DRIFT_TERMS[0]]
    if findings.vanishes(compensation.name):
        return sentence("The equation is in Itô's sense.")
    return paragraph(
        "The equation is in Itô's sense; ", Math("Y"), " stays on ", Math(r"\Gamma", "Γ"), " because of ",
        Math(compensation.symbol), ".",
    )  # fmt: skip
