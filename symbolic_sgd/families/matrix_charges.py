"""Charges of a family of matrices: what U ↦ Ug, V ↦ Vg^{−⊤} conserves, read off the indices, with its law in the limit.

Where an index of U is summed with one of V in every place of f, and stands nowhere else, f does not change under g ∈ GL(r), and the
gradient flow conserves q = UᵀU − VᵀV. A symmetric generator S gives xᵀSx, whose drift in the limit is tr(SΣ) for every noise: no
projection stands before it (I∘Φ = I, differentiated twice).
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from symbolic_sgd.errors import NoCharges
from symbolic_sgd.families.slow_motion import SlowMotion
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.tensors.forms import Applied, Form, Index, Tensor, added, delta
from symbolic_sgd.tensors.formula import MatrixFormula

Axis = tuple[Tensor, int]
"""An index of a parameter."""


@dataclass(frozen=True)
class MatrixCharge:
    """q, an r×r matrix that the gradient flow conserves.

    Args:
        formula: q = UᵀU − VᵀV, with the transposes that the parameters are written with.
        drift: of q in the limit, which is dq/dt itself where the limit has no noise. Where R is least along the orbits it is 0.
    """

    formula: MatrixFormula
    drift: MatrixFormula

    def __str__(self) -> str:
        return f"q = {self.formula},  drift {self.drift}"

    def latex(self) -> str:
        """LaTeX, in math mode."""
        return rf"q = {self.formula.latex()},\qquad \mathrm{{drift}}\ {self.drift.latex()}"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"


def joined_axes(form: Form, parameters: tuple[Tensor, ...]) -> list[tuple[Axis, Axis]]:
    """The pairs of axes of two parameters that are summed with each other in every place of a form, and stand nowhere else."""
    axes = [(p, k) for p in parameters for k in range(len(p.shape))]
    return [
        (one, other)
        for one, other in combinations(axes, 2)
        if one[0] != other[0] and one[0].shape[one[1]] == other[0].shape[other[1]] and _always_joined(form, one, other)
    ]


def _always_joined(form: Form, one: Axis, other: Axis) -> bool:
    for factors in form.terms:
        ends: dict[Axis, list[Index]] = {one: [], other: []}
        for head, at in factors:
            if isinstance(head, Applied) and not _always_joined(head.inner, one, other):
                return False
            for axis in (one, other):
                if head == axis[0]:
                    ends[axis].append(at[axis[1]])
        if sorted(ends[one], key=lambda i: i.key) != sorted(ends[other], key=lambda i: i.key):
            return False
        everywhere = [i for _, at in factors for i in at]
        if any(not i.bound or everywhere.count(i) != 2 for i in ends[one]):
            return False
    return True


def matrix_charges(motion: SlowMotion[Any]) -> tuple[MatrixCharge, ...]:
    """Those of label noise and of isotropic noise; none is given for other noise, the law of which holds σ.

    Raises:
        NoCharges: the limit is not that of SGD in another time, so that it conserves others, or the optimizer has a slow potential.
    """
    family, optimizer = motion.family, motion.optimizer
    if not motion.conserves or optimizer.slow_potential != 0:
        raise NoCharges(
            f"what the noiseless iteration of {optimizer.label} conserves is not known here: charges are given for optimizers whose "
            "learning rate tends to 0, whose limit is that of SGD in another time, without a slow potential"
        )
    if family.curvature is None or (family.proportion is None and family.noise.isotropy is None):
        return ()
    found = []
    for one, other in joined_axes(family.model.f, family.model.parameters):
        size = one[0].shape[one[1]]
        sides = (Index("k", size), Index("l", size))
        q = _squares(*one, sides) - _squares(*other, sides)
        of_noise = _drift(family, *one, sides) - _drift(family, *other, sides)
        drift = of_noise.scaled(motion.share) - q.scaled(2 * optimizer.pace * optimizer.decay)
        found.append(MatrixCharge(MatrixFormula(q, sides), MatrixFormula(drift, sides)))
    return tuple(found)


def _rows(tensor: Tensor, axis: int) -> tuple[Index, ...]:
    return tuple(Index(f"row{k}", s) for k, s in enumerate(tensor.shape) if k != axis)


def _squares(tensor: Tensor, axis: int, sides: tuple[Index, Index]) -> Form:
    """Σ U_ak U_al."""
    rows = _rows(tensor, axis)
    entries = [tensor.entry(*rows[:axis], side, *rows[axis:]) for side in sides]
    return (entries[0] * entries[1]).summed(*rows)


def _drift(family: StatedFamily, tensor: Tensor, axis: int, sides: tuple[Index, Index]) -> Form:
    """Σ_a Σ_(ak)(al), the sum of these entries of the covariance: (cκ/n) Σ_L ∂f_L/∂U_ak ∂f_L/∂U_al for Σ = c∇²L."""
    model, rows = family.model, _rows(tensor, axis)
    if family.proportion is None:
        one = Form.constant(family.noise.isotropy)
        for i in rows:
            one = one.scaled(i.size)
        return delta(*sides) * one
    slots, slope = model.slots(tensor), model.gradient[tensor.name]
    pieces = [slope.renamed(dict(zip(slots, (*rows[:axis], side, *rows[axis:]), strict=True))) for side in sides]
    scale = family.proportion * family.curvature / model.samples
    return added([(pieces[0] * pieces[1]).summed(*model.labels, *rows).scaled(scale)])
