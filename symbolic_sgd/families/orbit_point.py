"""A point of a family that sees all of UVᵀ: Γ is locally the orbit (Ug, Vg^{−⊤}), and nothing of the size of G is formed.

∂Φ(A, B) = (US, −VSᵀ) with the r×r Sylvester equation UᵀU S + S VᵀV = UᵀA − BᵀV: the tangent space is {(US, −VSᵀ)}, and (A, B) less
its projection is orthogonal to it. G is F ↦ UUᵀF + FVVᵀ on matrices F, so that G† divides by the sums of eigenvalues of UUᵀ and VVᵀ
that are not zero, and G has the rank d₁d₂ − (d₁ − rank U)(d₂ − rank V).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symbolic_sgd.errors import SingularPoint
from symbolic_sgd.families.gram_inverse import CLEAR, ROUNDINGS
from symbolic_sgd.families.matrix_definitions import Definition
from symbolic_sgd.families.orbit_count import orbit_count
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.families.tensor_point import TensorPoint, Vector
from symbolic_sgd.tensors.forms import Tensor


@dataclass(frozen=True)
class MatrixPair:
    """f = s·UVᵀ less data, every entry of it.

    Args:
        left, right: U and V.
        turned: whether each has its summed index first, and not last.
        scale: s.
        crossed: whether the label of V comes first in f.

    >>> from symbolic_sgd import models
    >>> print(MatrixPair.of(models.full_factorization()).projection)
    ∂Φ(A, B) = (U S, −V Sᵀ), Uᵀ U S + S Vᵀ V = Uᵀ A − Bᵀ V, where U and V have rank r
    """

    left: Tensor
    right: Tensor
    turned: tuple[bool, bool]
    scale: Any
    crossed: bool

    @staticmethod
    def of(family: StatedFamily) -> "MatrixPair | None":
        """Of a family that has this form; None of any other."""
        count = orbit_count(family)
        if count is None or count.group is None or len(family.model.parameters) != 2:
            return None
        ((factors, scale),) = [
            (f, c) for f, c in family.model.f.terms.items() if any(h in family.model.parameters for h, _ in f)
        ]
        heads = [head for head, _ in factors]
        if len(factors) != 2 or any(len(at) != 2 for _, at in factors) or set(heads) != set(family.model.parameters):
            return None
        at = dict(factors)
        left, right = family.model.parameters
        labels = [next(i for i in at[p] if not i.bound) for p in (left, right)]
        turned = at[left][0].bound, at[right][0].bound
        return MatrixPair(left, right, turned, scale, family.model.f.free.index(labels[0]) == 1)

    @property
    def projection(self) -> Definition:
        """∂Φ in formulas."""
        (u, ut), (v, vt) = (
            (f"{p.name}ᵀ", p.name) if turned else (p.name, f"{p.name}ᵀ")
            for p, turned in zip((self.left, self.right), self.turned, strict=True)
        )
        a, bt = ("Aᵀ" if self.turned[0] else "A"), ("B" if self.turned[1] else "Bᵀ")
        moved = [f"({u} S)ᵀ" if self.turned[0] else f"{u} S", f"−({v} Sᵀ)ᵀ" if self.turned[1] else f"−{v} Sᵀ"]
        rank = self.left.shape[0 if self.turned[0] else 1]
        text = (
            f"∂Φ(A, B) = ({', '.join(moved)}), {ut} {u} S + S {vt} {v} = {ut} {a} − {bt} {v}, "
            f"where {self.left.name} and {self.right.name} have rank {rank}"
        )
        latex = text.partition(", where")[0]
        for sign, tex in {
            "∂Φ": r"\partial\Phi",
            "ᵀ": r"^{\top}",
            "−": "-",
            " S": r"\,S",
            "(A, B) =": "(A, B) =",
        }.items():
            latex = latex.replace(sign, tex)
        return Definition("∂Φ", text, latex.replace("), ", r"),\qquad "))


@dataclass(frozen=True)
class OrbitPoint(TensorPoint):
    """With ∂Φ, G† and the rank by U and V.

    Args:
        pair: which parameters they are.
    """

    pair: MatrixPair | None = None

    @cached_property
    def _sides(self) -> tuple[Any, Any]:
        """U and V, with their summed index last."""
        assert self.pair is not None
        found = [self.arrays.tensors[p.name] for p in (self.pair.left, self.pair.right)]
        u, v = (a.T if turned else a for a, turned in zip(found, self.pair.turned, strict=True))
        return u, v

    @cached_property
    def _ranks(self) -> tuple[int, int]:
        """Of U and V.

        Raises:
            SingularPoint: one that cannot be told.
        """
        u, v = self._sides
        return _rank(u), _rank(v)

    @property
    def rank(self) -> int:
        (d1, _), (d2, _) = (tuple(a.shape) for a in self._sides)
        left, right = self._ranks
        if not left and not right:
            raise SingularPoint("the gradients of all residuals vanish there")
        return d1 * d2 - (d1 - left) * (d2 - right)

    def projected(self, vector: Vector) -> Vector:
        """By the Sylvester equation, where U and V have rank r."""
        u, v = self._sides
        if self._ranks != (u.shape[1], v.shape[1]):
            return super().projected(vector)
        if len(vector[0].shape) == 2:
            return self._moved(vector)
        columns = [self._moved(Vector(a[..., k] for a in vector)) for k in range(vector[0].shape[-1])]
        stack = self.arrays.module.stack
        return Vector(stack(list(parts), -1) for parts in zip(*columns, strict=True))

    def _moved(self, vector: Vector) -> Vector:
        assert self.pair is not None
        (u, v), turned = self._sides, self.pair.turned
        a, b = (x.T if t else x for x, t in zip(vector, turned, strict=True))
        (mu, left), (nu, right) = self._small
        inner = left.T @ (u.T @ a - b.T @ v) @ right
        s = left @ (inner / (mu[:, None] + nu)) @ right.T
        return Vector(x.T if t else x for x, t in zip((u @ s, -(v @ s.T)), turned, strict=True))

    @cached_property
    def _small(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Eigenvalues and eigenvectors of UᵀU and VᵀV."""
        eigh = self.arrays.module.linalg.eigh
        u, v = self._sides
        return eigh(u.T @ u), eigh(v.T @ v)

    @cached_property
    def _large(self) -> tuple[Any, Any, Any]:
        """Eigenvectors of UUᵀ and VVᵀ, and what G† multiplies by in them."""
        module, eigh = self.arrays.module, self.arrays.module.linalg.eigh
        u, v = self._sides
        (mu, left), (nu, right) = eigh(u @ u.T), eigh(v @ v.T)
        ranks = self._ranks
        known = [_without(a, len(a) - rank, module) for a, rank in zip((mu, nu), ranks, strict=True)]
        sums = known[0][:, None] + known[1]
        unit = module.ones(tuple(sums.shape), dtype=sums.dtype)
        inverse = module.where(sums > 0, 1 / module.where(sums > 0, sums, unit), 0 * unit)
        return left, right, inverse

    def solve(self, right: Any) -> Any:
        if len(right.shape) > 1:
            stack = self.arrays.module.stack
            return stack([self.solve(right[:, k]) for k in range(right.shape[1])], -1)
        assert self.pair is not None
        left, other, inverse = self._large
        shape = tuple(self.label_shape)
        f = right.reshape(shape)
        f = f.T if self.pair.crossed else f
        size = float(self.root) ** 2 * self.arrays.number(self.pair.scale) ** 2
        found = left @ ((left.T @ f @ other) * inverse) @ other.T / size
        return (found.T if self.pair.crossed else found).reshape(-1)


def _rank(matrix: Any) -> int:
    values = np.linalg.svd(np.asarray(matrix), compute_uv=False)
    if not np.isfinite(values).all():
        raise SingularPoint("a parameter is not a finite real number there")
    squares = values**2
    zero = ROUNDINGS * max(np.shape(matrix)) * np.finfo(float).eps * squares.max(initial=0.0)
    unclear = squares[(squares > zero) & (squares < CLEAR * zero)]
    if len(unclear):
        share = np.sqrt(unclear[0] / squares[0])
        raise SingularPoint(
            f"the rank of a factor cannot be told there: it has a singular value that is {share:.1g} of its largest"
        )
    return int((squares >= CLEAR * zero).sum()) if squares.max(initial=0.0) > 0 else 0


def _without(values: Any, zeros: int, module: Any) -> Any:
    """Ascending eigenvalues, of which so many are zero."""
    return values * module.asarray(np.r_[np.zeros(zeros), np.ones(len(values) - zeros)])
