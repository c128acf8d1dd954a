"""The façades: agreement of the three processes, warnings, and every way to ask for the impossible."""

import contextlib
import inspect
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import (
    GaussianLaw,
    GradientNoise,
    IsotropicNoise,
    LabelNoise,
    Problem,
    StabilityWarning,
    StatedLaw,
    WeakOrderOne,
    WeakOrderTwo,
    derive_limiting_sde,
    simulate_canonical_sde,
    simulate_sde,
    simulate_sgd,
)
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import (
    BadCheckpoint,
    BadInput,
    BadPoint,
    Diverged,
    FlowDidNotConverge,
    OffManifold,
    SymbolicSGDError,
)
from symbolic_sgd.simulate.increments import Normals
from symbolic_sgd.simulate.plan import Plan, recorded
from symbolic_sgd.simulate.steps import Descent

DERIVATIONS = Path(__file__).parents[2] / "derivations"
u, v, w, s = sp.symbols("u v w s")
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
SPHERE = Problem(loss=(u**2 + v**2 + w**2 - 1) ** 2 / 8, parameters=(u, v, w), noise=IsotropicNoise(s), constants=(s,))


@pytest.fixture(scope="module")
def limit():
    return derive_limiting_sde(HYPERBOLA)


@pytest.fixture(scope="module")
def sphere():
    return derive_limiting_sde(SPHERE)


def sgd(problem=HYPERBOLA, start=(2, 0.5), **changed):
    return simulate_sgd(problem, start, **{"learning_rate": 0.02, "steps": 50, "replicas": 20, "rng": 1} | changed)


def test_sgd_the_canonical_sde_and_the_limit_agree_on_the_sphere(sphere):
    """E x(t) = e^{−s²t} x(0) of the limit; SGD and its SDE differ from it by O(η)."""
    time, eta, start, replicas = 0.5, 0.05, [0.6, 0.0, 0.8], 40_000
    steps = round(time / eta**2)
    common = {"replicas": replicas, "rng": 2, "s": 0.8, "records": 4}
    exact = np.exp(-0.64 * time) * np.array(start)
    y = simulate_sde(sphere, start, time=time, step=0.05, **common)
    spread = np.sqrt(np.diag(y.covariance[-1]) / replicas)
    assert (np.abs(y.mean[-1] - exact) < 4.5 * spread + 1e-4).all()
    for run in (
        simulate_sgd(SPHERE, start, learning_rate=eta, steps=steps, **common),
        simulate_sgd(SPHERE, start, learning_rate=eta, steps=steps, law=GaussianLaw(), **common),
        simulate_canonical_sde(SPHERE, start, learning_rate=eta, steps=steps, substeps=2, **common),
    ):
        assert run.times[-1] == pytest.approx(time)
        np.testing.assert_allclose(run.mean[-1], exact, atol=0.04)
        np.testing.assert_allclose(run.covariance[-1], y.covariance[-1], atol=0.06)


def test_records_starts_and_seeds():
    run = sgd(records=5, paths=True)
    assert run.times.tolist() == pytest.approx((np.array([0, 10, 20, 30, 40, 50]) * 0.02**2).tolist())
    assert run.mean.shape == (6, 2) and run.covariance.shape == (6, 2, 2) and run.final.shape == (20, 2)
    assert run.paths.shape == (6, 20, 2)
    np.testing.assert_allclose(run.mean[-1], run.final.mean(axis=0))
    np.testing.assert_allclose(run.covariance[-1], np.cov(run.final.T), atol=1e-12)
    assert np.array_equal(run.final, sgd().final) and not np.array_equal(run.final, sgd(rng=2).final)
    fresh = sgd(rng=None)
    assert np.array_equal(fresh.final, sgd(rng=fresh.seed).final)
    rng = np.random.default_rng(4)
    assert not np.array_equal(sgd(rng=rng).final, sgd(rng=rng).final)
    several = sgd(start=np.tile([2, 0.5], (20, 1)))
    assert np.array_equal(several.final, run.final)
    assert np.array_equal(sgd(start={u: 2, v: 0.5}).final, run.final)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"learning_rate": -0.1}, "learning_rate is -0.1"),
        ({"learning_rate": 0}, "positive"),
        ({"learning_rate": float("nan")}, "positive"),
        ({"learning_rate": "0.1"}, "positive"),
        ({"replicas": 0}, "replicas is 0"),
        ({"replicas": 2.5}, "whole number"),
        ({"steps": 0}, "steps is 0"),
        ({"records": 0}, "records is 0"),
        ({"rng": -1}, "seed"),
        ({"rng": "x"}, "seed"),
        ({"start": [2, np.nan]}, "not finite"),
        ({"start": [2, 0.5, 1]}, "last dimension"),
        ({"start": np.ones((3, 2))}, "one a replica"),
        ({"start": {u: 2}}, "no value for v"),
        ({"start": {u: 2, v: 1, sp.Symbol("x"): 1}}, "x, which is no parameter"),
        ({"start": {u: "2", v: 1}}, "start\\[u\\] is '2'"),
        ({"progress": 3}, "progress is 3"),
        ({"paths": "no"}, "paths is 'no'"),
        ({"steps": 10**20}, "never be done"),
        ({"learning_rate": 1e-200}, "no number of float64"),
        ({"checkpoint": "/no such folder/x.npz"}, "folder is not there"),
        ({"checkpoint": 3}, "checkpoint is 3"),
        ({"law": "gaussian"}, "GaussianLaw"),
        ({"law": StatedLaw(sp.Matrix([[v, -v], [u, -u]]) * 2, [sp.S.Half, sp.S.Half])}, "another covariance"),
        ({"executor": 3}, "concurrent.futures"),
        ({"s": 1.0}, "no constant"),
        ({"problem": "x"}, "Problem"),
    ],
)
def test_bad_input_of_sgd(changed, words):
    with pytest.raises(BadInput, match=words):
        sgd(**changed)


