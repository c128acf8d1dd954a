"""The limiting SDE in the vectors and matrices of a person: n = ∇f, A = ∇²f, and everything else a line in them.

For L = h(f_1, …, f_M), or Σ h_i(f_i, x), these are the formulas of theorem/composed.py, with F = (∇f_1 … ∇f_M), G = FᵀF,
U = FG⁻¹, K = ∂²h(f), A_i = ∇²f_i; one f needs no matrices beside n and A. Where Γ is an orbit of linear symmetries, and M > D − M,
they are those of theorem/orbit_formulas.py in ξ = Xx, or T = (X_1x … X_dx). For other losses they are the theorem's
own lines in H = ∇²L and its third derivative.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PRECISE, PreciseMatrix, PreciseNumber
from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.algebra.vector_expressions import (
    IDENTITY,
    Function,
    Name,
    Product,
    VectorExpression,
    apply,
    parts_of,
)
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.manifold.precise import HIGH
from symbolic_sgd.optimizers.kernel import A, B
from symbolic_sgd.optimizers.second_moments import SecondMoments
from symbolic_sgd.problems.problem import Landscape
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.response import LeadingResponse, MinibatchResponse, ReshuffledResponse, Response
from symbolic_sgd.theorem.terms import CURVED, DRIFT_TERMS, IMPOSED

ZERO = Product(Fraction(0))

OF_SPECTRUM = ("function", "function_in_metric")
"""Functions that print as h."""

LARGEST_SHOWN = 4
"""Rows of a matrix of numbers that is written out among what the letters are."""

LEVEL = Name("f", "f")
NORMAL, SQUARE = Name("n", "n"), Name("N", "N", number=True)
FRAME, GRAM, DUAL = Name("F", "F"), Name("G", "G"), Name("U", "U")
BEND = Name("A", "A")
CURVATURE, CURVATURES, SLOPES = Name("k", "k", number=True), Name("K", "K"), Name("∇k", r"\nabla k")
SIGMA, COVARIANCE = Name("σ", r"\sigma"), Name("Σ", r"\Sigma")
TANGENT = Name("∂Φ", r"\partial\Phi")
TANGENT_COVARIANCE = Name("Σ_∥", r"\Sigma_{\parallel}")
GENERATOR, MOVED, MOVES = Name("X", "X"), Name("ξ", r"\xi"), Name("T", "T")
NORMAL_PROJECTION = Name("Q", "Q")
HESSIAN, PSEUDO_INVERSE = Name("∇²L", r"\nabla^2 L"), Name("∇²L†", r"\nabla^2 L^{\dagger}")
STATIONARY = Name("S", "S")
RANK = Name("M", "M", number=True)
THIRD = Name("∂²(∇L)", r"\partial^2(\nabla L)")
PROPORTION, VARIANCE = Name("c", "c", number=True), Name("s²", "s^{2}", number=True)
NOISE = Name("σ_∥", r"\sigma_{\parallel}")
COMPENSATION, MIXED, ACROSS = (
    Name("b_∥", r"b_{\parallel}"),
    Name("b_⊥∥", r"b_{\perp\parallel}"),
    Name("b_⊥", r"b_{\perp}"),
)
FIELD, OWN = Name("g", "g"), Name("b_own", r"b_{\mathrm{own}}")
TANGENT_FACTOR = Name("τ", r"\tau", number=True)
KERNEL, SAMPLES = Name("κ", r"\kappa"), Name("𝓜⁻¹", r"\mathcal{M}^{-1}")
DRIFT, REGULARIZER = Name("b", "b"), Name("R", "R", number=True)
PRECONDITIONER, STEP = Name("S_P", r"S_{\!P}"), Name("W", "W")
SLOPE, GROUP_INVERSE = Name("J", "J"), Name("J^#", r"J^{\#}")
SECOND = Name("∂²F", r"\partial^2 F")
WEIGHT = Name("s", "s")
DUAL_SECOND = Name("x″", "x''")
MOMENTS, RATE, REMEMBERED = Name("V", "V"), Name("c", "c", number=True), Name("η", r"\eta", number=True)
BENT = Name("b_ξξ", r"b_{\xi\xi}")
MEAN = Name("∇R₀", r"\nabla R_0")
SLOW = {IMPOSED.name: (OWN, FIELD), CURVED.name: (BENT, MEAN)}
"""The drifts −∂Φg: their letters, and those of g."""
NOISE_SLOPE, LED, MULTIPLIER = Name("∂σ", r"\partial\sigma"), Name("w", "w"), Name("B", "B")
TRACE_SLOPE = Name("∇tr Σ", r"\nabla\,\mathrm{tr}\,\Sigma")

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Line:
    """One equation: a name and what it stands for.

    Args:
        name: the left side.
        value: the right side, in the names of earlier lines.
        term: which term of the theorem it is, if one.
    """

    name: Name
    value: VectorExpression
    term: str | None = None


PROJECTION = (
    Line(PSEUDO_INVERSE, apply("pseudo_inverse", HESSIAN, RANK), "hessian_pinv"),
    Line(TANGENT, IDENTITY - HESSIAN @ PSEUDO_INVERSE, "tangent_projection"),
)
"""∂Φ and ∇²L† from ∇²L."""


@dataclass(frozen=True)
class Given:
    """What a letter stands for, in characters and in LaTeX, and as an expression where it is one."""

    left: str
    left_tex: str
    right: str
    right_tex: str
    value: Expression | None = None

    def with_letters(self, letters: Mapping[str, Name]) -> "Given":
        """With other letters for some."""
        given = self
        for old, new in letters.items():
            tex = re.compile(rf"(?<![A-Za-z\\]){re.escape(old)}(?![A-Za-z])")
            given = Given(
                given.left.replace(old, new.name),
                tex.sub(lambda _, new=new: new.tex, given.left_tex),
                given.right.replace(old, new.name) if old == LEVEL.name else given.right,
                tex.sub(lambda _, new=new: new.tex, given.right_tex) if old == LEVEL.name else given.right_tex,
            )
        return given


@dataclass(frozen=True)
class StructuralFormulas:
    """The limiting SDE in vectors.

    Args:
        parameters: x_1 … x_D.
        rank: M, of H on Γ.
        entries: the program of the vectors and matrices that all else is made of, on Γ, by name.
        third: the program of ∂²(∇L)[B] in the parameters and in symbols B_ij, where a line holds it.
        bends: how many matrices A_1 … A_M (X_1 … X_d) stand one below the other in the entries of A (X); 0 where it is one matrix.
        lines: the equations, in an order in which they can be computed.
        response: how the optimizer turns Σ_⊥ into S.
        moments: the slow second moments, if there are any.
        mirror: the program of ∂_a∇²ψ, one below the other, for mirror descent.
        hessian: ∇²L on Γ, where L = Σ h_i(f_i).
        mean: R₀ of a perturbed loss, where it varies on Γ.
        noise_slope: the program of Σ_a ∂σ_a v_a in the parameters and in symbols v_ia, where a line holds it.
        of_steps: ψ(g) where the steps are those of a nonlinear update.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> print(sde.structure.terms["normal_regularization"])
    -½ ∂ΦAn
    """

    parameters: tuple[sp.Symbol, ...]
    rank: int
    entries: Program
    third: "ThirdDerivative | None"
    bends: int
    lines: tuple[Line, ...]
    response: Response
    moments: SecondMoments | None = None
    mirror: Program | None = None
    hessian: VectorExpression | None = None
    mean: Expression | None = None
    noise_slope: "ThirdDerivative | None" = None
    of_steps: Expression | None = None

    @property
    def definitions(self) -> dict[str, VectorExpression | SymbolicMatrix]:
        """What the names stand for: first those that are given entry by entry, then those in terms of them."""
        given = {self._as_written(name): self.entries.expand(name) for name in self.entries.names}
        return given | {line.name.name: line.value for line in self.written if line.term is None}

    @property
    def terms(self) -> dict[str, VectorExpression]:
        """The terms of the theorem by name."""
        return {line.term: line.value.subs(self._letters) for line in self.lines if line.term is not None}

    def at(self, point: Mapping[sp.Symbol, Any]) -> dict[str, Any]:
        """Every name at a point of Γ, in float64: numbers and arrays.

        Args:
            point: parameters and constants to numbers, √2 among them as SymPy has it.
        """
        with mp.workdps(HIGH):
            values = self.evaluate({s: mp.mpf(sp.sympify(a).evalf(HIGH)) for s, a in point.items()})
            return {line.name.name: _float(values[line.name.name]) for line in self.lines}

    def evaluate(self, point: Mapping[sp.Symbol, PreciseNumber]) -> dict[str, Any]:
        """Every name at a point, in mpmath's numbers at the working precision."""
        d = len(self.parameters)
        values: dict[str, Any] = {IDENTITY.name: mp.eye(d), RANK.name: mp.mpf(self.rank)}
        for output, entries in zip(self.entries.outputs, self.entries.run(PRECISE, point).values(), strict=True):
            matrix = _matrix(entries, output.shape[1])
            values[output.name] = matrix[0, 0] if output.shape == (1, 1) else matrix
        for family in (BEND.name, GENERATOR.name) if self.bends else ():
            if family in values:
                stacked = values[family]
                values[family] = tuple(stacked[i * d : (i + 1) * d, :] for i in range(self.bends))
        if self.moments is not None:
            values[MOMENTS.name] = self._remembered
        if self.mirror is not None:
            values[DUAL_SECOND.name] = self._dual_second(values[PRECONDITIONER.name], point)
        if self.third is not None:
            values[THIRD.name] = values[SECOND.name] = self.third.at(point)
        if self.noise_slope is not None:
            values[NOISE_SLOPE.name] = self.noise_slope.at(point)
        values |= self._of_response(values, point)
        for line in self.lines:
            zero = line.term is not None and line.value is ZERO
            values[line.name.name] = mp.zeros(*self._shape(line.term)) if zero else line.value.at(values)
        return values

    def _of_response(self, values: Mapping[str, Any], point: Mapping[sp.Symbol, PreciseNumber]) -> dict[str, Any]:
        """The kernel, or what the map of second moments is made of, at a point."""
        if isinstance(self.response, MinibatchResponse):
            rate = number_at(self.response.rate, point)
            weights = [mp.mpf(w.numerator) / w.denominator for w in self.response.weights]
            share = mp.mpf(self.response.share.numerator) / self.response.share.denominator
            return {SAMPLES.name: (rate, share, weights, values[SAMPLES.name])} if SAMPLES.name in values else {}
        if isinstance(self.response, LeadingResponse):
            weight = self.response.weight
            return {WEIGHT.name: lambda a: number_at(weight, {**point, A: a})}
        if self.response.kernel is None:
            return {}
        function = self.response.kernel.function
        kernel = {KERNEL.name: lambda a, b: number_at(function(A, B), {**point, A: a, B: b})}
        if not isinstance(self.response, ReshuffledResponse):
            return kernel
        return {**kernel, LED.name: partial(_led, self.response.samples)}

    def _dual_second(
        self, metric: PreciseMatrix, point: Mapping[sp.Symbol, PreciseNumber]
    ) -> Callable[..., PreciseMatrix]:
        """B ↦ x″[B] at a point."""
        assert self.mirror is not None
        d = len(self.parameters)
        stacked = _matrix(self.mirror.run(PRECISE, point)["bends"], d)

        def second(b: PreciseMatrix) -> PreciseMatrix:
            moved = metric * b * metric
            traces = [
                mp.fsum(stacked[a * d + i, j] * moved[j, i] for i in range(d) for j in range(d)) for a in range(d)
            ]
            return -(metric * mp.matrix(traces))

        return second

    def _remembered(self, b: PreciseMatrix) -> PreciseMatrix:
        """V[B] in the rows of the second moments."""
        assert self.moments is not None
        learned = self.moments.of(lambda i, j: b[i, j])
        return mp.matrix([0] * (len(self.parameters) - len(learned)) + learned)

    def _shape(self, term: str | None) -> tuple[int, int]:
        d = len(self.parameters)
        noise = next(output.shape for output in self.entries.outputs if output.name == SIGMA.name)
        return {"lyapunov_solution": (d, d), "tangent_noise": noise}.get(str(term), (d, 1))

    def subs(self, values: Mapping[sp.Symbol, Any]) -> "StructuralFormulas":
        """With values, or expressions, for constants or parameters in the entries."""
        graph = Graph()
        known = {graph.symbol(s): from_sympy(sp.sympify(a), graph) for s, a in values.items()}
        entries = {name: matrix.replace(known) for name, matrix in self.entries.on(graph).items()}
        third, slope = (None if e is None else e.subs(values) for e in (self.third, self.noise_slope))
        return replace(self, entries=Program.of(entries), third=third, noise_slope=slope)

    # --- as it is written: letters that the problem uses are bold ---------------------------------

    @property
    def written(self) -> tuple[Line, ...]:
        """The lines in letters that are none of the problem's symbols."""
        letters = self._letters
        renamed = (
            Line(letters.get(line.name.name, line.name), line.value.subs(letters), line.term) for line in self.lines
        )
        return tuple(line for line in renamed if str(line.value) != line.name.name)  # ∇²L† says what it is

    @property
    def written_hessian(self) -> VectorExpression | None:
        """∇²L on Γ in letters that are none of the problem's symbols."""
        return None if self.hessian is None else self.hessian.subs(self._letters)

    @property
    def given(self) -> tuple[Given, ...]:
        """What the letters are that are given entry by entry."""
        used = frozenset(name for line in self.lines for name in line.value.names)
        kinds = (SEVERAL if self.bends else ONE).items()
        meant = [words.with_letters(self._letters) for name, words in kinds if name.name in used]
        meant.extend(self._moves(used))
        if CURVATURES.name in used:
            meant.extend(self._numbers(CURVATURES))
        meant.extend(self._of_optimizer(used))
        for name in (PROPORTION, VARIANCE):
            if name.name in self.entries.names and self.moments is None and not self._is_itself(name):
                letter, value = self._letters.get(name.name, name), self.entries.expand(name.name)[0, 0]
                meant.append(Given(letter.name, letter.tex, str(value), sp.latex(value)))
        return tuple(meant)

    def _of_optimizer(self, used: frozenset[str]) -> Iterable[Given]:
        """What the optimizer brings: κ, h, the map of second moments, τ, g."""
        kernel, letters = self.response.kernel, self._letters
        if KERNEL.name in used and kernel is not None:
            letter, shown = letters.get(KERNEL.name, KERNEL), kernel.shown_beside(self._symbols)
            k = shown.expr
            names, tex = (", ".join(map(write, shown.variables)) for write in (str, sp.latex))
            yield Given(f"{letter.name}({names})", rf"{letter.tex}({tex})", str(k), sp.latex(k), k)
            if any(
                isinstance(e, Function) and e.kind in OF_SPECTRUM for line in self.lines for e in parts_of(line.value)
            ):
                h = self.response.mixed.subs(A, sp.Symbol("lambda"))
                yield Given("h(λ)", r"h(\lambda)", str(h).replace("lambda", "λ"), sp.latex(h), h)
        if SAMPLES.name in used and isinstance(self.response, MinibatchResponse):
            eta, share = self.response.rate, self.response.share
            alone, together = (sp.Rational(c.numerator, c.denominator) * eta for c in (share, 1 - share))
            yield Given(
                "𝓜[S]",
                r"\mathcal{M}[S]",
                f"∇²L S + S ∇²L - {alone} E[aᵢaᵢᵀ S aᵢaᵢᵀ]{f' - {together} ∇²L S ∇²L' if together else ''}, aᵢ = ∇rᵢ",
                rf"\nabla^2 L\,S + S\,\nabla^2 L - {sp.latex(alone)}\,\mathbb{{E}}[a_i a_i^{{\top}} S\,a_i a_i^{{\top}}]"
                + (rf" - {sp.latex(together)}\,\nabla^2 L\,S\,\nabla^2 L" if together else "")
                + r",\quad a_i = \nabla r_i",
            )
        if MEAN.name in used and self.mean is not None:
            yield Given("R₀", "R_0", str(self.mean), sp.latex(self.mean), self.mean)
        if WEIGHT.name in used and isinstance(self.response, LeadingResponse):
            s = self.response.weight.subs(A, sp.Symbol("lambda"))
            yield Given("s(λ)", r"s(\lambda)", str(s).replace("lambda", "λ"), sp.latex(s), s)
        if LED.name in used and isinstance(self.response, ReshuffledResponse):
            n = self.response.samples
            yield Given(
                "w(B)",
                "w(B)",
                f"Σ_m ({n - 1} - m) Bᵐ/{n * (n - 1)}, m = 0 … {n - 2}",
                rf"\tfrac{{1}}{{{n * (n - 1)}}}\textstyle\sum_{{m=0}}^{{{n - 2}}} ({n - 1} - m)\,B^m",
            )
        if NOISE_SLOPE.name in used:
            yield Given("∂σ[V]", r"\partial\sigma[V]", "Σₐ ∂σₐ Vₐ", r"\textstyle\sum_a \partial\sigma_a V_a")
        if DUAL_SECOND.name in used:
            yield Given(
                "x″", "x''", "the second derivative of x(y), y = ∇ψ(x)", r"\partial_y^2 x,\quad y = \nabla\psi(x)"
            )
        if MOMENTS.name in used and self.moments is not None:
            text, tex = self.moments.words, self.moments.latex
            yield Given(
                "V[B]", "V[B]", f"(0, {text}) in the rows of (x, v)", rf"(0, {tex}) \text{{ in the rows of }} (x, v)"
            )
        if self.of_steps is not None:
            letter, text = letters.get(SIGMA.name, SIGMA), sp.latex(self.of_steps)
            yield Given(
                letter.name,
                letter.tex,
                f"S_P⁻¹(E ψ(n)ψ(n)ᵀ)^½, ψ(g) = {self.of_steps}",
                rf"S_{{\!P}}^{{-1}}(\mathbb{{E}}\,\psi(n)\,\psi(n)^{{\top}})^{{1/2}}, \quad \psi(g) = {text}",
            )
        for name in (TANGENT_FACTOR, FIELD, PRECONDITIONER, RATE, REMEMBERED):
            if name.name in used and name.name in self.entries.names:
                value = self.entries.expand(name.name)
                single = value.shape == (1, 1)
                if name is PRECONDITIONER and value.rows > LARGEST_SHOWN:
                    continue
                text = str(value[0, 0]) if single else f"({', '.join(map(str, value.flat()))})"
                text = str(value.tolist()) if name is PRECONDITIONER else text
                letter = letters.get(name.name, name)
                yield Given(letter.name, letter.tex, text, sp.latex(value[0, 0] if single else value))

    @property
    def _symbols(self) -> set[sp.Symbol]:
        """Those of the problem."""
        return {*self.parameters, *self.entries.symbols}

    def _moves(self, used: Collection[str]) -> Iterable[Given]:
        """X_a x, from which X_a can be read."""
        for name in (MOVED, MOVES):
            if name.name not in used:
                continue
            columns = self.entries.expand(name.name)
            letter, generator = (self._letters.get(n.name, n) for n in (name, GENERATOR))
            for i in range(columns.cols):
                entries = columns.col(i).flat()
                text, tex = ", ".join(map(str, entries)), BETWEEN.join(map(sp.latex, entries))
                at, at_tex = ("", "") if name is MOVED else (f" e{_below(i + 1)}", f" e_{{{i + 1}}}")
                which, which_tex = ("", "") if name is MOVED else (_below(i + 1), f"_{{{i + 1}}}")
                yield Given(
                    f"{letter.name}{at}",
                    f"{letter.tex}{at_tex}",
                    f"{generator.name}{which}x = ({text})",
                    rf"{generator.tex}{which_tex}x = ({tex})",
                )

    def _numbers(self, name: Name) -> list[Given]:
        """The entries of a matrix that is one of numbers, if it is small."""
        if self.entries.expanded_size(name.name) > 0 or self._rows(name) > LARGEST_SHOWN:
            return []
        matrix, letter = self.entries.expand(name.name), self._letters.get(name.name, name)
        if matrix.free_symbols:
            return []
        return [Given(letter.name, letter.tex, str(matrix.tolist()), sp.latex(matrix))]

    def _rows(self, name: Name) -> int:
        return next(output.shape[0] for output in self.entries.outputs if output.name == name.name)

    @property
    def level(self) -> Name:
        """The name of f, whose entries are constant on every part of Γ."""
        return self._letters.get(LEVEL.name, LEVEL)

    def levels(self, budget: int) -> tuple[sp.Expr, ...]:
        """f_1 … f_M, constant on every part of Γ; () where the lines are in H, or where the f_i hold more operations than this."""
        if LEVEL.name not in self.entries.names:
            return ()
        try:
            return tuple(self.entries.expand(LEVEL.name, budget=budget).flat())
        except ExpressionTooLarge:
            return ()

    def _as_written(self, name: str) -> str:
        letter = self._letters.get(name)
        return name if letter is None else letter.name

    @cached_property
    def _letters(self) -> dict[str, Name]:
        """Bold letters for those that the problem uses itself."""
        taken = set(map(sp.latex, self._symbols))
        return {name.name: _bold(name) for name in LETTERS if _letter(name) in taken and not self._is_itself(name)}

    def _is_itself(self, name: Name) -> bool:
        """Whether c, or s², is what the problem itself calls so."""
        scalar = name in (PROPORTION, VARIANCE) and name.name in self.entries.names
        return scalar and sp.latex(self.entries.expand(name.name)[0, 0]) == name.tex

    def __str__(self) -> str:
        given = [f"{g.left} = {g.right}" for g in self.given]
        return "\n".join([*given, *(f"{line.name} = {line.value}" for line in self.written)])

    __repr__ = __str__

    def latex(self) -> str:
        """The lines, aligned, for amsmath."""
        return "\\begin{align*}\n" + self._lines + "\n\\end{align*}"

    def _repr_latex_(self) -> str:
        return "$\\displaystyle\\begin{aligned}\n" + self._lines + "\n\\end{aligned}$"

    @property
    def _lines(self) -> str:
        given = [f"{g.left_tex} &= {g.right_tex}" for g in self.given]
        lines = [*given, *(f"{line.name.latex()} &= {line.value.latex()}" for line in self.written)]
        return " \\\\\n".join(lines)


