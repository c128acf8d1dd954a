"""The middle sections: the theorem, its operators, its four terms, and the equation they add up to. They walk TERMS."""

from symbolic_sgd.documents.document import Block
from symbolic_sgd.documents.findings import Findings
from symbolic_sgd.documents.formulas import matrix_equation, printed, program_matrix
from symbolic_sgd.printing.blocks import Formula, Math, display, paragraph, words
from symbolic_sgd.printing.structural import structural
from symbolic_sgd.theorem.derivation import DRIFT_TERMS, TERMS, THEOREM, Term
from symbolic_sgd.theorem.normal_space import Framed

OPERATORS = ("tangent_projection", "hessian_pinv")
INVERSE = "lyapunov_solution"
FOUR = ("tangent_noise", *DRIFT_TERMS)

_BY_NAME = {term.name: term for term in TERMS}


def theorem(findings: Findings) -> tuple[Block, ...]:
    """The limiting SDE as it is proved, before anything is filled in."""
    noise, drift = _BY_NAME["tangent_noise"], _BY_NAME["drift"]
    parts = [_BY_NAME[name] for name in DRIFT_TERMS]
    total, named = drift.definition.split(" = ")
    return (
        paragraph("As η → 0, SGD at the time t = kη² converges to the diffusion Y on Γ with"),
        Formula((rf"dY &= {noise.definition}\,dW + {total}\,dt", rf"{total} &= {named}")),
        paragraph("where the drift has three parts:"),
        Formula(tuple(rf"{term.symbol} &= {term.definition} \quad &\text{{({_words(term)})}}" for term in parts)),
        paragraph(
            "Σ = σσᵀ is the covariance of the noise, ∂Φ the orthogonal projection on the tangent space of Γ, and"
        ),
        Formula(
            (
                r"\Sigma_{\parallel} &= \partial\Phi\,\Sigma\,\partial\Phi",
                r"\Sigma_{\perp\parallel} &= (I-\partial\Phi)\,\Sigma\,\partial\Phi",
                r"\Sigma_{\perp} &= (I-\partial\Phi)\,\Sigma\,(I-\partial\Phi)",
                rf"{_BY_NAME[INVERSE].symbol} &= {_BY_NAME[INVERSE].definition}\,,\quad "
                r"\text{the solution of } \nabla^2 L\,S + S\,\nabla^2 L = \Sigma_{\perp} \text{ on the normal space}",
            )
        ),
        paragraph(
            "This is the main theorem of Li, Wang and Arora (2022), with the factor of the mixed term corrected from −½ to −1: "
            "both off-diagonal blocks of Σ contribute."
        ),
    )


def _words(term: Term) -> str:
    return term.name.replace("_", " ")


def in_vectors(findings: Findings) -> tuple[Block, ...]:
    """The terms as one line each."""
    return structural(findings.structure)


def operators(findings: Findings) -> tuple[Block, ...]:
    """∂Φ and ∇²L†; where their entries are too large, by a frame of the normal space."""
    terms = tuple(block for name in OPERATORS for block in _term(findings, _BY_NAME[name]))
    space = findings.derivation.normal_space
    if not isinstance(space, Framed) or all(printed(findings.matrices[name]) for name in OPERATORS):
        return terms
    frame = program_matrix("F", space.frame, "frame")
    return (
        *terms,
        paragraph(f"Let the columns of F span the normal space, here {findings.derivation.frame_origin}. Then"),
        Formula(
            (
                rf"{_BY_NAME[OPERATORS[0]].symbol} &= I - F (F^{{\top}}F)^{{-1}} F^{{\top}}",
                rf"{_BY_NAME[OPERATORS[1]].symbol} &= F \bigl(F^{{\top}}\,\nabla^2 L\,F\bigr)^{{-1}} F^{{\top}}",
            )
        ),
        *((paragraph("where"), *frame) if frame else ()),
    )


def noise_on_manifold(findings: Findings) -> tuple[Block, ...]:
    """σ on Γ, what was recognised of it, and the Lyapunov inverse."""
    derivation = findings.derivation
    noise = program_matrix(r"\sigma", derivation.blocks, "noise_factor")
    return (
        *((paragraph("On Γ the factor of the noise, Σ = σσᵀ, is"), *noise) if noise else ()),
        words(f"{derivation.structure}."),
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
    return matrix_equation(term.symbol, term.definition, findings.matrices[term.name])


def equation(findings: Findings) -> tuple[Block, ...]:
    """dY = b dt + σ_∥ dW with the drift filled in."""
    noise, drift = _BY_NAME["tangent_noise"], _BY_NAME["drift"]
    if findings.constant:
        return (display("dY = 0"), paragraph("Nothing moves on Γ at this time scale."))
    moving = "" if findings.vanishes(noise.name) else rf" + {noise.symbol}\,dW"
    last = () if moving else (paragraph("No noise is left along Γ: the limit is an ordinary differential equation."),)
    return (
        display(rf"dY = {drift.symbol}\,dt{moving}"),
        *_term(findings, drift),
        *last,
        paragraph(
            "The equation is in Itô's sense; Y stays on Γ because of ", Math(_BY_NAME[DRIFT_TERMS[0]].symbol), "."
        ),
    )