PROCESSES = {
    simulate_sgd: ["learning_rate", "steps", "optimizer", "noise_scale", "law", "backend"],
    simulate_canonical_sde: ["learning_rate", "steps", "substeps"],
    simulate_sde: ["time", "step", "scheme"],
}
SHARED = ["replicas", "rng", "executor", "records", "paths", "progress", "checkpoint"]


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_shows_its_keywords_and_says_each_once(process):
    shown = inspect.signature(process).parameters
    assert list(shown)[2:] == [*PROCESSES[process], *SHARED, "constants"]
    assert (shown["replicas"].default, shown["records"].default, shown["rng"].default) == (1000, 100, None)
    words = inspect.getdoc(process)
    assert all(words.count(f"\n    {name}: ") == 1 for name in (*SHARED, "constants"))
    assert "see `Recording`" not in words


@pytest.mark.parametrize("process", PROCESSES)
def test_a_wrong_keyword_is_told_the_right_ones(process, limit):
    subject = limit if process is simulate_sde else HYPERBOLA
    own = {"time": 1, "step": 0.1} if process is simulate_sde else {"learning_rate": 0.1, "steps": 3}
    with pytest.raises(BadInput, match="'replica' is no constant") as caught:
        process(subject, (2, 0.5), **own, replica=5)
    assert ", ".join([*PROCESSES[process], *SHARED]) in str(caught.value)


@recorded
def simulate_decay(problem, start, *, rate, steps, **recording):
    """x ← x − ηx.

    Args:
        rate: η.
        recording: see `Recording`.
    """
    plan = Plan.of(simulate_decay, problem, start, recording)
    decay = Descent(problem.dimension, lambda x, a, out: np.multiply(x, rate, out=out), Normals(0))
    return plan.run(decay, steps, lambda k: k * rate, "decay", rate)


def test_a_new_process_is_one_function(tmp_path):
    wishes = {"replicas": 3, "records": 4, "checkpoint": tmp_path / "run.npz"}
    run = simulate_decay(HYPERBOLA, [8, 4], rate=0.5, steps=4, paths=True, **wishes)
    assert run.times.tolist() == [0, 0.5, 1, 1.5, 2]
    assert run.paths[:, 2].tolist() == [[8, 4], [4, 2], [2, 1], [1, 0.5], [0.5, 0.25]]
    with pytest.raises(BadCheckpoint):
        simulate_decay(HYPERBOLA, [8, 4], rate=0.25, steps=4, paths=True, **wishes)
    with pytest.raises(BadInput, match="keywords of simulate_decay are rate, steps, replicas"):
        simulate_decay(HYPERBOLA, [8, 4], rate=0.25, steps=4, replica=3)
    assert "replicas: R, how many." in inspect.getdoc(simulate_decay)


@pytest.mark.parametrize("start", [(0.0, 0.0), (1.0, -1.0)], ids=["saddle", "into the saddle"])
def test_a_start_outside_the_basin(start):
    with pytest.raises(FlowDidNotConverge, match="outside the basin"):
        sgd(start=start)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"start": (2, 0.6)}, OffManifold, "gradient_flow_limit"),
        ({"start": (0, 0)}, OffManifold, "not on Γ"),
        ({"start": (2, np.inf)}, BadPoint, "not finite"),
        ({"time": 0}, BadInput, "time is 0"),
        ({"step": -1}, BadInput, "step is -1"),
        ({"step": 2}, BadInput, "longer than"),
        ({"replicas": 0}, BadInput, "replicas"),
        ({"scheme": "euler"}, BadInput, "WeakOrderTwo"),
        ({"sde": HYPERBOLA}, BadInput, "LimitingSDE"),
    ],
)
def test_bad_input_of_the_limit(limit, changed, error, words):
    given = {"sde": limit, "start": (2, 0.5), "time": 1.0, "step": 0.1, "replicas": 3, "rng": 0} | changed
    with pytest.raises(error, match=words):
        simulate_sde(given.pop("sde"), given.pop("start"), **given)


