"""The program that callables run: the same function on Γ, shorter, and not worse in float64; far out nothing is lost."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import LLVM, IsotropicNoise, LabelNoise, Problem, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.checks.fresh_points import fresh_points
from symbolic_sgd.numeric.best_program import ULPS, best_program

u, v, w = sp.symbols("u v w")
A = sp.symbols("a1:5")
B = sp.symbols("b1:5")
OVERPARAMETRISED = [
    sum(k * (a**2 - b**2) for k, a, b in zip(row, A, B, strict=True)) - y
    for row, y in (((1, -2, 1, 2), 1), ((2, 1, -1, 1), 2))
]


@pytest.fixture(scope="module", params=[LabelNoise(1), IsotropicNoise(1)], ids=["label", "isotropic"])
def model(request):
    return derive_limiting_sde(Problem.least_squares(OVERPARAMETRISED, parameters=(*A, *B), noise=request.param))


def test_a_composed_loss_runs_its_short_formula(model):
    chosen, own = best_program(model.derivation, "drift"), model.program.select("drift")
    assert chosen.program.operations < own.operations / 2
    assert chosen.own[0] == own.operations
    assert chosen.error <= max(chosen.own[1], ULPS)
    for point in fresh_points(model.derivation, np.random.default_rng(5), 4):
        with mp.workdps(60):
            ours, theirs = (p.run(PRECISE, point)["drift"] for p in (chosen.program, own))
            assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < mp.mpf("1e-50") * max(map(abs, theirs))


def test_it_is_what_runs_is_named_and_is_said(model):
    f = model.lambdify()
    row = [float(model.derivation.points[0][s]) for s in model.problem.parameters]
    point = dict(zip(model.problem.parameters, row, strict=True))
    np.testing.assert_array_equal(f.drift(row), model.at(point)["drift"].ravel())
    assert f"drift runs as {best_program(model.derivation, 'drift').road}" in model.explain()
    assert f.source_hash("drift") == model.lambdify(backend=LLVM()).source_hash("drift")
    assert best_program(model.derivation, "drift") is best_program(model.derivation, "drift")


def test_exponentials_are_run_as_they_were_derived():
    """Elsewhere on Γ they may be of any size, and what was looked at says nothing of that."""
    loss = ((u * sp.exp(v) - 1) ** 2 + (w - sp.tanh(u) - v**2) ** 2) / 2
    sde = derive_limiting_sde(Problem(loss=loss, parameters=(u, v, w), noise=sp.Matrix([[1, u], [v, 2], [w, 1]])))
    chosen = best_program(sde.derivation, "drift")
    assert chosen.program.operations == sde.program.select("drift").operations
    assert chosen.points == 0
