"""The page that sets optimizers side by side: what is kept is what is derived, and its formulas are those of the SDEs."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from symbolic_sgd import NonlinearUpdate, Preconditioned, derive_limiting_sde

SCRIPT = Path(__file__).parents[2] / "docs" / "side_by_side.py"


def loaded():
    spec = importlib.util.spec_from_file_location("side_by_side", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


page = loaded()
LINES = [line for model in page.MODELS for line in model.lines]
every_line = pytest.mark.parametrize(
    "line", LINES, ids=[f"{model.title}-{line.row.name}" for model in page.MODELS for line in model.lines]
)
AT = (1.3, 1.9)


def point(line, at):
    """The point of Γ at u, with second moments that are all different."""
    on_manifold = [float(e.subs(page.u, at)) for e in line.model.embedding.values()]
    return on_manifold + [0.7 + 0.4 * k for k in range(len(line.moments))]


def number(expression, line, at):
    moments = dict(zip(line.moments, point(line, at)[line.model.problem.dimension :], strict=True))
    return float(expression.subs(moments).subs({page.eta: page.RATE, page.u: at}))


def test_the_kept_page_is_what_is_derived():
    """After a change: `python docs/side_by_side.py`, and read the difference."""
    assert page.page() == page.PAGE.read_text(encoding="utf-8")
    assert page.PICTURE.read_text(encoding="utf-8").count("<svg") == 1


@every_line
def test_the_motion_is_that_of_the_compiled_sde(line):
    """u is a parameter, so that du/dt is the first entry of the drift; its formula was found in a chart, or by putting Γ in."""
    values = {s.name: page.RATE for s in line.sde.problem.constants}
    callables = line.sde.lambdify()
    for at in AT:
        drift = callables.drift(point(line, at), **values)
        assert number(line.drift, line, at) == pytest.approx(drift[0], rel=1e-10)
        for entry, moved in zip(line.second_moments, drift[line.model.problem.dimension :], strict=True):
            assert number(entry, line, at) == pytest.approx(moved, rel=1e-10, abs=1e-12)
        assert np.abs(callables.diffusion(point(line, at), **values)).max() < 1e-14


@every_line
def test_what_is_called_a_potential_is_descended(line):
    """u̇ = −R′/g; of slow second moments u̇ = −E_u/(4g)."""
    if line.potential is None:
        assert not line.sde.noise_curvature_drift.is_zero_matrix
        return
    step = sp.Matrix(list(line.model.embedding.values())).diff(page.u)
    metric = sp.eye(len(step))
    if isinstance(line.sde.optimizer, Preconditioned) or line.moments:
        metric = line.sde.optimizer.metric(line.sde.problem)[: len(step), : len(step)].inv()
    length = (step.T * metric * step)[0] * (4 if line.moments else 1)
    for at in AT:
        descended = -number(sp.diff(line.potential, page.u), line, at) / number(length, line, at)
        assert number(line.drift, line, at) == pytest.approx(descended, rel=1e-9)


@every_line
def test_a_path_is_that_of_its_formula(line):
    """The drawn path, a simulation of the SDE, beside the formulas of the table by another integrator."""
    symbols = (page.u, *line.moments)
    fields = sp.lambdify(symbols, [e.subs(page.eta, page.RATE) for e in (line.drift, *line.second_moments)])
    times, along = line.path()
    begin = [line.model.start, *[page.MOMENTS] * len(line.moments)]
    assert along[0] == pytest.approx(line.model.start) and times[-1] == pytest.approx(line.model.time)
    known = solve_ivp(lambda t, y: fields(*y), (0, times[-1]), begin, t_eval=times, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(along, known.y[0], atol=3e-3)
    assert abs(along[-1] - line.rest) < abs(along[0] - line.rest)


def test_a_nonlinear_update_moves_at_random():
    """As the page says of it: ψ(∇f) has a part along Γ, that of a linear ψ has none."""
    hyperbola = page.MODELS[0].problem
    bent, linear = (derive_limiting_sde(hyperbola, optimizer=NonlinearUpdate(f)) for f in (sp.tanh, lambda g: 2 * g))
    at = [2.0, 0.5]
    assert np.abs(bent.lambdify().diffusion(at)).max() > 0.01
    assert np.abs(linear.lambdify().diffusion(at)).max() < 1e-14


def test_what_the_page_says_of_the_ends():
    hyperbola, outputs = ({line.row.name: line for line in model.lines} for model in page.MODELS)
    elsewhere = [line.row.name for line in hyperbola.values() if abs(line.rest - 1) > 1e-9]
    assert elsewhere == ["preconditioned, S = diag(2, 1, …)"]
    assert hyperbola[elsewhere[0]].rest ** 4 == pytest.approx(2)
    fourth_powers = {
        "SGD, η → 0": 5 / 2, "SAM": 5, "SAM, η → 0": 5, "normalised GD": 5, "GD on √L": 5, "RMSprop, c = 1": 5 / 4, "Adam, c = 8": 5 / 4,
        "Shampoo, a row, c = 1": 5 / 2,
    }  # fmt: skip
    for name, power in fourth_powers.items():
        assert outputs[name].rest ** 4 == pytest.approx(power)
    assert page.RATE == 0.25  # as the page has it in words


def test_paths_can_be_told_apart():
    """By their colour and dashes; and none of them is another's within the width of a line."""
    assert len(page.ROWS) <= len(page.COLORS) * len(page.STYLES)
    for model in page.MODELS:
        paths = np.array([line.path()[1] for line in model.lines])
        apart = np.abs(paths[:, None] - paths[None]).max(axis=2) + 10 * np.eye(len(paths))
        assert apart.min() > 0.005 * model.start
