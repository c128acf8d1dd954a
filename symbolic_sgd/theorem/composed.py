"""The theorem for L = Σ h_i(f_i, x) with all f_i = 0 on Γ, and for L = h(f_1, …, f_M): without third derivatives of L.

With F = (∇f_1 … ∇f_M), G = FᵀF, A = G⁻¹Fᵀ, and H = FKFᵀ, K = diag(k) with k_i = h_i″(0), or K = ∂²h(f), all on Γ:

    ∂Φ = P = I − FA,   H = FKFᵀ,   H† = AᵀK⁻¹A,   S = FZFᵀ with KGZ + ZGK = AΣAᵀ,
    −½H†T[Σ_∥] = −½Aᵀ(⟨∇²f_i, Σ_∥⟩)_i,   −PT[H†Σ_⊥∥] = −PΣ_i ∇²f_i PΣAᵀe_i,
    −½PT[S] = −PΣ_i (∇²f_i SFKe_i + ½∇k_i ∇f_iᵀS∇f_i),

because h_i‴, and the third derivatives of f_i, meet P∇f_i = 0 or f_i = 0. The last sum is not there for L = h(f): f, and with
it ∂²h(f), are constant along Γ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Exact, Graph, Node
from symbolic_sgd.algebra.linear_forms import combined, content, linear_forms
from symbolic_sgd.algebra.lyapunov import (
    CLOSED_FORM,
    closed_form,
    elementary_symmetric,
    solve_pairs,
)
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.solvers import SOLVERS, Solution, Solver
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.drift import DriftLines
from symbolic_sgd.theorem.geometry import Geometry, symmetrised
from symbolic_sgd.theorem.normal_space import ComposedFrame
from symbolic_sgd.theorem.rational_forms import shortest_on
from symbolic_sgd.theorem.response import Coordinates, KernelResponse, Response, function_of
from symbolic_sgd.theorem.terms import DRIFT_TERMS, THEOREM

HALF = Fraction(1, 2)

LARGEST_FRAME = 80
"""Entries D·M of F up to which the formulas are made: larger ones are not printed, and the program serves better."""


@dataclass(frozen=True)
class ComposedFormulas:
    """The blocks of the theorem by the formulas above, as nodes of one graph.

    Args:
        variables: x, the parameters.
        levels: f.
        equations: what vanishes on Γ: f, or M functions of f.
        contents: c, what ∇f_i is divisible by on Γ: F, ∇²f_i and K are those of f_i/c_i.
        normal: F on Γ, D×M.
        bends: ∇²f_1 … ∇²f_M on Γ.
        curvature: K on Γ.
        rigid: whether it is constant along Γ even where it is written with parameters; else it is diagonal.
        noise: σ on Γ, D×Ξ.
        samples: a_i with H_i = a_i a_iᵀ on Γ, D×n, for a response to samples; else None.
        response: how the optimizer turns Σ_⊥ into S.
        tangent_factor: τ.
        slow: g on Γ, D×1, for every drift −Pg of the optimizer's own, by the name of its term.
        proportion: c where Σ_⊥ = cH on Γ, else None.
        isotropy: s² where Σ_⊥ = s²(I − ∂Φ) on Γ, else None.
        zeros: the terms that are zero on Γ.
        solve: (G, B) ↦ G⁻¹B.
    """

    variables: tuple[Node, ...]
    levels: tuple[Node, ...]
    equations: tuple[Node, ...]
    contents: tuple[Node | Exact, ...]
    normal: Matrix
    bends: tuple[Matrix, ...]
    curvature: Matrix
    rigid: bool
    noise: Matrix
    samples: Matrix | None
    response: Response
    tangent_factor: Node
    slow: Mapping[str, Matrix]
    proportion: Node | None
    isotropy: Node | None
    zeros: frozenset[str]
    solve: Solver

    def program(self, name: str) -> Program:
        """A term as a program, and G beside it where the term is not zero.

        Raises:
            KeyError: the theorem's own words have no such term.
            ExpressionTooLarge: it needs the Lyapunov equation, and M is too large for its closed form.
        """
        if name not in THEOREM and name not in self.slow:
            raise KeyError(name)
        matrix: Matrix = -self.tangent_part(self.slow[name]) if name in self.slow else getattr(self, name)
        if name in self.zeros:
            return Program.of({name: matrix.map(lambda _: self._zero)})
        return Program.of({name: matrix, "G": self.gram})

    # --- projections and inverses -----------------------------------------------------------

    @cached_property
    def gram(self) -> Matrix:
        """G."""
        m = range(len(self.levels))
        upper = [list(zip(self.normal.T.rows[i], self.normal.T.rows[j], strict=True)) for i in m for j in m if i <= j]
        entries = iter(linear_forms([[x * y for x, y in pairs] for pairs in upper]))
        return symmetrised(Matrix.of([next(entries) if i <= j else self._zero for j in m] for i in m))

    def coordinates(self, right: Matrix) -> Matrix:
        """A right."""
        return self._least_squares(right).value

    def tangent_part(self, right: Matrix) -> Matrix:
        """P right."""
        solution = self._least_squares(right)
        return right - solution.over(combined(self.normal, solution.numerators))

    def _least_squares(self, right: Matrix) -> Solution:
        return self.solve(self.gram, self._short(self.normal.T @ right))

    @cached_property
    def dual(self) -> Matrix:
        """A, M×D."""
        return self.coordinates(self._identity)

    @cached_property
    def tangent_projection(self) -> Matrix:
        return self.tangent_part(self._identity)

    @cached_property
    def hessian_pinv(self) -> Matrix:
        return self.dual.T @ self._unweighted(self.dual)

    def _unweighted(self, right: Matrix) -> Matrix:
        """K⁻¹ right."""
        if not self.curvature.is_diagonal:
            return self.solve(self.curvature, right).value
        rows = zip(right.rows, self.curvature.diagonal_entries, strict=True)
        return Matrix.of([a / k for a in row] for row, k in rows)

    # --- the noise --------------------------------------------------------------------------

    @cached_property
    def tangent_noise(self) -> Matrix:
        """√τ Pσ."""
        tau = self.tangent_factor
        return self.noise_along if tau.op == "constant" and tau.value == 1 else self.noise_along.scaled(root(tau))

    @cached_property
    def noise_along(self) -> Matrix:
        """Pσ."""
        return self.tangent_part(self.noise)

    @cached_property
    def tangent_covariance(self) -> Matrix:
        """τΣ_∥, which is τs²P where Σ = s²I."""
        scale, tau = isotropic_scale(self.noise), self.tangent_factor
        if scale is None:
            return (self.noise_along @ self.noise_along.T).scaled(tau)
        return self.tangent_projection.scaled(tau * scale)

    @cached_property
    def normal_noise(self) -> Matrix:
        """Aσ."""
        return self.coordinates(self.noise)

    @cached_property
    def lyapunov_coordinates(self) -> Matrix:
        """Z, by the closed form in B = KG; for a response to samples by the system of its entries."""
        m, response = len(self.levels), self.response
        if m > CLOSED_FORM:
            raise ExpressionTooLarge("the Lyapunov equation has no closed form of moderate size")
        y = self.normal_noise @ self.normal_noise.T
        if response.kernel is None:
            samples = () if self.samples is None else self.samples.T.rows
            across = tuple(self.normal.T @ Matrix.column(a) for a in samples)
            space = Coordinates(self.gram, self.curvature, across)
            return solve_pairs(response.pairs(space), response.right(space, y), self.solve)
        if response.is_lyapunov:
            return closed_form(self.across, self.symmetric, y)
        assert isinstance(response, KernelResponse)
        return response.by_polynomials(self.across, self.symmetric, y)

    @cached_property
    def across(self) -> Matrix:
        """B = KG, with H F = F KG: it acts on columns of F as H does."""
        return self.curvature @ self.gram

    @cached_property
    def symmetric(self) -> tuple[Node, ...]:
        """e_1 … e_M of the eigenvalues of H."""
        return elementary_symmetric(self.across, len(self.levels))

    def function(self, h: Expression, right: Matrix) -> Matrix:
        """h(KG) right, M×w: h(H)F = F h(KG)."""
        if len(self.levels) > CLOSED_FORM:
            raise ExpressionTooLarge("functions of ∇²L have no closed form of moderate size")
        return function_of(h, self.across, self.symmetric, right)

    @cached_property
    def _factor_and_function(self) -> tuple[Node, Expression] | None:
        """(c, g) with S = c g(H)(I − P) for another optimizer than plain SGD, where Σ_⊥ is a multiple of H or of I − P."""
        if self.proportion is not None and self.response.of_proportion() is not None:
            return self.proportion, self.response.of_proportion()
        if self.isotropy is not None and self.response.of_isotropy() is not None:
            return self.isotropy, self.response.of_isotropy()
        return None

    @cached_property
    def lyapunov_solution(self) -> Matrix:
        if self.response.is_lyapunov:
            if self.proportion is not None:
                return combined(self.normal, self.dual).scaled(HALF * self.proportion)
            if self.isotropy is not None:
                return self.hessian_pinv.scaled(HALF * self.isotropy)
        elif self._factor_and_function is not None:
            factor, h = self._factor_and_function
            return combined(self.normal, self.function(h, self.dual)).scaled(factor)
        return self.normal @ self.lyapunov_coordinates @ self.normal.T

    # --- the drift --------------------------------------------------------------------------

    @cached_property
    def lines(self) -> DriftLines["Multiple | OnLevels", "Along | Across"]:
        """The theorem's three lines."""
        return DriftLines(_Composed(self), _ComposedBlocks(self))

    @cached_property
    def tangent_noise_compensation(self) -> Matrix:
        return _matrix(self.lines.tangent_noise_compensation)

    @cached_property
    def mixed_regularization(self) -> Matrix:
        return _matrix(self.lines.mixed_regularization)

    @cached_property
    def normal_regularization(self) -> Matrix:
        return _matrix(self.lines.normal_regularization)

    @cached_property
    def drift(self) -> Matrix:
        total = Matrix.column([self._zero] * len(self.variables))
        for name in DRIFT_TERMS:
            total = total if name in self.zeros else total + getattr(self, name)
        for field in self.slow.values():
            total = total - self.tangent_part(field)
        return total

    @property
    def solution_on_normals(self) -> Matrix:
        """S F K, D×M; for plain SGD (c/2)FK where Σ_⊥ = cH, and (s²/2)Aᵀ where Σ_⊥ = s²(I − P)."""
        if not self.response.is_lyapunov:
            if self._factor_and_function is None:
                return self.normal @ (self.lyapunov_coordinates @ self.gram @ self.curvature)
            factor, h = self._factor_and_function
            return (self.normal @ self.function(h, self.curvature)).scaled(factor)
        if self.isotropy is not None:
            return self.dual.T.scaled(HALF * self.isotropy)
        if self.proportion is not None:
            return (self.normal @ self.curvature).scaled(HALF * self.proportion)
        return self.normal @ (self.lyapunov_coordinates @ self.gram @ self.curvature)

    def bent(self, directions: Matrix) -> Matrix:
        """Σ_i ∇²f_i w_i for the columns w_i."""
        first, *others = (
            bend @ Matrix.column(column) for bend, column in zip(self.bends, directions.T.rows, strict=True)
        )
        for other in others:
            first = first + other
        return first

    # --- small things -----------------------------------------------------------------------

    def _short(self, matrix: Matrix) -> Matrix:
        return matrix.with_entries(shortest_on(self.equations, matrix.entries))

    @property
    def _zero(self) -> Node:
        return self.variables[0].graph.constant(0)

    @property
    def _identity(self) -> Matrix:
        return Matrix.identity(self.variables[0].graph, len(self.variables))


