"""SAM, normalised gradient descent and √L that are run: each beside a loop by hand, and beside its flow at two scales."""

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import (
    SAM,
    IsotropicNoise,
    LabelNoise,
    NormalizedGD,
    Problem,
    RootLoss,
    StabilityWarning,
    TrueLaw,
    derive_limiting_sde,
    simulate_sde,
    simulate_sgd,
)
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadCheckpoint, BadInput, BadPoint, Diverged
from symbolic_sgd.plots import plot_ensemble

R = sp.Rational
u, v, w = sp.symbols("u v w")
eta = sp.Symbol("eta", positive=True)
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
TWO = Problem.least_squares([u * v - 1, w + u**2 / 2 - v], parameters=(u, v, w), noise=LabelNoise(1))
# A point of Γ, and a direction across it.
PLACES = {
    "M = 1": (HYPERBOLA, [2.0, 0.5], [0.15, 0.6]),
    "M = 2": (TWO, [1.4, 1 / 1.4, 1 / 1.4 - 0.98], [0.3 / 1.4 + 0.14, 0.42 - 0.1, 0.1]),
}
every_place = pytest.mark.parametrize("place", PLACES)


def slope(x):
    return (x[0] * x[1] - 1) * x[::-1]


def by_sam(x):
    g = slope(x)
    return x - 0.125 * slope(x + 0.25 * g / np.linalg.norm(g))


def by_normalised_descent(x):
    g = slope(x)
    return x - 0.125 * g / np.linalg.norm(g)


def by_root_of_loss(x):
    """√L = |uv − 1|/√2."""
    return x - 0.125 * np.sign(x[0] * x[1] - 1) * x[::-1] / np.sqrt(2)


BY_HAND = [
    (SAM(R(1, 8)), {"noise_scale": 0.25}, by_sam, 0.125 * 0.25**2),
    (SAM(), {"noise_scale": 0.25, "learning_rate": 0.125}, by_sam, 0.125 * 0.25**2),
    (SAM(eta), {"noise_scale": 0.25, "eta": 0.125}, by_sam, 0.125 * 0.25**2),
    (NormalizedGD(), {"learning_rate": 0.125}, by_normalised_descent, 0.125**2),
    (RootLoss(), {"learning_rate": 0.125}, by_root_of_loss, 0.125**2),
]
every_one = pytest.mark.parametrize(("optimizer", "told", "step", "unit"), BY_HAND, ids=[str(o) for o, *_ in BY_HAND])


@every_one
def test_steps_and_times_are_those_of_a_loop_by_hand(optimizer, told, step, unit):
    starts = np.array([[2.0, 0.7], [1.1, 1.2], [0.8, 0.9]])
    run = simulate_sgd(HYPERBOLA, starts, optimizer=optimizer, steps=7, replicas=3, rng=0, **told)
    for start, final in zip(starts, run.final, strict=True):
        for _ in range(7):
            start = step(start)
        np.testing.assert_allclose(final, start, rtol=1e-13)
    np.testing.assert_allclose(run.times, unit * np.arange(8), rtol=1e-14)


@every_one
def test_replicas_from_one_start_are_all_the_same(optimizer, told, step, unit):
    told = {"steps": 6, "paths": True, **told}
    one = simulate_sgd(HYPERBOLA, [2, 0.7], optimizer=optimizer, replicas=1, rng=0, **told)
    many = simulate_sgd(HYPERBOLA, [2, 0.7], optimizer=optimizer, replicas=4, rng=5, **told)
    np.testing.assert_array_equal(many.final, np.repeat(one.final, 4, axis=0))
    assert many.paths.shape == (7, 4, 2) and np.isnan(one.covariance).all() and not many.covariance.any()
    plot_ensemble({"run": many}, (u, v))


