"""The theorem for a family, term by term, as sums over samples and coordinates.

With J_i,(g,j) = φ_g(z_ij, x_j), G = JJᵀ and K = diag(κ_i)/n, Γ has ∂Φ = I − JᵀG⁻¹J and ∇²L = JᵀKJ, and ∇²f_i has the
blocks φ_gh(z_ij, x_j) on its diagonal. For the D×n matrices V put N[V] = Σ_i (∇²f_i) V e_i. Then (Li, Wang & Arora 2022,
main theorem, corrected)

    tangent-noise compensation  −½ JᵀG⁻¹τ,   τ_i = tr(∇²f_i Σ_∥)
    mixed regularization        −∂Φ N[∂Φ Σ JᵀG⁻¹]
    normal regularization       −∂Φ N[JᵀZGK],   KGZ + ZGK = G⁻¹JΣJᵀG⁻¹

since S = JᵀZJ, ∇²L† = JᵀG⁻¹K⁻¹G⁻¹J, and ∂Φ T[S] = 2∂Φ Σ_i κ_i/n (∇²f_i)S∇f_i for symmetric S. Z GK is (c/2)K for
Σ = c∇²L and (s²/2)G⁻¹ for Σ = s²I, and no equation has to be solved.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from symbolic_sgd import families
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.families.family import Family
from symbolic_sgd.families.noise import Array, Place
from symbolic_sgd.families.summand import Summand
from symbolic_sgd.printing.blocks import one_output

Component = Callable[[int, sp.Expr], Expression]
"""(g, j) → the entry of a vector that belongs to the parameter g of coordinate j."""


@dataclass(frozen=True)
class Definition:
    """A named array of which a formula makes use: `place` = `value`, or, where it has none, what `words` say."""

    place: Place
    value: Expression | None
    words: str = ""


@dataclass(frozen=True)
class IndexedVector:
    """A vector of R^D, by its entries at coordinate j.

    Args:
        components: one expression with the free index j for each parameter of a coordinate.
        bases: these parameters.
        definitions: of the named arrays that the components hold, in the order in which they can be computed.
    """

    components: tuple[Expression, ...]
    bases: tuple[Array, ...]
    definitions: tuple[Definition, ...] = ()

    def __getitem__(self, base: Array) -> Expression:
        return self.components[self.bases.index(base)]

    def __repr__(self) -> str:
        entries = zip(self.bases, self.components, strict=True)
        return f"IndexedVector({'; '.join(f'{base.label}: {entry}' for base, entry in entries)})"

    def _repr_latex_(self) -> str:
        return one_output(families.latex.vector_blocks(self))

    @property
    def is_zero(self) -> bool:
        return all(c == 0 for c in self.components)


class FamilyTerms:
    """The terms of the limiting SDE of a family.

    Args:
        summand: φ with its derivatives.
    """

    def __init__(self, summand: Summand):
        self.summand = summand
        family = summand.family
        self.family: Family = family
        self.i, self.j, self.n, self.d = family.i, family.j, family.samples, family.coordinates
        self.groups = range(len(family.parameters))
        taken = {str(s) for s in (self.i, self.j, self.n, self.d, *family.constants)}
        taken |= {str(b.label) for b in (*family.parameters, *(a.base for a in family.data))}
        names = [sp.Symbol(c, integer=True) for c in (*"kqmpslrt", "k_1", "q_1", "m_1") if c not in taken]
        self.k, self.q, self.m = names[:3]
        self.names = {
            meaning: sp.IndexedBase(next(name for name in (letter, letter + "'", letter + "''") if name not in taken))
            for meaning, letter in LETTERS.items()
        }

    def named(self, meaning: str) -> Array:
        """The array of this meaning."""
        return self.names[meaning]

    # --- the ingredients, at any indices ----------------------------------------------------

    def at(self, expression: Expression, i: sp.Expr, j: sp.Expr) -> Expression:
        """An expression of the summand at sample i and coordinate j."""
        return self.summand.indexed(expression).xreplace({self.i: i, self.j: j})

    def slope(self, g: int, i: sp.Expr, j: sp.Expr) -> Expression:
        """J_i,(g,j) = φ_g(z_ij, x_j)."""
        return self.at(self.summand.slopes[g], i, j)

    def over_samples(self, expression: Expression, i: sp.Symbol) -> Expression:
        """Σ_i, with what does not depend on i in front."""
        return summed(expression, i, self.n)

    def over_coordinates(self, expression: Expression, j: sp.Symbol) -> Expression:
        """Σ_j."""
        return summed(expression, j, self.d)

    @cached_property
    def gram(self) -> Definition:
        """G_ik = Σ_j Σ_g φ_g(z_ij, x_j) φ_g(z_kj, x_j)."""
        j, k = self.j, self.k
        products = [self.slope(g, self.i, j) * self.slope(g, k, j) for g in self.groups]
        return Definition(self.named("gram")[self.i, k], self.over_coordinates(_short(products), j))

    @cached_property
    def inverse(self) -> Definition:
        """G⁻¹."""
        return Definition(self.named("inverse")[self.i, self.k], None, "the inverse of $G$")

    # --- operations -------------------------------------------------------------------------

    def projected(self, vector: Component, meaning: str) -> IndexedVector:
        """∂Φ v = v − Jᵀλ, λ = G⁻¹Jv."""
        j, q = self.j, self.q
        inner = [self.slope(g, q, j) * vector(g, j) for g in self.groups]
        along = self.over_coordinates(_short(inner), j)
        weight = Definition(self.named(meaning)[self.i], self.over_samples(self.named("inverse")[self.i, q] * along, q))
        return self._vector(
            lambda g: vector(g, j) - self.over_samples(self.slope(g, self.i, j) * self.named(meaning)[self.i], self.i),
            (weight,),
        )

    def transposed(self, meaning: str, weight: Expression, factor: sp.Expr) -> IndexedVector:
        """factor · JᵀG⁻¹τ for the vector τ_q = `weight`."""
        value = self.over_samples(self.named("inverse")[self.i, self.q] * weight, self.q)
        definition = Definition(self.named(meaning)[self.i], value)
        row = lambda g: self.over_samples(self.slope(g, self.i, self.j) * definition.place, self.i)  # noqa: E731
        return self._vector(lambda g: factor * row(g), (definition,))

    def contracted(self, v: Callable[[int, sp.Expr, sp.Expr], Expression]) -> Component:
        """N[V]_(g,j) = Σ_i Σ_h φ_gh(z_ij, x_j) V_(h,j),i."""

        def component(g: int, j: sp.Expr) -> Expression:
            m = self.m
            terms = [self.at(self.summand.curvatures[g][h], m, j) * v(h, j, m) for h in self.groups]
            return self.over_samples(_short(terms), m)

        return component

    def zero(self) -> IndexedVector:
        """0."""
        return self._vector(lambda g: sp.S.Zero, ())

    def _vector(self, component: Callable[[int], Expression], definitions: tuple[Definition, ...]) -> IndexedVector:
        needed = (self.gram, self.inverse, *definitions) if definitions else ()
        return IndexedVector(tuple(component(g) for g in self.groups), self.family.parameters, needed)

    def scaled(self, factor: Expression, vector: IndexedVector) -> IndexedVector:
        """A multiple of a vector."""
        return IndexedVector(tuple(factor * c for c in vector.components), vector.bases, vector.definitions)

    # --- the terms --------------------------------------------------------------------------

    @cached_property
    def regularizer(self) -> Expression | None:
        """R = (c/4) tr ∇²L = (c/4n) Σ_j Σ_i κ_i Σ_g φ_g² for Σ = c∇²L; (s²/4) ln det G for Σ = s²I, up to a constant."""
        c = self.summand.proportion
        if c is not None:
            return self._label_regularizer(self.j, self.i)
        s2 = self.family.noise.isotropy
        if s2 is not None:
            return s2 / 4 * sp.log(sp.Determinant(sp.MatrixSymbol("G", self.n, self.n)))
        return None

    def _label_regularizer(self, j: sp.Symbol, i: sp.Symbol) -> Expression:
        factor, per_coordinate = self._curvature_of(j, i)
        return factor * self.over_coordinates(per_coordinate, j)

    def _curvature_of(self, j: sp.Expr, i: sp.Symbol, g: int | None = None) -> tuple[Expression, Expression]:
        """(c/4n) · Σ_i κ_i Σ_h φ_h² of coordinate j, or its derivative by the parameter g, as (factor, rest)."""
        s = self.summand
        c, kappa = s.proportion, s.curvature
        assert c is not None
        if s.split is None:
            squares = sp.Add(*(kappa * slope**2 for slope in s.slopes))
            moved = squares if g is None else sp.diff(squares, s.parameters[g])
            content, rest = sp.factor_terms(moved).as_coeff_Mul()
            return c * content / (4 * self.n), self.over_samples(self.at(rest, i, j), i)
        a, b = s.split
        squares = sp.Add(*(sp.diff(b, x) ** 2 for x in s.parameters))
        moved = squares if g is None else sp.diff(squares, s.parameters[g])
        inner, outer = (kappa * a**2).as_independent(*s.of_samples, as_Add=False)[::-1]
        content, rest = sp.powsimp(sp.factor_terms(moved * outer)).as_coeff_Mul()
        return c * content / (4 * self.n), self.at(rest, i, j) * self.over_samples(self.at(inner, i, j), i)

    def normal_regularization(self) -> IndexedVector:
        """−∂Φ N[JᵀZGK]."""
        if self.summand.proportion is not None:

            def slope(g: int, j: sp.Expr) -> Expression:
                factor, rest = self._curvature_of(j, self.m, g)
                return -factor * rest

            return self.projected(slope, "normal")
        s2 = self.family.noise.isotropy
        if s2 is not None:
            field = self.contracted(self._weights)
            return self.scaled(-s2 / 2, self.projected(field, "normal"))
        field = self.contracted(lambda h, j, i: self._solved(h)[j, i])
        found = self.projected(field, "normal")
        definitions = tuple(Definition(self._solved(h)[self.j, self.i], None, LYAPUNOV) for h in self.groups)
        return self.scaled(sp.S.NegativeOne, self._with(found, definitions))

    def _weights(self, h: int, j: sp.Expr, i: sp.Expr) -> Expression:
        """(JᵀG⁻¹)_(h,j),i."""
        return self.over_samples(self.slope(h, self.k, j) * self.named("inverse")[self.k, i], self.k)

    def _solved(self, h: int) -> Array:
        return sp.IndexedBase(f"V^{{{self.family.parameters[h].label}}}")

    def _crossed(self, h: int) -> Array:
        return sp.IndexedBase(f"X^{{{self.family.parameters[h].label}}}")

    def _along(self, g: int, h: int) -> Array:
        labels = [str(self.family.parameters[k].label) for k in (g, h)]
        return sp.IndexedBase(f"Sigma^{{{','.join(labels)}}}")

    def mixed_regularization(self) -> IndexedVector:
        """−∂Φ N[∂Φ Σ JᵀG⁻¹]."""
        if not self.is_general:
            return self.zero()
        field = self.contracted(lambda h, j, i: self._crossed(h)[j, i])
        found = self.projected(field, "mixed")
        definitions = tuple(Definition(self._crossed(h)[self.j, self.i], None, CROSSED) for h in self.groups)
        return self.scaled(sp.S.NegativeOne, self._with(found, definitions))

    def tangent_noise_compensation(self) -> IndexedVector:
        """−½ JᵀG⁻¹τ, τ_i = tr(∇²f_i Σ_∥)."""
        s2 = self.family.noise.isotropy
        if s2 is not None:
            return self.transposed("compensation", self._isotropic_trace(), -s2 / 2)
        if not self.is_general:
            return self.zero()
        j, q = self.j, self.q
        traces = [
            self.at(self.summand.curvatures[g][h], q, j) * self._along(g, h)[j, j]
            for g in self.groups
            for h in self.groups
        ]
        found = self.transposed("compensation", self.over_coordinates(_short(traces), j), -sp.Rational(1, 2))
        definitions = tuple(
            Definition(self._along(g, h)[self.j, self.j], None, ALONG) for g in self.groups for h in self.groups
        )
        return self._with(found, definitions)

    def _isotropic_trace(self) -> Expression:
        """tr(∇²f_q ∂Φ) = Σ_j Σ_gh φ_gh (δ_gh − Σ_km φ_g(z_kj) G⁻¹_km φ_h(z_mj))."""
        j, k, q, m = self.j, self.k, self.q, self.m
        total = []
        for g in self.groups:
            for h in self.groups:
                second = self.at(self.summand.curvatures[g][h], q, j)
                if second == 0:
                    continue
                inner = self.slope(g, k, j) * self.slope(h, m, j) * self.named("inverse")[k, m]
                across = self.over_samples(self.over_samples(inner, m), k)
                total.append(second * ((1 if g == h else 0) - across))
        return self.over_coordinates(sp.Add(*total), j) if total else sp.S.Zero

    @property
    def is_general(self) -> bool:
        """Whether Σ has blocks along Γ, and no structure that is known."""
        return self.summand.variance is None and self.family.noise.isotropy is None

    def _with(self, vector: IndexedVector, definitions: tuple[Definition, ...]) -> IndexedVector:
        kept = vector.definitions
        return IndexedVector(vector.components, vector.bases, (*kept[:2], *definitions, *kept[2:]))

    @cached_property
    def terms(self) -> dict[str, IndexedVector]:
        """The drift's three terms and their sum, by name."""
        parts = {
            "tangent_noise_compensation": self.tangent_noise_compensation(),
            "mixed_regularization": self.mixed_regularization(),
            "normal_regularization": self.normal_regularization(),
        }
        definitions = dict.fromkeys(d for part in parts.values() for d in part.definitions)
        components = zip(*(part.components for part in parts.values()), strict=True)
        total = IndexedVector(tuple(sp.Add(*c) for c in components), self.family.parameters, tuple(definitions))
        return parts | {"drift": total}


LETTERS = {"gram": "G", "inverse": "G^{-1}", "normal": "lambda", "mixed": "mu", "compensation": "rho"}
"""What named arrays are called."""

LYAPUNOV = "the blocks of $J^\\top Z G K$, where $K G Z + Z G K = G^{-1} J \\Sigma J^\\top G^{-1}$"
CROSSED = "the blocks of $\\partial\\Phi\\, \\Sigma J^\\top G^{-1}$"
ALONG = "the blocks of $\\partial\\Phi\\, \\Sigma\\, \\partial\\Phi$"


def summed(expression: Expression, index: sp.Symbol, size: Expression) -> Expression:
    """Σ over 1 … size, with the factors that do not depend on the index in front of the sign."""
    expression = sp.factor_terms(expression)
    if index not in expression.free_symbols:
        return size * expression
    outer, inner = (sp.S.One, expression) if expression.is_Add else expression.as_independent(index, as_Add=False)
    return outer * sp.Sum(inner, (index, 1, size))


def _short(terms: Sequence[Expression]) -> Expression:
    return sp.factor_terms(sp.Add(*terms))
