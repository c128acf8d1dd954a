"""The middle sections: the theorem, its operators, its four terms, and the equation they add up to. They walk the terms."""

import re
from collections.abc import Iterator
from math import inf

import sympy as sp

from symbolic_sgd.documents.document import Block
from symbolic_sgd.documents.findings import Findings
from symbolic_sgd.documents.formulas import IN_VECTORS, matrix_equation, program_matrix
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.optimizers.mirror_descent import MirrorDescent
from symbolic_sgd.optimizers.nonlinear_update import NonlinearUpdate
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.second_moments import SlowSecondMoments
from symbolic_sgd.printing.blocks import Formula, Inline, Math, Paragraph, display, paragraph
from symbolic_sgd.printing.displays import equation_lines, expression_latex, filled, room
from symbolic_sgd.printing.prose import in_words, sentence
from symbolic_sgd.printing.structural import structural
from symbolic_sgd.theorem.derivation import PLAIN
from symbolic_sgd.theorem.response import LeadingResponse, MetricResponse, ReshuffledResponse, Response
from symbolic_sgd.theorem.terms import DRIFT_TERMS, THEOREM, Term, own_terms

OPERATORS = ("tangent_projection", "hessian_pinv")
INVERSE = "lyapunov_solution"
FOUR = ("tangent_noise", *DRIFT_TERMS)


def _by_name(findings: Findings) -> dict[str, Term]:
    """The terms as they are defined for the optimizer."""
    return {term.name: term for term in findings.derivation.terms}


def theorem(findings: Findings) -> tuple[Block, ...]:
    """The limiting SDE as it is proved, before anything is filled in."""
    if findings.derivation.optimizer != PLAIN:
        return _theorem_of_optimizer(findings)
    by_name = _by_name(findings)
    noise, drift = by_name["tangent_noise"], by_name["drift"]
    parts = [by_name[name] for name in DRIFT_TERMS]
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
                rf"{by_name[INVERSE].symbol} &= {by_name[INVERSE].definition}",
            )
        ),
        sentence("where S solves ∇²L S + S ∇²L = Σ_⊥ on the normal space."),
        sentence(
            "This is the main theorem of Li, Wang and Arora (2022), with the factor of the mixed term corrected from −½ to −1: "
            "both off-diagonal blocks of Σ contribute."
        ),
    )


def _theorem_of_optimizer(findings: Findings) -> tuple[Block, ...]:
    """The theorem for an optimizer whose slow motion follows from a kernel, or from the second moments of sampled steps."""
    optimizer, response, by_name = findings.derivation.optimizer, findings.derivation.response, _by_name(findings)
    noise, unit = by_name["tangent_noise"], expression_latex(optimizer.map_unit)
    at = ": at this learning rate" if response.kernel is not None or response.in_parameters else ""
    parts = [by_name[name] for name in (*DRIFT_TERMS, *(term.name for term in own_terms(optimizer)))]
    total = [parts[0].symbol, *(f"+ {part.symbol}" for part in parts[1:])]
    return (
        *step(findings),
        paragraph(*_limit(optimizer), *in_words(" it converges, at the time "), Math(rf"t = k\,{unit}"), " after ", Math("k"),
                  *in_words(" steps, to the diffusion Y on Γ with")),
        Formula((rf"dY &= b\,dt + {noise.symbol}\,dW, \quad {noise.symbol} = {noise.definition}",
                 *equation_lines("b", filled(total, room("b"))))),
        sentence("where W is a Brownian motion and"),
        Formula(tuple(line for term in parts for line in _part(term))),
        *_stationary(response, by_name[INVERSE], optimizer),
        *_bent(optimizer),
        sentence(
            "λ₁ has to be simple: near points where two curvatures meet the cycle along its axis is not followed."
            if isinstance(response, LeadingResponse)
            else f"This is exact in that limit{at}, as the noise tends to 0. It is proved from two derivatives of "
            "Φ∘G = Φ, where G is the step without noise and Φ the limit of its own iteration."
            if optimizer.is_finite
            else "It is proved from two derivatives of Φ∘G = Φ, where G is the step without noise and Φ the limit of its iteration."
        ),
    )  # fmt: skip


