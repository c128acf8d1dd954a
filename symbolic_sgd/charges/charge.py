"""Charges: functions that the noiseless flow conserves, each with its own SDE, and the law that it follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import sympy as sp

from symbolic_sgd.algebra.differentiate import contracted_hessian, gradient
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.charges.closure import linear_drift
from symbolic_sgd.charges.conserved import Conserved, conserved, noise_strength, slow_fields
from symbolic_sgd.charges.laws import TIME, Decay, Law, Linear, Open, law_of
from symbolic_sgd.charges.on_manifold import proved_zero
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.flow.first_integrals import without_moduli
from symbolic_sgd.printing.blocks import aligned, one_output
from symbolic_sgd.printing.displays import equation, expression_latex, room
from symbolic_sgd.printing.width import visible_length
from symbolic_sgd.theorem.canonical import written_on_manifold
from symbolic_sgd.theorem.derivation import Derivation

SHOWN = 300
"""Characters up to which `repr` shows a charge."""


@dataclass(frozen=True, repr=False)
class Charge:
    """A function I that the noiseless iteration conserves; along the limit dI = drift dt + diffusion dW, for every noise.

    drift = (τ/2)⟨∇²I, Σ⟩ − ∇I·g and diffusion = √τ ∇Iᵀσ on Γ, with τ = 1 and g = 0 for plain SGD: no projection, no inverse and no
    third derivative stands in them.

    Args:
        derivation: of the SDE on Γ.
        expression: I, in the parameters.
        generator: ∇²I = S, I = ½xᵀSx, where it belongs to a linear symmetry of what the loss is composed of; else None.
        proof: how it is known that it is conserved, in words.
        program: `drift` and `diffusion` (1×Ξ), on Γ.
        law: what it does: the rate of its decay, that it is a martingale, …

    Raises:
        ExpressionTooLarge: by `drift` and `diffusion` that do not expand within the size budget; `program` is always there.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> charge = sde.charges[0]
    >>> charge.expression, charge.drift
    (u**2 - v**2, -u**2 + v**2)
    """

    derivation: Derivation
    expression: Expression
    generator: SymbolicMatrix | None
    proof: str
    program: Program
    law: Law

    @cached_property
    def drift(self) -> Expression:
        """The drift of I on Γ."""
        return written_on_manifold(self.derivation, self.program.select("drift")).matrix[0, 0]

    @cached_property
    def diffusion(self) -> SymbolicMatrix:
        """∇Iᵀσ on Γ, 1×Ξ: what multiplies dW."""
        columns = self.program.select("diffusion").outputs[0].shape[1]
        if self.law.still:
            return sp.ImmutableDenseMatrix.zeros(1, columns)
        return written_on_manifold(self.derivation, self.program.select("diffusion")).matrix

    @property
    def sentence(self) -> str:
        """What it does, a sentence."""
        return self.law.sentence(self.expression)

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        text = f"{self.expression} {self.law.words}"
        shown = (
            text
            if len(text) <= SHOWN
            else f"{operations(self.expression)} operations, {type(self.law).__name__.lower()}"
        )
        return f"Charge({shown})"

    def _repr_latex_(self) -> str:
        return one_output([aligned(self._lines())])

    def latex(self) -> str:
        r"""dI = …, and the solution of the law where it closes: LaTeX for amsmath's `aligned`."""
        return r" \\ ".join(self._lines())

    def _lines(self) -> list[str]:
        drift, named = self._drift_latex()
        parts = [part for part in (drift, "" if self.law.still else r"\nabla I^{\top} \sigma\,dW") if part]
        lines = [*equation("I", self.expression), f"dI &= {' + '.join(parts) or '0'}", *named]
        solution = self.law.solution
        return lines if solution is None else [*lines, f"I(t) &= {expression_latex(solution)}{self._integral_latex()}"]

    def _drift_latex(self) -> tuple[str, list[str]]:
        """The drift times dt, and further lines: a sum that is longer than a line has a name."""
        try:
            drift = self.law.drift if isinstance(self.law, Linear) else self.drift
        except ExpressionTooLarge:
            operations = self.program.select("drift").operations
            return r"b\,dt", [rf"b &:\quad \text{{a program of {operations} operations}}"]
        if drift == 0:
            return "", []
        text = expression_latex(drift)
        if visible_length(text) > room():
            return r"b\,dt", equation("b", drift)
        return (rf"\left({text}\right) dt" if drift.is_Add else rf"{text}\,dt"), []

    def _integral_latex(self) -> str:
        """What the noise adds to the solution of the law."""
        if self.law.still:
            return ""
        rate = self.law.rate if isinstance(self.law, Decay) else sp.S.Zero
        before, inside = (expression_latex(sp.exp(power)) for power in (-(rate * TIME), rate * sp.Symbol("s")))
        factors = ("", "") if rate == 0 else (f"{before} ", f"{inside}\\,")
        return rf" + {factors[0]}\int_0^t {factors[1]}\nabla I^{{\top}} \sigma\,dW_s"


