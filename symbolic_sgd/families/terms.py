"""The terms of a family's limiting SDE, as sums over samples and coordinates.

The forms are those of `drift_forms`. A vector E is projected as ∂ΦE = E − Jᵀλ with λ = G⁻¹JE.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from symbolic_sgd import families
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.families.curvature_letters import CurvatureLetters
from symbolic_sgd.families.drift_forms import DriftForms
from symbolic_sgd.families.family import Family
from symbolic_sgd.families.matrix_definitions import batch_equation
from symbolic_sgd.families.matrix_potentials import SpectralRegularizer
from symbolic_sgd.families.noise import Array, Place
from symbolic_sgd.families.slow_motion import SlowMotion
from symbolic_sgd.families.tensor_model import Blocks, TensorModel
from symbolic_sgd.optimizers.kernel import A, B
from symbolic_sgd.printing.blocks import one_output
from symbolic_sgd.tensors.forms import COLUMN, Form, Index, Tensor
from symbolic_sgd.tensors.formula import MatrixFormula
from symbolic_sgd.tensors.sums import Sums, summed


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


LETTERS = {
    "gram": "G",
    "G†": "G^{-1}",
    "normal": "lambda",
    "mixed": "mu",
    "compensation": "rho",
    "imposed": "pi",
    "ζ": "zeta",
    "ω": "omega",
    "v": "X",
}
"""What named arrays are called."""

COLUMN_INDEX, COLUMNS = sp.Symbol("xi", integer=True), sp.Symbol("Xi", integer=True, positive=True)
"""ξ and Ξ, of the columns of σ."""

CURVATURE = "$K = \\mathrm{diag}(\\ell''(0))/n$"
"""The curvature of the loss."""


@dataclass(frozen=True)
class FamilyTerms:
    """The terms of the limiting SDE of a family.

    Args:
        motion: what was stated, and the optimizer.
    """

    motion: SlowMotion[Family]

    @property
    def family(self) -> Family:
        """What was stated."""
        return self.motion.family

    @property
    def i(self) -> sp.Symbol:
        """The index of samples."""
        return self.family.i

    @property
    def j(self) -> sp.Symbol:
        """The index of coordinates."""
        return self.family.j

    @property
    def model(self) -> TensorModel:
        """f and its derivatives."""
        return self.family.model

    @cached_property
    def forms(self) -> DriftForms:
        """The theorem's lines."""
        return DriftForms(self.motion, self.family.trace)

    # --- letters ----------------------------------------------------------------------------

    @cached_property
    def _taken(self) -> set[str]:
        family = self.family
        return {
            *map(str, (family.i, family.j, family.samples, family.coordinates, *family.constants)),
            *(str(base.label) for base in family.bases),
        }

    @cached_property
    def _samples(self) -> tuple[sp.Symbol, ...]:
        """Indices of further samples: k for the columns of G, q, m, …"""
        free = (c for c in (*"kqmpslrt", "k_1", "q_1", "m_1") if c not in self._taken)
        return tuple(sp.Symbol(c, integer=True) for c in free)

    def named(self, meaning: str) -> Array:
        """The array of this meaning."""
        letter, _, block = meaning.partition(":")
        found = next(name for name in (LETTERS[letter] + "'" * k for k in range(3)) if name not in self._taken)
        return sp.IndexedBase(f"{found}^{{{block}}}" if block else found)

    def _entry(self, tensor: Tensor, at: tuple[sp.Symbol, ...]) -> Expression:
        of_family = {t.name: base for base, t in self.family.bases.items()}
        return (of_family.get(tensor.name) or self.named(tensor.name))[at]

    def _kind(self, tensor: Tensor, slot: int) -> str:
        if tensor.shape[slot] == COLUMN.size:
            return "columns"
        name = tensor.name.partition(":")[0]
        at_samples = name in ("G†", "ζ", "ω") or (name != "v" and slot < tensor.labels)
        return "samples" if at_samples else "coordinates"

    def written(
        self, form: Form, at: dict[Index, sp.Symbol] | None = None, samples: Sequence[sp.Symbol] = ()
    ) -> Expression:
        """A form in sums; its samples have the letters that are given, or m, k, …"""
        k, q, m, *more = self._samples
        letters = {
            "coordinates": (self.j,),
            "samples": (*samples, m, k, q, *more),
            "columns": (COLUMN_INDEX,),
        }
        return Sums(self._entry, self._kind, letters).written(form, at).xreplace({COLUMN.size: COLUMNS})

    # --- vectors ----------------------------------------------------------------------------

    def _at(self, symbol: sp.Symbol) -> dict[Index, sp.Symbol]:
        (label,) = self.model.labels
        return {label: symbol}

    def _components(self, blocks: Blocks, at: dict[Index, sp.Symbol] | None = None) -> tuple[Expression, ...]:
        """The entries at coordinate j."""
        places = {i: self.j for p in self.model.parameters for i in self.model.slots(p)} | (at or {})
        return tuple(self.written(blocks[p.name], places) for p in self.model.parameters)

    def _solved(self, meaning: str, right: Form) -> Definition:
        """G⁻¹b."""
        q = self._samples[1]
        inside = self.named("G†")[self.i, q] * self.written(right, self._at(q))
        return Definition(self.named(meaning)[self.i], summed(inside, q, self.family.samples))

    def _back(self, weights: Definition) -> tuple[Expression, ...]:
        """Jᵀλ."""
        entries = self._components(self.model.gradient, self._at(self.i))
        return tuple(summed(entry * weights.place, self.i, self.family.samples) for entry in entries)

    def _projected(self, blocks: Blocks, meaning: str) -> IndexedVector:
        """∂ΦE = E − Jᵀλ."""
        if all(form.is_zero for form in blocks.values()):
            return self._vector(self._components(self.forms.zero))
        weights = self._solved(meaning, self.forms.along_gradients(blocks))
        pairs = zip(self._components(blocks), self._back(weights), strict=True)
        return self._vector([e - back for e, back in pairs], *self._named_in(*blocks.values()), weights)

    def _vector(self, components: Sequence[Expression], *definitions: Definition) -> IndexedVector:
        needed = (self.gram, self.inverse, *(d for d in definitions if d != self.inverse)) if definitions else ()
        return IndexedVector(tuple(components), self.family.parameters, needed)

    def _named_in(self, *forms: Form) -> list[Definition]:
        """What forms name that no sum defines."""
        names = dict.fromkeys(t.name for form in forms for t in sorted(form.tensors, key=lambda t: t.key))
        ours = {t.name for t in self.family.bases.values()}
        return [self._in_words(name) for name in names if name not in ours]

    @cached_property
    def _words(self) -> dict[str, str]:
        """Of named arrays that no sum defines."""
        return {
            "G†": "the inverse of $G$",
            "ζ": self._zeta,
            "ω": self._omega,
            "v": "the blocks of $\\partial\\Phi\\, \\sigma$",
        }

    @property
    def _curvatures(self) -> CurvatureLetters:
        return CurvatureLetters.beside(self._taken | set(LETTERS.values()))

    @property
    def _zeta(self) -> str:
        """ZGK for S = JᵀZJ."""
        motion, write = self.motion, self._curvatures
        if motion.draws_batches:
            return rf"${batch_equation(motion)}$, and {CURVATURE}"
        if motion.share is None:
            c = self.family.proportion
            size: Expression = self.family.noise.isotropy if c is None else c
            scale = "" if size == 1 else rf"\left({sp.latex(size)}\right) "
            e = write.latex(A)
            return rf"${scale}K\, h(G K)$, where $h({e}) = {write.latex(motion.own)}$ and {CURVATURE}"
        if motion.response.is_lyapunov:
            return rf"$Z G K$, where $K G Z + Z G K = G^{{-1}} J \Sigma J^\top G^{{-1}}$ and {CURVATURE}"
        (a, b), k = map(write.latex, (A, B)), write.latex(motion.kernel.function(A, B))
        return (
            rf"$Z G K$, where $(K^{{-1/2}} Z K^{{-1/2}})_{{{a} {b}}} = k({a}, {b})\, "
            rf"(K^{{-1/2}} G^{{-1}} J \Sigma J^\top G^{{-1}} K^{{-1/2}})_{{{a} {b}}}$ in the eigenvectors of $K^{{1/2}} G K^{{1/2}}$, "
            rf"$k({a}, {b}) = {k}$ and {CURVATURE}"
        )

    @property
    def _omega(self) -> str:
        """Of the mixed term."""
        if self.motion.mixed == 1:
            return r"$G^{-1} J \sigma$"
        e, m = self._curvatures.latex(A), self._curvatures.latex(self.motion.mixed)
        return rf"$m(K G)\, G^{{-1}} J \sigma$, where $m({e}) = {m}$ and {CURVATURE}"

    def _in_words(self, name: str) -> Definition:
        k, kind = self._samples[0], name.partition(":")[0]
        at = {"G†": (self.i, k), "ζ": (self.i, k), "ω": (self.i, COLUMN_INDEX), "v": (self.j, COLUMN_INDEX)}
        return Definition(self.named(name)[at[kind]], None, self._words[kind])

    @cached_property
    def gram(self) -> Definition:
        """G_ik = ⟨∇f_i, ∇f_k⟩."""
        k = self._samples[0]
        names = self._at(self.i) | dict.fromkeys(self.model.primed().values(), k)
        return Definition(self.named("gram")[self.i, k], self.written(self.model.gram, names))

    @property
    def inverse(self) -> Definition:
        """G⁻¹."""
        return self._in_words("G†")

    # --- the terms --------------------------------------------------------------------------

    @cached_property
    def regularizer(self) -> Expression | SpectralRegularizer | None:
        """R = (c/4) tr ∇²L for Σ = c∇²L; (s²/4) ln det G for Σ = s²I, up to a constant; times the share, where there is one, else as
        a sum over the curvatures."""
        if self.forms.regularizer is not None:
            return self.written(self.forms.regularizer, samples=(self.i,))
        s2, share = self.family.noise.isotropy, self.motion.share
        if share is None and self.motion.own is not None:
            other = {i: Index(str(self._samples[0]), i.size) for i in self.model.primed().values()}
            return SpectralRegularizer(self.motion, MatrixFormula(self.model.gram.renamed(other)))
        if s2 is None or share is None:
            return None
        return share * s2 / 4 * sp.log(sp.Determinant(sp.MatrixSymbol("G", self.family.samples, self.family.samples)))

    def _compensation(self) -> IndexedVector:
        """−½JᵀG⁻¹τ."""
        traces = self.forms.traces
        if traces is None or traces.is_zero:
            return self._vector(self._components(self.forms.zero))
        weights = self._solved("compensation", traces.scaled(sp.Rational(1, 2)))
        return self._vector([-back for back in self._back(weights)], *self._named_in(traces), weights)

    @cached_property
    def terms(self) -> dict[str, IndexedVector]:
        """The drift's three terms, the optimizer's own, and their sum, by name."""
        parts = {
            "tangent_noise_compensation": self._compensation(),
            "mixed_regularization": self._projected(self.forms.mixed, "mixed"),
            "normal_regularization": self._projected(self.forms.normal, "normal"),
            "imposed_drift": self._projected(self.forms.imposed, "imposed"),
        }
        definitions = dict.fromkeys(d for part in parts.values() for d in part.definitions)
        components = zip(*(part.components for part in parts.values()), strict=True)
        total = IndexedVector(tuple(sp.Add(*c) for c in components), self.family.parameters, tuple(definitions))
        return parts | {"drift": total}