ONE = {
    NORMAL: Given("n", "n", "∇f", r"\nabla f"),
    BEND: Given("A", "A", "∇²f", r"\nabla^2 f"),
    CURVATURE: Given("k", "k", "∂²L/∂f²", r"\partial^2 L/\partial f^2"),
}
"""What is given for one f."""

SEVERAL = {
    FRAME: Given("F eᵢ", "F e_i", "∇fᵢ", r"\nabla f_i"),
    BEND: Given("Aᵢ", "A_i", "∇²fᵢ", r"\nabla^2 f_i"),
    CURVATURE: Given("k", "k", "∂²L/∂fᵢ²", r"\partial^2 L/\partial f_i^2"),
    CURVATURES: Given("Kᵢⱼ", "K_{ij}", "∂²L/∂fᵢ∂fⱼ", r"\partial^2 L/\partial f_i\partial f_j"),
    SLOPES: Given("∇k eᵢ", r"\nabla k\,e_i", "∇(∂²L/∂fᵢ²)", r"\nabla(\partial^2 L/\partial f_i^2)"),
}
"""For f_1 … f_M; e_i is the i-th unit vector."""

LETTERS = (
    *(LEVEL, NORMAL, SQUARE, FRAME, GRAM, DUAL, BEND, CURVATURE, CURVATURES, SLOPES, SIGMA, COVARIANCE),
    *(TANGENT_COVARIANCE, STATIONARY, PROPORTION, VARIANCE, NOISE, COMPENSATION, MIXED, ACROSS, DRIFT, REGULARIZER),
    *(FIELD, OWN, TANGENT_FACTOR, KERNEL, GENERATOR, MOVED, MOVES, NORMAL_PROJECTION),
)
"""Names that a symbol of the problem may have as well."""