# --- the geometry of a composed loss ----------------------------------------------------------


@dataclass(frozen=True)
class Along:
    """A matrix B with B∇f_i = 0: B itself."""

    matrix: Matrix


@dataclass(frozen=True)
class Across:
    """A matrix B with ∂ΦB∂Φ = 0: `towards`·`factor` = (B + Bᵀ)FK, D×M; `level` tells whether FᵀBF is other than 0."""

    towards: Matrix
    factor: int
    level: bool


@dataclass(frozen=True)
class OnLevels:
    """The vector F K τ."""

    traces: Matrix


@dataclass(frozen=True)
class Multiple:
    """A vector, and the number that it is multiplied by in the end."""

    vector: Matrix
    factor: Fraction

    def __neg__(self) -> "Multiple":
        return Multiple(self.vector, -self.factor)

    def __rmul__(self, number: Fraction) -> "Multiple":
        return Multiple(self.vector, number * self.factor)


def _matrix(vector: "Multiple | OnLevels") -> Matrix:
    assert isinstance(vector, Multiple)
    return -vector.vector if vector.factor == -1 else vector.factor * vector.vector


@dataclass(frozen=True)
class _Composed(Geometry["Multiple | OnLevels", "Along | Across"]):
    """With H = FKFᵀ on Γ, up to vectors in the range of F where these are projected away:

    T[B] = FK(⟨∇²f_i, B⟩)_i for B∇f_i = 0,  and  Σ_i ∇²f_i (B + Bᵀ)FKe_i + Σ_i ∇f_iᵀB∇f_i ∇k_i  for ∂ΦB∂Φ = 0.
    """

    formulas: ComposedFormulas

    def tangent_part(self, vector: "Multiple | OnLevels") -> Multiple:
        assert isinstance(vector, Multiple)
        return Multiple(self.formulas.tangent_part(vector.vector), vector.factor)

    def pseudo_inverse(self, vector: "Multiple | OnLevels") -> Multiple:
        """H†FKτ = FG⁻¹τ."""
        assert isinstance(vector, OnLevels)
        solution = self.formulas.solve(self.formulas.gram, vector.traces)
        return Multiple(solution.over(combined(self.formulas.normal, solution.numerators)), Fraction(1))

    def third(self, b: "Along | Across") -> "Multiple | OnLevels":
        f = self.formulas
        if isinstance(b, Along):
            return OnLevels(Matrix.column(dot(bend.entries, b.matrix.entries) for bend in f.bends))
        result = f.bent(b.towards)
        if b.level and not f.rigid:
            curvatures = f.curvature.diagonal_entries
            columns = zip(f.normal.T.rows, b.towards.T.rows, curvatures, strict=True)
            weights = Matrix.column(HALF * dot(n, w) / k for n, w, k in columns)
            slopes = Matrix.of(gradient(k, f.variables) for k in curvatures)
            result = result + slopes.T @ weights
        return Multiple(result, Fraction(b.factor))


