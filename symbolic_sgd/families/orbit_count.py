"""The rank of the gradients where every entry of a product is seen: Γ is then locally the orbit of a group, and its dimension is counted.
Chains of matrices, with data among them, are counted in `chain_count`.

F = UVᵀ. AVᵀ + UBᵀ = 0 with U and V of rank r: multiplied by V(VᵀV)⁻¹ it says A = US, and then B = −VSᵀ. So the kernel of J has the
dimension r² of GL(r). For F = XXᵀ, A = XS with S + Sᵀ = 0, of the dimension of O(r).

F = Σ_k u_k⊗v_k⊗w_k⊗…, with p ≥ 3 factors. Let Σ_k (a_k⊗v_k⊗w_k + u_k⊗b_k⊗w_k + u_k⊗v_k⊗c_k) = 0 with independent columns u_k, and v_k.
A form that vanishes on all u_k leaves Σ_k φ(a_k) v_k⊗w_k, so that a_k = Σ_l A_lk u_l; likewise b_k = Σ_l B_lk v_l. The coefficient of
u_k⊗v_l, k ≠ l, says A_kl w_l + B_lk w_k = 0: both are zero where no two columns w are parallel. The others say c_k = −(A_kk + B_kk)w_k.
With w_k⊗z_k⊗… in the place of w_k, each c_k is a scaling of its factors. So the kernel has the dimension (p − 1)r of the torus.
"""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.families.chain_count import chain_of, chain_rank
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.tensors.forms import Applied, Factors, Index, Tensor


@dataclass(frozen=True)
class OrbitCount:
    """M, by a count.

    Args:
        expression: M, in the sizes.
        group: whose orbit Γ is locally; None where that is not said.
        condition: where it is proved.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> print(derive_limiting_sde(models.full_factorization()).codimension.count)
    the codimension is r*(d1 + d2 - r), by a count: where U and V have rank r, Γ is locally an orbit of GL(r)
    """

    expression: Expression
    group: str | None
    condition: str

    def __str__(self) -> str:
        counted = f"the codimension is {self.expression}, by a count"
        return (
            f"{counted}, where {self.condition}"
            if self.group is None
            else f"{counted}: where {self.condition}, Γ is locally an orbit of {self.group}"
        )


def orbit_count(family: StatedFamily) -> OrbitCount | None:
    """Of a family whose residuals are all entries of one product of parameters, or of a chain of matrices of which at least two are
    parameters, less what holds no parameter; None for any other.

    >>> from symbolic_sgd import models
    >>> print(orbit_count(models.full_factorization()).expression)
    r*(d1 + d2 - r)
    """
    if family.curvature is None:
        return None
    of_parameters = [f for f in family.model.f.terms if any(_holds(family, head) for head, _ in f)]
    if len(of_parameters) != 1:
        return None
    return _of_product(family, of_parameters[0]) or _of_chain(family, of_parameters[0])


def _of_chain(family: StatedFamily, factors: Factors) -> OrbitCount | None:
    links, parameters = chain_of(factors), family.model.parameters
    if links is None or sum(head in parameters for head, _, _ in links) < 2:
        return None
    seen = sorted((i for _, at in factors for i in at if not i.bound), key=lambda i: i.key)
    if seen != sorted(family.model.labels, key=lambda i: i.key):
        return None
    names = " ".join(head.name for head, _, _ in links)
    condition = f"every product of neighbours in {names} has the largest rank that its sizes allow"
    return OrbitCount(chain_rank(links, parameters), None, condition)


def _of_product(family: StatedFamily, factors: Factors) -> OrbitCount | None:
    tensors = [head for head, _ in factors]
    summed = list(dict.fromkeys(i for _, at in factors for i in at if i.bound))
    labels = [i for _, at in factors for i in at if not i.bound]
    stands_once = sorted(labels, key=lambda i: i.key) == sorted(family.model.labels, key=lambda i: i.key)
    pure = all(isinstance(head, Tensor) and head in family.model.parameters for head in tensors)
    if not (pure and stands_once and len(summed) <= 1 and len(factors) > 1):
        return None
    sides = [_side(at, summed) for _, at in factors]
    if any(side is None for side in sides):
        return None
    r = summed[0].size if summed else sp.S.One
    return _counted(factors, sides, r)


def _counted(factors: Factors, sides: list[Any], r: Any) -> OrbitCount | None:
    names = [head.name for head, _ in factors if isinstance(head, Tensor)]
    total, order = sp.Add(*sides), len(factors)
    if sum((side - r).is_negative is not True for side in sides) < 2:
        return None  # no two factors have independent columns
    if len(set(names)) == 1 and order == 2:
        if factors[0].at[-1:] != factors[1].at[-1:] and factors[0].at[:1] != factors[1].at[:1]:
            return None  # XX and not XXᵀ
        condition = f"{names[0]} has rank {r}"
        return OrbitCount(r * sides[0] - r * (r - 1) / 2, f"O({r})", condition)
    if len(set(names)) < order:
        return None
    if order == 2:
        condition = f"{names[0]} and {names[1]} have rank {r}"
        return OrbitCount(r * (total - r), f"GL({r})", condition)
    first, second, *rest = names
    apart = " ⊗ ".join(rest)
    condition = f"{first} and {second} (or two others) have independent columns, and no two columns of {apart} are parallel or zero"
    return OrbitCount(r * (total - order + 1), f"a torus of dimension {(order - 1) * r}", condition)


def _side(at: tuple[Index, ...], summed: list[Index]) -> Any:
    """The size of what a factor is seen by; None where it is seen by no label, or does not stand in the sum, or twice."""
    labels = [i.size for i in at if not i.bound]
    inside = all(at.count(i) == 1 for i in summed)
    return sp.Mul(*labels) if labels and inside else None


def _holds(family: StatedFamily, head: Any) -> bool:
    """Whether a parameter stands in it."""
    if isinstance(head, Applied):
        return any(_holds(family, inner) for factors in head.inner.terms for inner, _ in factors)
    return head in family.model.parameters