def test_constants_have_to_be_given(sphere):
    with pytest.raises(BadInput, match="no value for the constant s"):
        simulate_sde(sphere, [1, 0, 0], time=1, step=0.1)
    with pytest.raises(BadInput, match="no value for the constant s"):
        simulate_sgd(SPHERE, [1, 0, 0], learning_rate=0.1, steps=3)


def test_residuals_belong_to_a_checkpoint(tmp_path):
    """The same loss, and so the same Σ, by other residuals: SGD draws its labels by another law."""
    one = Problem.least_squares([u - 1], parameters=(u, v), noise=LabelNoise(1))
    two = Problem.least_squares([sp.sqrt(2) * (u - 1), sp.S.Zero], parameters=(u, v), noise=LabelNoise(1))
    assert sp.expand(one.loss - two.loss) == 0
    sgd(one, start=(1, 0), checkpoint=tmp_path / "run.npz")
    with pytest.raises(BadCheckpoint, match="another run"):
        sgd(two, start=(1, 0), checkpoint=tmp_path / "run.npz")


def test_a_step_that_leads_off_gamma_is_refused():
    """Steps of h = 2 on the hyperbola end where four Newton steps do not lead back."""
    sde = derive_limiting_sde(Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise()))
    for scheme in (WeakOrderOne(), WeakOrderTwo()):
        with pytest.raises(Diverged, match="make step smaller"):
            simulate_sde(sde, (2, 0.5), time=4, step=2, replicas=4000, rng=0, scheme=scheme)
    run = simulate_sde(sde, (2, 0.5), time=4, step=0.1, replicas=4000, rng=0)
    assert np.abs(run.final.prod(axis=1) - 1).max() < 1e-14


def test_an_executor_that_takes_no_work_says_so():
    with ThreadPoolExecutor(1) as executor:
        pass
    with pytest.raises(BadInput, match="takes no work"):
        sgd(executor=executor)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--learning-rate", "1e-200"],
        ["--time", "inf"],
        ["--time", "1e300"],
        ["--process", "limit", "--step", "1e-30"],
        ["--output", "no such folder/x.npz"],
        ["--checkpoint", "no such folder/x.npz"],
    ],
)
def test_what_can_never_be_done_ends_with_two(arguments, capsys):
    file = str(DERIVATIONS / "hyperbola_label.toml")
    assert main(["simulate", file, "--start", "u=1,v=1", *arguments]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_checkpoint_of_another_problem_is_refused(tmp_path, limit):
    file = tmp_path / "run.npz"
    first = sgd(checkpoint=file)
    assert np.array_equal(first.final, sgd(checkpoint=file).final)
    other = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(2))
    for change in (
        {"problem": other},
        {"learning_rate": 0.01},
        {"rng": 2},
        {"steps": 49},
        {"start": (1, 1)},
        {"law": GaussianLaw()},
    ):
        with pytest.raises(BadCheckpoint, match="another run"):
            sgd(checkpoint=file, **change)
    with pytest.raises(BadCheckpoint, match="another run"):
        simulate_sde(limit, (2, 0.5), time=1, step=0.1, replicas=20, rng=1, checkpoint=file)


def test_stability_is_that_of_single_samples():
    """Two samples with curvatures 8 and 0 in the only stiff direction: the mean allows η < 2/4, a sample only 2/8."""
    problem = Problem.from_sample_losses([4 * (u - v) ** 2, sp.S.Zero * u], parameters=(u, v))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sgd(problem, (1, 1), learning_rate=0.12)
    with pytest.warns(StabilityWarning) as caught:
        sgd(problem, (1, 1), learning_rate=0.2)
    message = str(caught[0].message)
    assert "0.2" in message and "0.125" in message and "0.25" in message


def warned(problem, start, rate):
    """The numbers of the warning, η, 2/λ, λ, and 2/λmax of ∇²L where it has one."""
    with pytest.warns(StabilityWarning) as caught, contextlib.suppress(Diverged):
        simulate_sgd(problem, start, learning_rate=rate, steps=10, replicas=2, rng=0)
    return [float(number) for number in re.findall(r"-?\d[\d.]*(?:e[+-]\d+)?(?=[ :,)])", str(caught[0].message))]


