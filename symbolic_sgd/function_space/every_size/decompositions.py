"""F = Σ_k u_k ⊗ v_k ⊗ w_k ⊗ …, every entry of which is seen: R̂ by the norms of the terms of the decomposition."""

from collections import Counter
from typing import Any

import sympy as sp

from symbolic_sgd.function_space.closed_form import Attainment
from symbolic_sgd.function_space.every_size.fibres import FamilyFibres, FamilyForm, Quantity
from symbolic_sgd.function_space.every_size.metrics import Names
from symbolic_sgd.tensors.forms import Form, Index, Tensor, added


def by_decomposition(fibres: FamilyFibres) -> FamilyForm | None:
    """R = Σ_k Σ_l c_l Π_{m≠l} ‖u^m_k‖²: R̂ = p (Π c_l)^{1/p} Σ_k λ_k^{2−2/p}."""
    shared = _shared(fibres)
    if shared is None:
        return None
    axes, width = shared
    p = len(axes)
    coefficients, rebuilt = [], []
    for left_out in axes:
        others = [t for t in axes if t != left_out]
        found = fibres.terms_of(dict.fromkeys(others, 2))
        if len(found) != 1:
            return None
        ((coefficient, _, rest),) = found
        if rest:
            return None
        coefficients.append(coefficient)
        rebuilt.append(_lengths({t: axes[t] for t in others}, width).scaled(coefficient))
    if added(rebuilt).terms != fibres.total.terms:
        return None
    names = Names({*fibres.taken, fibres.name})
    norms: Any = sp.IndexedBase(names.fresh(("lambda", "sigma")), shape=(width,))
    counter = sp.Symbol(names.fresh(("k", "j", "q")), integer=True)
    product = sp.Mul(*coefficients)
    beta = sp.IndexedBase(fibres.name, shape=tuple(i.size for i in fibres.rows))
    power = 2 - sp.Rational(2, p)
    words = (
        f"{norms}_k are the norms of the terms of β = Σ_k u_k⊗v_k⊗…, in at most {width} terms; of several such decompositions, in the "
        f"one with the least Σ {norms}_k^({power})"
    )
    return FamilyForm(
        p * product ** sp.Rational(1, p) * sp.Sum(norms[counter] ** power, (counter, 1, width)),
        beta,
        "weights of a decomposition",
        (
            f"R is a sum over k, and its {p} terms are the products of {p - 1} of the ‖u_k‖²; their mean is never below that with all "
            f"factors, (Π c)^(1/{p}) (Π ‖u_k‖²)^({p - 1}/{p}), and Π ‖u_k‖ = {norms}_k is a norm of a term of β",
            "the least over all decompositions of β is R̂; where the decomposition is unique (Kruskal's condition) it is this sum",
        ),
        Attainment(
            "attained",
            "attained where the terms of R are equal for each k, at the least decomposition: R bounds such points, so that there is one",
        ),
        (
            Quantity(
                norms,
                None,
                words,
                rf"\beta = \sum_k \lambda_k\, \hat u_k\otimes\hat v_k\otimes\cdots,\quad \lVert\hat u_k\rVert = \lVert\hat v_k\rVert = 1,"
                rf"\quad \sum_k \lambda_k^{{{sp.latex(power)}}}\text{{ the least}}",
            ),
        ),
    )


def _shared(fibres: FamilyFibres) -> tuple[dict[Tensor, int], sp.Expr] | None:
    """({parameter: its axis of k}, the range of k), where all p ≥ 3 parameters share one summed index and have a row of F each."""
    factors = fibres.single
    if factors is None or len(factors) < 3 or set(Counter(f.head for f in factors).values()) != {1}:
        return None
    if any(len(f.at) != 2 or sum(i.bound for i in f.at) != 1 for f in factors):
        return None
    joints = {i for f in factors for i in f.at if i.bound}
    rows = [i for f in factors for i in f.at if not i.bound]
    if len(joints) != 1 or sorted(map(str, rows)) != sorted(map(str, fibres.rows)):
        return None
    (joint,) = joints
    return {f.head: f.at.index(joint) for f in factors}, joint.size  # pyright: ignore[reportReturnType]


def _lengths(axes: dict[Tensor, int], width: sp.Expr) -> Form:
    """Σ_k Π ‖u_k‖²."""
    k, found = Index("k", width), Form.constant(1)
    for tensor, axis in axes.items():
        row = Index("row", tensor.shape[1 - axis])
        entry = tensor.entry(*((k, row) if axis == 0 else (row, k)))
        found = found * (entry * entry).summed(row)
    return found.summed(k)
