"""The laws of charges against the drift, which is derived without them, at random points of random members."""

import numpy as np
import pytest
from known_models import MODELS, draw

from symbolic_sgd import IsotropicNoise, derive_limiting_sde, models

PAIRS = ("sensing", "completion", "full", "deep", "attention", "adaptation", "Tucker", "softmax attention")


@pytest.mark.parametrize("name", [n for n in PAIRS if n in MODELS])
def test_a_drift_moves_charges_as_they_say(name):
    member = draw(name, 1)
    sde = derive_limiting_sde(member.known.family())
    functions, point = sde.lambdify(**member.given), tuple(member.parameters.values())
    at = functions.at(*point)
    names = [t.name for t in at.model.parameters]
    drift = dict(zip(names, (np.asarray(b) for b in functions.drift(*point)), strict=True))
    values = dict(zip(names, map(np.asarray, point), strict=True))
    assert sde.charges
    for charge in sde.charges:
        moved = 0
        for factors, sign in charge.formula.form.terms.items():
            axis = next(k for k, i in enumerate(factors[0].at) if not i.bound)
            x, b = (np.moveaxis(d[factors[0].head.name], axis, -1) for d in (values, drift))
            x, b = (m.reshape(-1, m.shape[-1]) for m in (x, b))
            moved = moved + float(sign) * (x.T @ b + b.T @ x)
        right = at.arrays.value(charge.drift.form)
        assert np.abs(moved - right).max() < 1e-9 * (1 + np.abs(right).max())


def test_their_laws_are_printed():
    (charge,) = derive_limiting_sde(models.matrix_sensing()).charges
    assert str(charge.formula) == "Uᵀ U − Vᵀ V"
    (charge,) = derive_limiting_sde(models.matrix_sensing(IsotropicNoise(2))).charges
    assert str(charge.drift) in ("(4 d1 - 4 d2) I", "4 (d1 - d2) I")


def test_an_index_of_three_factors_is_no_pair():
    assert derive_limiting_sde(models.cp_decomposition()).charges == ()
    assert derive_limiting_sde(models.two_layer_network()).charges == ()
    assert derive_limiting_sde(models.gated_network()).charges == ()


def test_a_member_has_these_charges():
    """The trace of q, with its drift, is a charge of the explicit problem: its law says what the formula says at points of Γ."""
    family = models.matrix_sensing()
    (charge,) = derive_limiting_sde(family).charges
    data = {"A": [[[1, 2], [0, 1]], [[2, -1], [1, 1]]], "y": [5, 6]}  # U = (1, 1), V = (2, 1)
    (rank,) = {s for s in family.sizes if s.name == "r"}
    problem = family.problem(sizes={rank: 1}, **data)
    member = derive_limiting_sde(problem)
    found = derive_limiting_sde(family).lambdify(
        sizes={rank: 1}, A=np.array(data["A"], float), y=np.array(data["y"], float)
    )
    at = found.at(np.array([[1.0], [1.0]]), np.array([[2.0], [1.0]]))
    values = dict(zip(problem.parameters, (1, 1, 2, 1), strict=True))
    first, second, third, fourth = problem.parameters
    expression = first**2 + second**2 - third**2 - fourth**2
    assert any((c.expression / expression).simplify().is_number for c in member.charges)
    (same,) = [c for c in member.charges if (c.expression / expression).simplify().is_number]
    ratio = (same.expression / expression).simplify()
    assert float(at.arrays.value(charge.drift.form)[0, 0]) == pytest.approx(
        float((same.drift / ratio).subs(values)), rel=1e-12
    )