@pytest.mark.parametrize("power", [-160, -30, 0, 30, 160])
def test_the_bound_of_a_loss_at_any_scale(power):
    """Was: ZeroDivisionError at 10⁻³⁰, where the differences of single samples cancel. By ∇²L itself and the noise's ∂s = ±σ'."""
    loss = sp.Integer(10) ** power * (u * v - 1) ** 2 / 2
    problem = Problem(loss=loss, parameters=(u, v), noise=GradientNoise(sp.Matrix([[v], [u]])))
    rate = 1e10 if power < 0 else 10.0 ** (1 - power)
    start = {u: 2, v: 1}
    along = sp.hessian(loss, (u, v)).subs(start)
    noise = sp.Matrix([[0, 1], [1, 0]])
    values = [max(map(float, (along + sign * noise).eigenvals())) for sign in (1, -1)]
    mean = max(map(float, along.eigenvals()))
    found = warned(problem, [2, 1], rate)
    assert found[0] == pytest.approx(rate, rel=1e-5)
    assert found[1:] == pytest.approx([2 / max(values), max(values), 2 / mean], rel=1e-3)


def test_where_a_sample_has_no_curvature_that_is_said():
    """Was: LinAlgError from its eigenvalues, beyond float64."""
    noise = GradientNoise(sp.Matrix([[sp.exp(100 * u)], [0]]))
    problem = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=noise)
    with pytest.warns(StabilityWarning, match="no finite curvature"), pytest.raises(Diverged):
        simulate_sgd(problem, [8, 1 / 8], learning_rate=1e-3, steps=10, replicas=2, rng=0)


def test_a_start_at_the_border_of_the_domain():
    """Was: LinAlgError, because the differences led to log(−10⁻⁵). The noise 10 log(u) has ∂s = ±10/u: the bound is 2u/10."""
    problem = Problem(
        loss=(v - 1) ** 2 / 2,
        parameters=(u, v),
        noise=GradientNoise(sp.Matrix([[10 * sp.log(u)], [0]])),
        domain=[u > 0],
    )
    assert warned(problem, [1e-6, 1], 3e-6)[1:3] == pytest.approx([2e-7, 1e7], rel=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", StabilityWarning)
        simulate_sgd(problem, [1e-6, 1], learning_rate=1e-10, steps=1, replicas=2, rng=0)


def test_numbers_beyond_float64_are_refused_and_not_formatted():
    """Was: OverflowError."""
    huge = 10**400
    for change in ({"steps": huge}, {"learning_rate": huge}, {"replicas": huge}, {"records": huge}):
        with pytest.raises(BadInput, match=next(iter(change))):
            sgd(**change)
    assert sgd(rng=huge).seed == huge


def test_a_learning_rate_far_too_large_diverges_with_an_error():
    with pytest.warns(StabilityWarning), pytest.raises(Diverged, match="learning rate"):
        sgd(learning_rate=1.5, steps=500)


def test_schemes_differ_by_their_order(limit):
    one = simulate_sde(limit, (2, 0.5), time=1, step=0.05, replicas=1, rng=0, scheme=WeakOrderOne())
    two = simulate_sde(limit, (2, 0.5), time=1, step=0.05, replicas=1, rng=0)
    assert 1e-4 < abs(one.final - two.final).max() < 0.02
    assert abs(two.final.prod() - 1) < 1e-13


# --- the command --------------------------------------------------------------------------------


def command(*options):
    return main(["simulate", str(DERIVATIONS / "hyperbola_label.toml"), "--replicas", "50", "--seed", "3", *options])


@pytest.mark.parametrize("process", ["sgd", "canonical", "limit"])
def test_the_command_prints_a_table(process, tmp_path, capsys):
    output = tmp_path / "run.npz"
    options = ("--process", process, "--start", "u=2,v=0.5", "--time", "0.1", "--learning-rate", "0.05")
    assert command(*options, "--output", str(output)) == 0
    out, err = capsys.readouterr()
    assert "50 replicas, seed 3" in out and err == ""
    with np.load(output, allow_pickle=False) as file:
        assert file["final"].shape == (50, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--start", "u=2"), "no start for v"),
        (("--start", "u=2,x=1"), "NAME=NUMBER"),
        (("--start", "u=2,v=one"), "not a number"),
        (("--process", "limit", "--start", "u=2,v=1"), "not on Γ"),
        (("--learning-rate", "-1"), "positive"),
        (("--processes", "0"), "at least 1"),
        (("--constants", "s=1"), "none"),
    ],
)
def test_bad_input_of_the_command(options, words, capsys):
    assert command(*options) == 2
    out, err = capsys.readouterr()
    assert words in err and out == "" and err.count("\n") == 1


def test_errors_of_simulation_are_errors_of_the_package():
    assert issubclass(BadCheckpoint, SymbolicSGDError) and issubclass(Diverged, SymbolicSGDError)
