"""F = XXᵀ + … − YYᵀ − …: R̂ linear where all signs are one, and a nuclear norm where they are not."""

import sympy as sp

from symbolic_sgd.function_space.closed_form import Attainment
from symbolic_sgd.function_space.every_size.fibres import FamilyFibres, FamilyForm, freed
from symbolic_sgd.function_space.every_size.metrics import Metric, Names
from symbolic_sgd.function_space.every_size.products import factor_word
from symbolic_sgd.function_space.matrix_norms import SchattenSum
from symbolic_sgd.function_space.statements import BALANCED_SQUARES, of_squares
from symbolic_sgd.tensors.forms import Form, Index, Tensor, added


def by_squares(fibres: FamilyFibres) -> FamilyForm | None:
    """R̂ of signed squares with R = Σ w_kᵀQw_k."""
    found = _squares(fibres)
    if found is None:
        return None
    size = fibres.rows[0].size
    sides = (Index("q", size), Index("q′", size))
    metrics = [_metric(fibres, tensor, axis, sides) for tensor, axis, _ in found]
    if any(m is None or m.form.terms != metrics[0].form.terms for m in metrics if metrics[0]):
        return None
    q = metrics[0]
    if q is None:
        return None
    whole = [_length(tensor, axis, q) for tensor, axis, _ in found]
    if added(whole).terms != fibres.total.terms:
        return None
    names = Names({*fibres.taken, fibres.name})
    own = names.matrix(q, ("Q", "H", "P"))
    scale = q.coefficient * names.scalar(q.scalar)
    beta = sp.MatrixSymbol(fibres.name, size, size)
    signs = {sign for *_, sign in found}
    if len(signs) == 1:
        (sign,) = signs
        inside = beta if isinstance(own, sp.Identity) else own * beta
        return FamilyForm(
            sign * scale * sp.Trace(inside),
            beta,
            "constant on fibres",
            ("R(x) is this function of F(x), identically",),
            Attainment("attained", "attained everywhere on the fibre"),
            tuple(names.quantities),
        )
    word = "I" if isinstance(own, sp.Identity) else own.name
    where = BALANCED_SQUARES.replace("Q^½", "" if word == "I" else f"{word}^½")
    attained = (
        Attainment("attained", f"attained where {where}")
        if isinstance(own, sp.Identity)
        else Attainment("conditional", f"attained where {where}, if {word} is positive definite")
    )
    return FamilyForm(
        scale * SchattenSum(beta, sp.S.One, own, own),
        beta,
        "signed squares",
        of_squares(word, factor_word(scale)),
        attained,
        tuple(names.quantities),
    )


def _squares(fibres: FamilyFibres) -> list[tuple[Tensor, int, int]] | None:
    """(X, the axis of its rows, ±1) for each term ±XXᵀ of F; None where F is no sum of such."""
    if len(fibres.rows) != 2:
        return None
    found = []
    for factors, coefficient in fibres.predictor.terms.items():
        mine, rest = fibres.own(factors)
        if rest or len(mine) != 2 or mine[0].head != mine[1].head or coefficient not in (1, -1):
            return None
        one, other = mine
        axes = [k for k, (i, j) in enumerate(zip(one.at, other.at, strict=True)) if {i, j} == set(fibres.rows)]
        joints = [i for k, i in enumerate(one.at) if k not in axes]
        if len(axes) != 1 or joints != [i for k, i in enumerate(other.at) if k not in axes]:
            return None
        if len(joints) > 1 or not all(i.bound for i in joints):
            return None
        found.append((one.head, axes[0], int(coefficient)))
    tensors = [t for t, *_ in found]
    return found if set(tensors) == set(fibres.parameters) and len(set(tensors)) == len(tensors) else None


def _metric(fibres: FamilyFibres, tensor: Tensor, axis: int, sides: tuple[Index, Index]) -> Metric | None:
    parts = [
        freed(coefficient, rest, list(zip([f.at[axis] for f in mine], sides, strict=True)))
        for coefficient, mine, rest in fibres.terms_of({tensor: 2})
    ]
    return Metric.of(added(parts), sides) if parts else None


def _length(tensor: Tensor, axis: int, q: Metric) -> Form:
    """tr XᵀQX."""
    joints = [Index(f"joint{k}", size) for k, size in enumerate(tensor.shape) if k != axis]

    def entry(row: Index) -> Form:
        return tensor.entry(*joints[:axis], row, *joints[axis:])

    a, b = q.sides
    return (q.form * entry(a) * entry(b)).summed(a, b, *joints)