def end(problem, optimizer, start, across, scale, time):
    """Where it is at the time, put on Γ; ρ is the scale, and η where it tends to 0."""
    told = {"noise_scale": scale} if isinstance(optimizer, SAM) else {}
    told |= {} if optimizer.is_finite else {"learning_rate": scale}
    rate = float(optimizer.learning_rate) if optimizer.is_finite else scale
    steps = round(time / (rate * scale**2 if isinstance(optimizer, SAM) else scale**2))
    beside = np.array(start) + scale * np.array(across)
    run = simulate_sgd(problem, beside, optimizer=optimizer, steps=steps, replicas=1, rng=0, records=1, **told)
    assert run.times[-1] == pytest.approx(time, rel=1e-12)
    return onto(problem, run.final[0])


def onto(problem, x):
    """The point of Γ beside x, by Newton steps."""
    residuals = sp.Matrix(problem.residuals)
    jacobian = sp.lambdify(problem.parameters, residuals.jacobian(problem.parameters), "numpy")
    values = sp.lambdify(problem.parameters, list(residuals), "numpy")
    for _ in range(8):
        x = x - np.linalg.pinv(np.array(jacobian(*x), dtype=float)) @ np.array(values(*x), dtype=float)
    return x


def errors(problem, optimizer, start, across, scales):
    """Of the ends at t = ¼ at these scales, and the length of the way."""
    sde = derive_limiting_sde(problem, optimizer=optimizer)
    limit = simulate_sde(sde, start, time=0.25, step=0.002, replicas=1, rng=0).final[0]
    found = [np.linalg.norm(end(problem, optimizer, start, across, s, 0.25) - limit) for s in scales]
    return found, np.linalg.norm(limit - start)


@every_place
@pytest.mark.parametrize(("optimizer", "order"), [(SAM(R(1, 8)), 2), (SAM(), 1)], ids=str)
def test_sam_ends_where_its_flow_does_to_its_order(place, optimizer, order):
    """At half the ρ a quarter of the error: a cycle at −ρ is that at ρ half a period later, so that odd powers of ρ drop out. Where
    the learning rate tends to 0 a half of it at half the η = ρ."""
    (error, half), way = errors(*PLACES[place][:1], optimizer, *PLACES[place][1:], [2.0**-5, 2.0**-6])
    assert 0.8 * 2**order < error / half < 1.25 * 2**order
    assert half < (0.001 if order == 2 else 0.3) * way


@every_place
@pytest.mark.parametrize("optimizer", [NormalizedGD(), RootLoss()], ids=str)
def test_the_others_end_where_their_flows_do_to_the_first_order(place, optimizer):
    """The phase of their cycles depends on the start and on η, and with it the factor of η: it is bounded."""
    scales = [2.0**-7, 2.0**-8, 2.0**-9]
    found, way = errors(*PLACES[place][:1], optimizer, *PLACES[place][1:], scales)
    assert all(error < 0.01 * scale for error, scale in zip(found, scales, strict=True))
    assert 0.01 * scales[-1] < 0.001 * way


@every_place
def test_at_a_learning_rate_that_stays_the_flow_of_a_vanishing_one_is_not_followed(place):
    problem, start, across = PLACES[place]
    limit = simulate_sde(
        derive_limiting_sde(problem, optimizer=SAM()), start, time=0.25, step=0.002, replicas=1, rng=0
    ).final[0]
    near, nearer = (
        np.linalg.norm(end(problem, SAM(R(1, 8)), start, across, s, 0.25) - limit) for s in (1 / 32, 1 / 64)
    )
    assert nearer > 0.9 * near > 0.005


REFUSED = [
    ({"optimizer": SAM(R(1, 8))}, BadInput, "noise_scale is missing: it is the radius rho of SAM"),
    ({"optimizer": SAM(), "noise_scale": 0.1}, BadInput, "SAM leaves it open"),
    ({"optimizer": SAM(R(1, 8)), "noise_scale": 0.1, "learning_rate": 0.1}, BadInput, "given twice"),
    ({"optimizer": NormalizedGD(), "learning_rate": 0.1, "noise_scale": 1}, BadInput, "neither noise nor a radius"),
    ({"optimizer": NormalizedGD(), "learning_rate": 0.1, "law": TrueLaw()}, BadInput, "draws nothing"),
    (
        {"optimizer": SAM(R(1, 8)), "noise_scale": 0.1, "start": [2, 0.5]},
        BadPoint,
        "is on Γ to the last digit, where SAM",
    ),
    ({"optimizer": NormalizedGD(), "learning_rate": 0.1, "start": [[2, 0.7], [4, 0.25]]}, BadPoint, r"start = \[4"),
    ({"optimizer": RootLoss(), "learning_rate": 0.1, "start": [1, 1]}, BadPoint, "root of the loss divides by 0"),
]