def _bent(optimizer: Optimizer) -> Iterator[Block]:
    """What the letters are of slow second moments, and of dual coordinates."""
    if isinstance(optimizer, SlowSecondMoments):
        yield paragraph(*in_words("where "), Math("V[B]"), *in_words(" is "), Math(optimizer.moments_written[1]),
                        *in_words(" in the rows of the second moments v, which are slow variables beside the parameters."))  # fmt: skip
    if isinstance(optimizer, NonlinearUpdate):
        yield paragraph(*in_words("where n is the noise of the gradient, ψ is applied to every entry, and "),
                        Math(r"S_{\!P} = \mathrm{diag}(\mathbb{E}\,\psi'(n_i))"), ".")  # fmt: skip
    if isinstance(optimizer, MirrorDescent):
        yield paragraph(
            *in_words("where "),
            Math("x''"),
            *in_words(" is the second derivative of x(y), "),
            Math(r"y = \nabla\psi(x)"),
            ".",
        )


def _limit(optimizer: Optimizer) -> list[Inline]:
    return in_words(optimizer.limit_words)


def _stationary(response: Response, inverse: Term, optimizer: Optimizer) -> Iterator[Block]:
    """What S is, and Σ∘k."""
    if isinstance(response, LeadingResponse):
        weight = expression_latex(response.weight.subs(A, sp.Symbol("lambda")))
        yield paragraph(*in_words("with the largest curvature "), Math(r"\lambda_1"), *in_words(" and its axis "), Math("u_1"),
                        *in_words(", along which the method runs in a cycle of two steps whose second moment is"))  # fmt: skip
        yield Formula((rf"{inverse.symbol} &= {inverse.definition}", rf"s(\lambda) &= {weight}"))
        return
    if isinstance(response, MetricResponse):
        drawn = isinstance(optimizer, NonlinearUpdate)
        field = r"F = \mathbb{E}\,\psi(\nabla L + n)" if drawn else r"F = S_{\!P}\nabla L"
        step = r"W = \mathbb{E}\,\psi(n)\,\psi(n)^{\top}" if drawn else r"W = S_{\!P}\,\Sigma\,S_{\!P}"
        letters, kernel = response.kernel.shown.variables, response.kernel.shown.expr
        first, second = map(expression_latex, letters)
        yield paragraph(*in_words("with the fast field "), Math(field), *in_words(", its slope "),
                        Math(r"J = S_{\!P}\nabla^2 L"),
                        *in_words(", the projection ∂Φ on the tangent space of Γ along the range of "), Math("J"),
                        *in_words(", the group inverse "), Math(r"J^{\#}"), *in_words(" of "), Math("J"),
                        *in_words(", the noise of a step "), Math(step),
                        *in_words(", and a kernel in the eigenvectors of "), Math("J"), ":")  # fmt: skip
        yield Formula(
            (rf"{inverse.symbol} &= {inverse.definition}", rf"\kappa({first}, {second}) &= {expression_latex(kernel)}")
        )
        return
    if isinstance(response, ReshuffledResponse):
        yield from _of_epochs(response)
        return
    if not response.in_parameters:
        yield paragraph(*in_words("the x-parts of what is computed in the state z = (x, m − ι(x)), at rest on Γ, with "),
                        Math(r"A = I - \partial G"),
                        *in_words(", the projection "), Math("P"), *in_words(" on its kernel along its range, its group inverse "),
                        Math(r"A^{\#}"), ", ", Math(r"\Sigma = G_{\xi} V G_{\xi}^{\top}"), *in_words(" and"))  # fmt: skip
        yield Formula((rf"{inverse.symbol} &= {inverse.definition}",))
        return
    if response.kernel is None:
        yield paragraph(*in_words("where each step draws a sample, with S from "),
                        Math(r"\Sigma_{\perp} = \nabla^2 L\,S + S\,\nabla^2 L - \eta\,\mathbb{E}[H_i S H_i]"),
                        *in_words(" and the Hessians of the samples "), Math("H_i"), ".")  # fmt: skip
        return
    letters, kernel = response.kernel.shown.variables, response.kernel.shown.expr
    first, second = map(expression_latex, letters)
    where = Math(r"\kappa(\lambda_i, \lambda_j)\,\Sigma_{ij}")
    yield paragraph(*in_words("Σ = σσᵀ is the covariance of the noise, and "), Math(r"\Sigma \circ \kappa"),
                    *in_words(" has in the eigenvectors of ∇²L the entries "), where, ":")  # fmt: skip
    yield Formula(
        (rf"{inverse.symbol} &= {inverse.definition}", rf"\kappa({first}, {second}) &= {expression_latex(kernel)}")
    )