def find_charges(derivation: Derivation, *, further: bool = True) -> tuple[Charge, ...]:
    """The charges, in a basis in which as many of them as possible follow laws of their own.

    Args:
        derivation: of the SDE on Γ.
        further: whether those that belong to no linear symmetry are sought, too (seconds).

    Raises:
        NoCharges, ProblemTooLarge: as `conserved` does.
    """
    found = list(conserved(derivation, further=further))
    if not found:
        return ()
    motions = motions_of(derivation, [c.expression for c in found])
    system = linear_drift(derivation, [c.expression for c in found], [motion.select("drift") for motion in motions])
    if system is None:
        return tuple(_charge(derivation, c, motion, None) for c, motion in zip(found, motions, strict=True))
    closed = [_combined(row, found) for row in _rows(system.change)]
    names = [c.expression for c in closed]
    places = [(i, names, row, system.constants[i]) for i, row in enumerate(_rows(system.matrix))]
    others = [c for k, c in enumerate(found) if all(system.change[i, k] == 0 for i in range(system.change.rows))]
    chosen = [*zip(closed, places, strict=True), *((c, None) for c in others)]
    known = {c.expression: motion for c, motion in zip(found, motions, strict=True)}
    new = [c.expression for c, _ in chosen if c.expression not in known]
    known |= dict(zip(new, motions_of(derivation, new), strict=True))
    return tuple(_charge(derivation, c, known[c.expression], place) for c, place in chosen)


def _rows(matrix: sp.Matrix) -> list[list[Expression]]:
    return [list(matrix.row(i)) for i in range(matrix.rows)]


def _combined(row: Sequence[Expression], found: Sequence[Conserved]) -> Conserved:
    """Σ_k row_k I_k."""
    used = [(c, known) for c, known in zip(row, found, strict=True) if c != 0]
    if len(used) == 1 and used[0][0] == 1:
        return used[0][1]
    expression = sp.Add(*(c * known.expression for c, known in used))
    generators = [c * known.generator for c, known in used if known.generator is not None]
    quadratic = len(generators) == len(used)
    generator = sp.ImmutableDenseMatrix(reduce(lambda a, b: a + b, generators)) if quadratic else None
    return Conserved(
        sp.expand(expression) if quadratic else expression,
        generator,
        "; ".join(dict.fromkeys(known.proof for _, known in used)),
    )


Place = tuple[int, Sequence[Expression], Sequence[Expression], Expression]
"""The number of a charge in a closed system, all charges of it, the coefficients of its drift, and its constant."""


def _charge(derivation: Derivation, known: Conserved, motion: Program, place: Place | None) -> Charge:
    still = all(proved_zero(derivation, motion.on(Graph())["diffusion"].entries))
    law = Open(still) if place is None else law_of(*place, still)
    return Charge(derivation, known.expression, known.generator, known.proof, motion, law)


def motions_of(derivation: Derivation, expressions: Sequence[Expression]) -> list[Program]:
    """`drift` (τ/2)⟨∇²I, Σ⟩ − ∇I·g (1×1) and `diffusion` √τ ∇Iᵀσ (1×Ξ) of conserved functions, on Γ."""
    graph, strength = Graph(), noise_strength(derivation)
    half, root = (from_sympy(e, graph) for e in (strength / 2, sp.sqrt(strength)))
    sigma = derivation.noise_factor.on(graph)["noise_factor"]
    covariance = (sigma @ sigma.T).rows if expressions else ()
    variables = [graph.symbol(s) for s in derivation.problem.parameters]
    fields = [Matrix.column([from_sympy(e, graph) for e in g]) for g in slow_fields(derivation)]
    programs = []
    for expression in expressions:
        function = from_sympy(without_moduli(expression), graph)
        slope = Matrix.of([gradient(function, variables)])
        slow = graph.total((slope @ g)[0, 0] for g in fields)
        drift = half * contracted_hessian(function, variables, covariance) - slow
        diffusion = (slope @ sigma).scaled(root)
        programs.append(Program.of({"drift": Matrix.column([drift]), "diffusion": diffusion}))
    return programs
