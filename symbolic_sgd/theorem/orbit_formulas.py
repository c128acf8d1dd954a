"""The theorem where Γ is an orbit of linear symmetries: no frame of normals, and no third derivatives.

With T = (X_1x … X_dx), G = TᵀT, U = TG⁻¹ and Q = I − ∂Φ, on Γ:

    ∂Φ = UTᵀ,   b_∥ = ½Q Σ_a X_a ∂ΦΣU e_a,   b_⊥∥ = U(tr X_a ∂ΦΣQ)_a,   b_⊥ = U(tr X_a SH)_a,

for H X_a x = −X_aᵀ∇L is an identity, whose derivatives on Γ, where ∇L = 0, are ∂²(∇L)[X_bx, X_ax] = −H X_a X_b x and
(X_ax)ᵀ ∂²(∇L)[B] = −tr X_a(B + Bᵀ)H. Where Σ_⊥ = cH this is (c/2) tr X_aH, and where Σ_⊥ = s²Q it is (s²/2) tr X_aQ.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.linear_forms import combined
from symbolic_sgd.algebra.matrices import Matrix, dot
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.solvers import SOLVERS, Solution, Solver
from symbolic_sgd.algebra.translation import from_sympy
from symbolic_sgd.algebra.varieties import zero_on
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.manifold.precise import PrecisePoint
from symbolic_sgd.rational.recognition import rational
from symbolic_sgd.theorem.composed import (
    ComposedFormulas,
    composed_formulas,
    isotropic_scale,
    root,
    shortest_hessian,
    slow_fields,
)
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.geometry import symmetrised
from symbolic_sgd.theorem.orbit import Orbit, orbit_of
from symbolic_sgd.theorem.rational_forms import shortest_on
from symbolic_sgd.theorem.terms import DRIFT_TERMS

HALF = Fraction(1, 2)

LARGEST_DENOMINATOR = 10**6
"""Of a number that an entry of G is on Γ."""


@dataclass(frozen=True)
class OrbitFormulas:
    """The terms by the formulas above, as nodes of one graph.

    Args:
        derivation: of the terms.
        generators: X_1 … X_d.
        variables: x, the parameters.
        equations: what vanishes on Γ.
        noise, hessian: σ and H on Γ.
        solution: SH, from S by the program as derived, where nothing shorter is known.
        composed: the formulas in F, where there are such.
        slow: g on Γ, D×1, for every drift −∂Φg of the optimizer's own, by the name of its term.
        solve: (G, B) ↦ G⁻¹B.
    """

    derivation: Derivation
    generators: tuple[Matrix, ...]
    variables: tuple[Node, ...]
    equations: tuple[Node, ...]
    noise: Matrix
    hessian: Matrix
    solution: Matrix
    composed: ComposedFormulas | None
    slow: dict[str, Matrix]
    solve: Solver

    def program(self, name: str) -> Program:
        """A term as a program, and G beside it.

        Raises:
            KeyError: there is no formula of such a term.
            ExpressionTooLarge: it needs a function of ∇²L, and M is too large for its closed form.
        """
        if name in self.slow:
            return Program.of({name: -self.tangent_part(self.slow[name]), "G": self.gram})
        if name not in ("tangent_projection", "tangent_noise", *DRIFT_TERMS, "drift"):
            raise KeyError(name)
        return Program.of({name: getattr(self, name), "G": self.gram})

    # --- projections ------------------------------------------------------------------------

    @cached_property
    def tangents(self) -> Matrix:
        """T, D×d."""
        x = Matrix.column(self.variables)
        return Matrix.of((generator @ x).entries for generator in self.generators).T

    @cached_property
    def gram(self) -> Matrix:
        """G, with the entries that are proved to be numbers on Γ."""
        product = self._short(self.tangents.T @ self.tangents)
        return symmetrised(product.with_entries(_with_numbers(self.derivation, self.equations, product.entries)))

    def coordinates(self, right: Matrix) -> Matrix:
        """Uᵀ right."""
        return self._least_squares(right).value

    def tangent_part(self, right: Matrix) -> Matrix:
        """∂Φ right."""
        return self._along(self._least_squares(right))

    def _least_squares(self, right: Matrix) -> Solution:
        return self.solve(self.gram, self._short(self.tangents.T @ right))

    def _along(self, solution: Solution) -> Matrix:
        return solution.over(combined(self.tangents, solution.numerators))

    @cached_property
    def tangent_projection(self) -> Matrix:
        return self.tangent_part(Matrix.identity(self.graph, len(self.variables)))

    # --- the noise --------------------------------------------------------------------------

    @cached_property
    def tangent_noise(self) -> Matrix:
        """√τ ∂Φσ."""
        tau = self.tangent_factor
        return self.noise_along if tau.op == "constant" and tau.value == 1 else self.noise_along.scaled(root(tau))

    @cached_property
    def noise_along(self) -> Matrix:
        """∂Φσ."""
        return self.tangent_part(self.noise)

    @cached_property
    def noise_across(self) -> Matrix:
        """h(H)Qσ, h = 1 for plain SGD."""
        mixed = self.derivation.response.mixed
        if mixed == 1:
            return self.noise - self.noise_along
        if self.composed is None:
            raise ExpressionTooLarge("functions of ∇²L have no closed form of moderate size")
        return self.composed.normal @ self.composed.function(mixed, self.composed.normal_noise)

    # --- the drift --------------------------------------------------------------------------

    @cached_property
    def tangent_noise_compensation(self) -> Matrix:
        bent = _total(
            generator @ Matrix.column(column)
            for generator, column in zip(self.generators, self._covariance_along.T.rows, strict=True)
        ).scaled(HALF * self.tangent_factor)
        return bent - self.tangent_part(bent)

    @property
    def _covariance_along(self) -> Matrix:
        """∂ΦΣU, which is s²U where Σ = s²I."""
        scale = isotropic_scale(self.noise)
        if scale is not None:
            return self.coordinates(Matrix.identity(self.graph, len(self.variables))).T.scaled(scale)
        moved = self.coordinates(self.noise)
        return combined(self.tangents, moved @ moved.T)

    @cached_property
    def mixed_regularization(self) -> Matrix:
        return self._lifted(
            self._paired(generator, self.noise_along, self.noise_across) for generator in self.generators
        )

    @cached_property
    def normal_regularization(self) -> Matrix:
        return self._lifted(map(self._normal_trace, self.generators))

    def _normal_trace(self, generator: Matrix) -> Node:
        """tr XSH."""
        known = self.derivation
        if known.response.is_lyapunov and known.isotropy is not None:
            along = dot(
                (generator @ self.tangents).entries,
                self.coordinates(Matrix.identity(self.graph, len(self.variables))).T.entries,
            )
            return (generator.trace - along) * from_sympy(known.isotropy / 2, self.graph)
        if known.response.is_lyapunov and known.proportion is not None:
            return self._trace_of_product(generator, self.hessian) * from_sympy(known.proportion / 2, self.graph)
        if self.composed is not None:
            return self._paired(generator, self.composed.solution_on_normals, self.composed.normal)
        return self._trace_of_product(generator, self.solution)

    @staticmethod
    def _paired(generator: Matrix, right: Matrix, left: Matrix) -> Node:
        """tr X right leftᵀ."""
        return dot((generator @ right).entries, left.entries)

    @staticmethod
    def _trace_of_product(generator: Matrix, matrix: Matrix) -> Node:
        return dot(generator.entries, matrix.T.entries)

    def _lifted(self, traces: Iterable[Node]) -> Matrix:
        """U(…)_a."""
        return self._along(self.solve(self.gram, self._short(Matrix.column(traces))))

    @cached_property
    def drift(self) -> Matrix:
        total = Matrix.column([self.graph.constant(0)] * len(self.variables))
        zero = vanishing(self.derivation)
        for name in DRIFT_TERMS:
            total = total if name in zero else total + getattr(self, name)
        for field in self.slow.values():
            total = total - self.tangent_part(field)
        return total

    # --- small things -----------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        return self.variables[0].graph

    @cached_property
    def tangent_factor(self) -> Node:
        """τ."""
        return from_sympy(self.derivation.optimizer.tangent_factor, self.graph)

    def _short(self, matrix: Matrix) -> Matrix:
        return matrix.with_entries(shortest_on(self.equations, matrix.entries))


def orbit_formulas(derivation: Derivation, solve: Solver) -> OrbitFormulas | None:
    """The formulas for a derivation whose Γ is known to be an orbit; else None."""
    if derivation.optimizer.in_metric or not derivation.response.in_parameters:
        return None
    orbit = orbit_of(derivation)
    if orbit is None:
        return None
    composed = composed_formulas(derivation, solve)
    graph = Graph() if composed is None else composed.variables[0].graph
    blocks = derivation.blocks.on(graph)
    solution = derivation.program.select("lyapunov_solution").on(graph)["lyapunov_solution"]
    return OrbitFormulas(
        derivation=derivation,
        generators=generators_on(graph, orbit),
        variables=tuple(graph.symbol(s) for s in derivation.problem.parameters),
        equations=derivation.equations.on(graph)["defining"].entries,
        noise=blocks["noise_factor"],
        hessian=shortest_hessian(derivation, graph),
        solution=solution @ blocks["hessian"],
        composed=composed,
        slow=slow_fields(derivation, graph),
        solve=solve,
    )


def generators_on(graph: Graph, orbit: Orbit) -> tuple[Matrix, ...]:
    """X_1 … X_d as nodes."""
    written = lambda x: Matrix.of([from_sympy(e, graph) for e in row] for row in x.tolist())  # noqa: E731
    return tuple(map(written, orbit.generators))


def orbit_programs(derivation: Derivation, name: str) -> Iterator[tuple[str, Program]]:
    """A term by the formulas on an orbit, one program for each way to solve with the Gram matrix."""
    for words, solve in SOLVERS.items():
        formulas = orbit_formulas(derivation, solve)
        if formulas is None:
            return
        try:
            by = "" if len(formulas.generators) == 1 else f", and (TᵀT)⁻¹ by {words}"
            yield f"a formula in T = (X_1x, …), for Γ is an orbit of linear symmetries{by}", formulas.program(name)
        except (ExpressionTooLarge, ZeroDivisionError):
            continue
        except KeyError:
            return


def vanishing(derivation: Derivation) -> frozenset[str]:
    """The terms that are known to be zero on Γ: b_⊥ too where isometries make the orbit and SH is symmetric, for then tr XSH = 0."""
    commutes = derivation.isotropy is not None or derivation.proportion is not None
    plain = derivation.response.is_lyapunov and not derivation.optimizer.in_metric
    orbit = orbit_of(derivation) if commutes and plain else None
    isometries = orbit is not None and all(not any(x + x.T) for x in orbit.generators)
    return derivation.zeros | {"normal_regularization"} if isometries else derivation.zeros


def _with_numbers(derivation: Derivation, equations: Sequence[Node], entries: Sequence[Node]) -> list[Node]:
    """The entries, with those that are proved to be rational numbers on Γ as these."""
    graph = entries[0].graph
    points = [PrecisePoint(point) for point in derivation.points]
    values = [
        {rational(v, LARGEST_DENOMINATOR) for v in of} for of in zip(*(p.high(entries) for p in points), strict=True)
    ]
    guessed = [next(iter(found)) if len(found) == 1 else None for found in values]
    guesses = [(i, graph.constant(q)) for i, q in enumerate(guessed) if q is not None and entries[i].args]
    proved = zero_on(equations, [entries[i] - q for i, q in guesses], derivation.codimension)
    numbers = {i: q for (i, q), holds in zip(guesses, proved, strict=True) if holds}
    return [numbers.get(i, entry) for i, entry in enumerate(entries)]


def _total(matrices: Iterable[Matrix]) -> Matrix:
    first, *others = matrices
    for other in others:
        first = first + other
    return first