@dataclass(frozen=True)
class _ComposedBlocks:
    formulas: ComposedFormulas

    @property
    def tangent_covariance(self) -> Along:
        return Along(self.formulas.tangent_covariance)

    @property
    def cross(self) -> Across:
        """(B + Bᵀ)FK = PΣAᵀ for B = H†Σ_⊥∥, and FᵀBF = 0; PΣAᵀh(GK) for B = H†h(H)Σ_⊥∥."""
        f = self.formulas
        weighted = f.normal_noise if f.response.mixed == 1 else f.function(f.response.mixed, f.normal_noise)
        return Across(f.noise_along @ weighted.T, 1, level=False)

    @property
    def stationary(self) -> Across:
        """(S + Sᵀ)FK = 2SFK."""
        return Across(self.formulas.solution_on_normals, 2, level=True)


@lru_cache(maxsize=4)  # every term is made of the same parts
def composed_formulas(derivation: Derivation, solve: Solver) -> ComposedFormulas | None:
    """The formulas for a derivation whose loss is known to be composed of M functions; else None."""
    space = derivation.normal_space
    if not isinstance(space, ComposedFrame) or not derivation.response.in_parameters:
        return None
    if derivation.problem.dimension * derivation.codimension > LARGEST_FRAME:
        return None
    graph = Graph()
    variables = tuple(graph.symbol(s) for s in derivation.problem.parameters)
    blocks = derivation.blocks.on(graph)
    known = derivation.equations.on(graph)
    levels = known["levels"].entries
    zero = dict.fromkeys(known["equations"].entries, graph.constant(0))
    on_manifold = lambda rows: Matrix.of(rows).replace(zero)  # noqa: E731
    slopes = [gradient(level, variables) for level in levels]
    contents = [content(on_manifold([slope]).entries) for slope in slopes]
    # f_i/c for f_i where all of ∇f_i is divisible by c: then k_i c² takes the place of k_i.
    divided = lambda m, c: m.map(lambda entry: entry / c)  # noqa: E731
    constant = lambda e: None if e is None else from_sympy(e, graph)  # noqa: E731
    pairs = list(zip(slopes, contents, strict=True))
    return ComposedFormulas(
        variables=variables,
        levels=levels,
        equations=known["equations"].entries,
        contents=tuple(contents),
        normal=Matrix.of(divided(on_manifold([s]), c).entries for s, c in pairs).T,
        bends=tuple(divided(on_manifold(gradient(e, variables) for e in s), c) for s, c in pairs),
        curvature=Matrix.of(
            [k * c * d for k, d in zip(row, contents, strict=True)]
            for row, c in zip(space.curvature.on(graph)["curvature"].rows, contents, strict=True)
        ),
        rigid=space.rigid,
        noise=blocks["noise_factor"],
        samples=blocks.get("samples"),
        response=derivation.response,
        tangent_factor=from_sympy(derivation.optimizer.tangent_factor, graph),
        slow=slow_fields(derivation, graph, zero),
        proportion=constant(derivation.proportion),
        isotropy=constant(derivation.isotropy),
        zeros=derivation.zeros,
        solve=solve,
    )


