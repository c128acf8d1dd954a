"""What the theorem asks of a model f_L(θ) of any size, as forms of the calculus of `tensors`.

L are the labels: the index of the sample, and those of its outputs. All is made of ∇f by products, sums and one further derivative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from symbolic_sgd.tensors.derivative import derivative
from symbolic_sgd.tensors.forms import COLUMN, Form, Index, Tensor, added

Blocks = Mapping[str, Form]
"""A vector of parameters: a form for each, by its name."""


@dataclass(frozen=True)
class TensorModel:
    """f and its derivatives.

    Args:
        f: with the labels as its free indices.
        parameters: θ.
        samples: n of L = (1/2n) Σ_L f_L².
    """

    f: Form
    parameters: tuple[Tensor, ...]
    samples: Any

    # --- indices ----------------------------------------------------------------------------

    @property
    def labels(self) -> tuple[Index, ...]:
        """L."""
        return self.f.free

    def primed(self, primes: int = 1) -> dict[Index, Index]:
        """L′, L″, …: labels of their own for a second and a third residual."""
        return {i: Index(f"{i.name}{'′' * primes}", i.size) for i in self.labels}

    def slots(self, parameter: Tensor, primes: int = 0) -> tuple[Index, ...]:
        """The indices of an entry of a parameter."""
        return tuple(Index(f"{parameter.name}.{k}{'′' * primes}", s) for k, s in enumerate(parameter.shape))

    def on_labels(self, name: str, *primes: int, further: tuple[Index, ...] = (), symmetric: bool = False) -> Form:
        """A tensor with the labels as its indices, once for each number of primes."""
        at = tuple(i for k in primes for i in (self.primed(k).values() if k else self.labels))
        count = len(self.labels)
        swaps = ((*range(2 * count),), (*range(count, 2 * count), *range(count))) if symmetric else None
        return Tensor(name, tuple(i.size for i in (*at, *further)), swaps=swaps).entry(*at, *further)

    def vector(self, *further: Index) -> dict[str, Form]:
        """A vector of parameters that is only named, with further indices after its own: its tensors are called v:U, …"""
        return {
            p.name: Tensor(f"v:{p.name}", (*p.shape, *(i.size for i in further))).entry(*self.slots(p), *further)
            for p in self.parameters
        }

    # --- the objects of the theorem -----------------------------------------------------------

    @cached_property
    def gradient(self) -> Blocks:
        """∂f_L/∂θ."""
        return self.gradient_of(self.f)

    @cached_property
    def gram(self) -> Form:
        """G_LL′ = ⟨∇f_L, ∇f_L′⟩."""
        return added(
            [(j * j.renamed(self.primed())).summed(*self.slots(p)) for p, j in self._by_parameter(self.gradient)]
        )

    @cached_property
    def squares(self) -> Form:
        """‖∇f_L‖²: L′ is renamed to L, and not summed over."""
        return self.gram.renamed({b: a for a, b in self.primed().items()})

    @cached_property
    def total_square(self) -> Form:
        """S = Σ_L ‖∇f_L‖², which is n tr ∇²L on Γ."""
        return self.squares.summed(*self.labels)

    def gradient_of(self, form: Form) -> Blocks:
        """The gradient of a form without free indices, or with some of its own."""
        return {p.name: self._slope(form, p) for p in self.parameters}

    # --- operators, in arguments that are named ----------------------------------------------

    @cached_property
    def along(self) -> Form:
        """(Jv)_L."""
        return self._along(self.f, self.vector())

    @cached_property
    def along_columns(self) -> Form:
        """(Jv)_Lξ for a vector v with columns ξ."""
        return self._along(self.f, self.vector(COLUMN))

    @cached_property
    def back(self) -> Blocks:
        """Jᵀλ = Σ_L λ_L ∇f_L."""
        weights = self.on_labels("λ", 0)
        return {p.name: (j * weights).summed(*self.labels) for p, j in self._by_parameter(self.gradient)}

    @cached_property
    def back_columns(self) -> Blocks:
        """Σ_L λ_Lξ ∇f_L, for weights with columns ξ."""
        weights = self.on_labels("λ", 0, further=(COLUMN,))
        return {p.name: (j * weights).summed(*self.labels) for p, j in self._by_parameter(self.gradient)}

    @cached_property
    def bent(self) -> Blocks:
        """N[ζ] = Σ_LL′ ζ_L′L (∇²f_L) ∇f_L′. For a symmetric ζ it is ½∇⟨ζ, G⟩ with ζ frozen."""
        columns = self._combined(self.on_labels("ζ", 1, 0), 1)
        return {p.name: self._second(p, columns).summed(*self.labels) for p in self.parameters}

    @cached_property
    def bent_along(self) -> Blocks:
        """Σ_L (∇²f_L) V_L for V_L = Σ_ξ ω_Lξ v_ξ."""
        slope = (self.along_columns * self.on_labels("ω", 0, further=(COLUMN,))).summed(*self.labels, COLUMN)
        return self.gradient_of(slope)

    @cached_property
    def curved(self) -> Form:
        """τ_L = Σ_ξ v_ξᵀ(∇²f_L)v_ξ."""
        return self._along(self.along_columns, self.vector(COLUMN)).summed(COLUMN)

    @cached_property
    def laplacian(self) -> Form:
        """tr ∇²f_L."""
        parts = []
        for p in self.parameters:
            diagonal = self._curvature[p.name, p.name].renamed(dict(zip(self.slots(p, 1), self.slots(p), strict=True)))
            parts.append(diagonal.summed(*self.slots(p)))
        return added(parts)

    @cached_property
    def curved_by_gradients(self) -> Form:
        """Σ_L′L″ G†_L′L″ ∇f_L′ᵀ(∇²f_L)∇f_L″."""
        once = self.primed(1)
        columns = self._combined(self.on_labels("G†", 1, 2, symmetric=True), 2)
        parts = [
            (self._second(p, columns) * j.renamed(once)).summed(*self.slots(p), *once.values())
            for p, j in self._by_parameter(self.gradient)
        ]
        return added(parts)

    # --- pieces -----------------------------------------------------------------------------

    def _along(self, form: Form, vector: Blocks) -> Form:
        parts = [(self._slope(form, p) * v).summed(*self.slots(p)) for p, v in self._by_parameter(vector)]
        return added(parts)

    def _combined(self, weights: Form, primes: int) -> Blocks:
        """Σ ∇f weighted, over labels with primes."""
        names = self.primed(primes)
        return {
            p.name: (j.renamed(names) * weights).summed(*names.values()) for p, j in self._by_parameter(self.gradient)
        }

    def _second(self, p: Tensor, columns: Blocks) -> Form:
        """The block of p of (∇²f_L)v."""
        apart = self.slots(p, 1)
        parts = [(self._curvature[p.name, q.name] * columns[q.name]).summed(*self.slots(q)) for q in self.parameters]
        return added(parts).renamed(dict(zip(apart, self.slots(p), strict=True)))

    @cached_property
    def _curvature(self) -> Mapping[tuple[str, str], Form]:
        """The blocks of ∇²f_L; the slots of the first have primes."""
        pairs = product(self.parameters, self.parameters)
        return {(p.name, q.name): derivative(self.gradient[q.name], p, self.slots(p, 1)) for p, q in pairs}

    def _slope(self, form: Form, p: Tensor) -> Form:
        return derivative(form, p, self.slots(p), (*self.labels, COLUMN))

    def _by_parameter(self, blocks: Blocks) -> list[tuple[Tensor, Form]]:
        return [(p, blocks[p.name]) for p in self.parameters]