BETWEEN = r",\ "
"""LaTeX between the entries of a list, at which a line may be broken."""

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

BOLD = {ord(a): chr(0x1D400 + i) for i, a in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")}
BOLD |= {ord("σ"): "𝛔", ord("Σ"): "𝚺", ord("ξ"): "𝛏"}


def _letter(name: Name) -> str:
    """The LaTeX of the letter alone, as a symbol of the problem would be printed."""
    return name.tex.removeprefix(r"\nabla ").split("_")[0].split("^")[0]


def _bold(name: Name) -> Name:
    letter = _letter(name)
    command = r"\boldsymbol" if letter.startswith("\\") else r"\mathbf"
    return Name(name.name.translate(BOLD), name.tex.replace(letter, f"{command}{{{letter}}}", 1), name.number)


def _below(index: int) -> str:
    return str(index).translate(SUBSCRIPTS)


def _led(count: int, step: PreciseMatrix, right: PreciseMatrix) -> PreciseMatrix:
    """w(B) right, Σ_m (n − 1 − m)Bᵐ/(n(n − 1)) right for m ≤ n − 2."""
    total, power = 0 * right, right
    for m in range(count - 1):
        total, power = total + (count - 1 - m) * power, step * power
    return total / (count * (count - 1))


@dataclass(frozen=True)
class ThirdDerivative:
    """∂²(∇L)[B] as a program in x and in B, or another function that is linear in a matrix B.

    Args:
        program: of `third`, D×1.
        symbols: B_ij, row by row.
    """

    program: Program
    symbols: tuple[sp.Symbol, ...]

    @staticmethod
    def of(derivation: Derivation) -> "ThirdDerivative":
        landscape = derivation.problem.landscape()
        return ThirdDerivative.by(landscape, landscape.third_derivative)

    @staticmethod
    def by(
        landscape: Landscape, contracted: Callable[[Matrix], Matrix], columns: int | None = None
    ) -> "ThirdDerivative":
        """Of B ↦ a column, on the landscape's graph; B is D×D, or has so many columns."""
        wide = landscape.dimension if columns is None else columns
        symbols = [[sp.Dummy("B") for _ in range(wide)] for _ in range(landscape.dimension)]
        b = Matrix.of([landscape.graph.symbol(s) for s in row] for row in symbols)
        program = Program.of({"third": contracted(b)})
        return ThirdDerivative(program, tuple(s for row in symbols for s in row))

    def subs(self, values: Mapping[sp.Symbol, Any]) -> "ThirdDerivative":
        """With values, or expressions, for symbols."""
        graph = Graph()
        known = {graph.symbol(s): from_sympy(sp.sympify(a), graph) for s, a in values.items()}
        return replace(self, program=Program.of({"third": self.program.on(graph)["third"].replace(known)}))

    def at(self, point: Mapping[sp.Symbol, PreciseNumber]) -> Callable[[PreciseMatrix], PreciseMatrix]:
        """B ↦ ∂²(∇L)[B] at a point."""

        def third(b: PreciseMatrix) -> PreciseMatrix:
            given = dict(zip(self.symbols, [b[i, j] for i in range(b.rows) for j in range(b.cols)], strict=True))
            return _matrix(self.program.run(PRECISE, {**point, **given})["third"], 1)

        return third


def own_drifts(derivation: Derivation) -> dict[str, tuple[Name, VectorExpression]]:
    """−∂Φg for every slow field of the optimizer, by its term."""
    fields = derivation.optimizer.drift_fields(derivation.problem)
    return {term: (SLOW[term][0], -(TANGENT @ SLOW[term][1])) for term in fields}


def totalled(
    start: Sequence[Line], values: Mapping[str, tuple[Name, VectorExpression]], zero: Collection[str]
) -> tuple[Line, ...]:
    """The lines of the terms, of which some are zero, after those that define their letters; and the drift.

    Args:
        start: the first lines.
        values: term → its letter and its formula.
        zero: terms that vanish on Γ.
    """
    lines = [*start, *(Line(name, ZERO if term in zero else value, term) for term, (name, value) in values.items())]
    shown = [
        name
        for term, (name, _) in values.items()
        if term in (*DRIFT_TERMS, IMPOSED.name, CURVED.name) and term not in zero
    ]
    total: VectorExpression = ZERO if not shown else shown[0]
    for name in shown[1:]:
        total = total + name
    return (*lines, Line(DRIFT, total, "drift"))


def needed(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines that are terms, or that a later one needs."""
    kept: list[Line] = []
    names: set[str] = set()
    for line in reversed(lines):
        if line.term is not None or line.name is REGULARIZER or line.name.name in names:
            kept.append(line)
            names |= line.value.names
    return tuple(reversed(kept))


def used(entries: Mapping[str, Matrix], lines: Sequence[Line]) -> Program:
    """f, σ, and what a line needs."""
    names = {name for line in lines for name in line.value.names} | {LEVEL.name, SIGMA.name}
    return Program.of({name: matrix for name, matrix in entries.items() if name in names})


def number_at(expression: Expression, point: Mapping[sp.Symbol, PreciseNumber]) -> PreciseNumber:
    """An expression at a point, at the working precision."""
    return Program.of({"value": Matrix.column([from_sympy(expression, Graph())])}).run(PRECISE, point)["value"][0]


def _matrix(entries: Iterable[PreciseNumber], columns: int) -> PreciseMatrix:
    flat = list(entries)
    return mp.matrix([flat[i : i + columns] for i in range(0, len(flat), columns)])


def _float(value: Any) -> Any:
    if isinstance(value, mp.matrix):
        return np.array([[float(value[i, j]) for j in range(value.cols)] for i in range(value.rows)])
    return float(value)