def isotropic_scale(noise: Matrix) -> Node | None:
    """s² where Σ = s²I, identically."""
    covariance, d = noise @ noise.T, range(noise.shape[0])
    scale = covariance[0, 0]
    fits = all(covariance[i, j] is scale if i == j else covariance[i, j].is_zero for i in d for j in d)
    return scale if fits else None


def shortest_hessian(derivation: Derivation, graph: Graph) -> Matrix:
    """∇²L on Γ on a graph: FKFᵀ where L is composed of M functions, unless it has fewer operations as it stands."""
    formulas = composed_formulas(derivation, next(iter(SOLVERS.values())))
    whole = derivation.blocks.select("hessian")
    if formulas is not None:
        framed = Program.of({"hessian": formulas.normal @ formulas.curvature @ formulas.normal.T})
        whole = min(framed, whole, key=lambda program: program.expanded_size("hessian"))
    return whole.on(graph)["hessian"]


def slow_fields(derivation: Derivation, graph: Graph, zero: Mapping[Node, Node] | None = None) -> dict[str, Matrix]:
    """g of every drift −∂Φg of the optimizer's own, with what is known to vanish on Γ left out, by the name of its term."""
    fields = derivation.optimizer.drift_fields(derivation.problem)
    return {
        name: Matrix.column(from_sympy(g, graph) for g in field).replace(dict(zero or {}))
        for name, field in fields.items()
    }


def root(node: Node) -> Node:
    """√ of a node."""
    return node.graph.power(node, node.graph.constant(HALF))