def _of_epochs(response: ReshuffledResponse) -> Iterator[Block]:
    """σ_a, and what fluctuates within an epoch."""
    n = response.samples
    yield paragraph(*in_words("with the deviations "), Math(r"\sigma_a"),
                    *in_words(" of the samples, which sum to zero, and "),
                    Math(r"\Sigma = \textstyle\sum_a \sigma_a\sigma_a^{\top}"),
                    *in_words("." if response.is_still else ", and"))  # fmt: skip
    if response.is_still:
        return
    weight = rf"\tfrac{{1}}{{{n * (n - 1)}}}\textstyle\sum_{{m=1}}^{{{n - 1}}} ({n} - m)(1-\eta\lambda)^{{m-1}}"
    led = r"(1-\eta a)\,w(a) - (1-\eta b)\,w(b)"
    yield Formula(
        (
            r"S &= \Sigma_{\perp} \circ \kappa",
            rf"\kappa(a, b) &= \frac{{1 - {led}}}{{a + b - \eta a b}}",
            rf"w(\lambda) &= {weight}",
        )
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
    return (*hessian, *(block for name in OPERATORS for block in _term(findings, _by_name(findings)[name])))


def noise_on_manifold(findings: Findings) -> tuple[Block, ...]:
    """σ on Γ, what was recognised of it, and the Lyapunov inverse."""
    derivation = findings.derivation
    noise = program_matrix(r"\sigma", derivation.noise_factor, "noise_factor")
    return (
        *((sentence("On Γ the factor of the noise, Σ = σσᵀ, is"), *noise) if noise else ()),
        sentence(f"{derivation.structure}."),
        *_term(findings, _by_name(findings)[INVERSE]),
    )


def terms(findings: Findings) -> tuple[Block, ...]:
    """The four terms, each with its source; and what else the list of terms has."""
    others = [term for term in findings.derivation.terms if term.name not in THEOREM]
    return tuple(
        block
        for term in (*(_by_name(findings)[name] for name in FOUR), *others)
        for block in _named_term(findings, term)
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
    return matrix_equation(
        term.symbol,
        [link for link in chain[:1] if link != "0"] if zero else chain,
        matrix,
        IN_VECTORS if in_vectors else "",
    )


def _bare(tex: str) -> str:
    """Without spaces, in which the same formula may differ."""
    return tex.replace(r"\,", "").replace(" ", "")


def equation(findings: Findings) -> tuple[Block, ...]:
    """dY = b dt + σ_∥ dW with the drift filled in."""
    moves, meant = motion(findings)
    return (moves, *(() if findings.constant else _term(findings, _by_name(findings)["drift"])), meant)


def motion(findings: Findings) -> tuple[Block, Block]:
    """dY = b dt + σ_∥ dW by its letters, and in which sense it is meant."""
    noise, drift = _by_name(findings)["tangent_noise"], _by_name(findings)["drift"]
    if findings.constant:
        return display("dY = 0"), paragraph("Nothing moves on ", Math(r"\Gamma", "Γ"), " at this time scale.")
    moving = "" if findings.vanishes(noise.name) else rf" + {noise.symbol}\,dW"
    return display(rf"dY = {drift.symbol}\,dt{moving}"), _sense(findings, bool(moving))


def entries(findings: Findings) -> tuple[Block, ...]:
    """What moves entry by entry, where that is short."""
    moving = (_by_name(findings)[name] for name in ("drift", "tangent_noise") if not findings.vanishes(name))
    return tuple(
        block for term in moving for block in matrix_equation(term.symbol, [], findings.matrices[term.name], IN_VECTORS)
    )


def step(findings: Findings) -> tuple[Block, ...]:
    """One step of the optimizer."""
    optimizer = findings.derivation.optimizer
    pieces = filled(re.split(r"(?=\\quad )", optimizer.stated_equation), room())
    return sentence(f"One step of {optimizer.label} is"), Formula(tuple(f"& {piece}" for piece in pieces))


def _sense(findings: Findings, moving: bool) -> Paragraph:
    """In which sense the equation is meant, and what keeps its solution on Γ."""
    if not moving:
        return sentence("No noise is left along Γ: the limit is an ordinary differential equation.")
    compensation = _by_name(findings)[DRIFT_TERMS[0]]
    if findings.vanishes(compensation.name):
        return sentence("The equation is in Itô's sense.")
    return paragraph(
        "The equation is in Itô's sense; ", Math("Y"), " stays on ", Math(r"\Gamma", "Γ"), " because of ",
        Math(compensation.symbol), ".",
    )  # fmt: skip