@pytest.mark.parametrize(("told", "kind", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_cannot_be_run_is_refused(told, kind, words):
    with pytest.raises(kind, match=words):
        simulate_sgd(HYPERBOLA, **{"start": [2, 0.7], "steps": 4, "replicas": 2, "rng": 0, **told})


def test_a_replica_that_meets_the_manifold_on_its_way_is_said():
    """x⁺ = x − sign x/8 from 3/8."""
    line = Problem(loss=u**2 / 2, parameters=(u, v), noise=IsotropicNoise())
    told = {"optimizer": NormalizedGD(), "learning_rate": 0.125, "replicas": 1, "rng": 0}
    assert simulate_sgd(line, [0.375, 0], steps=3, **told).final[0, 0] == 0
    with pytest.raises(Diverged, match="met Γ itself, where normalised gradient descent divides by 0"):
        simulate_sgd(line, [0.375, 0], steps=4, **told)


def test_an_interrupted_run_is_taken_up_again(tmp_path):
    class Stopped(Exception):
        pass

    def stop(fraction):
        if fraction > 0.4:
            raise Stopped

    told = {"optimizer": SAM(R(1, 8)), "noise_scale": 0.1, "steps": 100, "replicas": 3, "rng": 0}
    known, file = simulate_sgd(HYPERBOLA, [2, 0.7], **told), tmp_path / "run.npz"
    with pytest.raises(Stopped):
        simulate_sgd(HYPERBOLA, [2, 0.7], checkpoint=file, progress=stop, **told)
    resumed = simulate_sgd(HYPERBOLA, [2, 0.7], checkpoint=file, **told)
    assert np.array_equal(resumed.final, known.final) and np.array_equal(resumed.mean, known.mean)
    for changed in ({"noise_scale": 0.05}, {"optimizer": SAM(R(1, 16))}):
        with pytest.raises(BadCheckpoint, match="another run"):
            simulate_sgd(HYPERBOLA, [2, 0.7], checkpoint=file, **told | changed)


def test_a_learning_rate_beyond_the_edge_is_said():
    told = {"optimizer": SAM(R(1, 2)), "noise_scale": 0.01, "steps": 2, "replicas": 1, "rng": 0}
    with pytest.warns(StabilityWarning, match="edge of stability of SAM is the curvature 4"):
        simulate_sgd(HYPERBOLA, [2, 0.51], **told)


def test_the_command_runs_it(tmp_path, capsys):
    file = tmp_path / "hyperbola.toml"
    file.write_text('parameters = ["u", "v"]\nresiduals = ["u*v - 1"]\nnoise = { kind = "label" }', encoding="utf-8")
    common = ["simulate", str(file), "--start", "u=2,v=0.7", "--time", "0.01", "--replicas", "2", "--seed", "0"]
    sam = ["--optimizer", "sam", "--learning-rate", "1/8"]
    assert main([*common, *sam, "--noise-scale", "0.1"]) == 0
    run = simulate_sgd(HYPERBOLA, [2, 0.7], optimizer=SAM(R(1, 8)), noise_scale=0.1, steps=8, replicas=2, rng=0)
    assert f"{run.mean[-1, 0]:9.5f} ± 0.0e+00" in capsys.readouterr().out
    assert main([*common, "--optimizer", "normalized_gd", "--rate", "0.01"]) == 0
    assert main([*common, *sam]) == 2
    assert "noise_scale is missing" in capsys.readouterr().err
