"""A sample of the campaign of widened random losses, and the runner itself: what is killed, unfinished or slow.

The whole campaign is `python benchmarks/campaign.py run --directory DIR`, its statements `… statements …`.
"""

import importlib.util
import json
import signal
import time
from pathlib import Path

import mpmath
import pytest
import sympy as sp
from claims import findings, truth_near
from judged_losses import judge
from judged_statements import judge_statements
from regular_points import Irregular, connected, regular_place
from widened_losses import label_factor, slope, widened_loss

from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde

SAMPLE, CHUNK = 10, 5
STATEMENTS = 4

u, v = sp.symbols("u v")


def campaign():
    """benchmarks/campaign.py as a module."""
    path = Path(__file__).parents[2] / "benchmarks" / "campaign.py"
    spec = importlib.util.spec_from_file_location("campaign", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the sample -------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, SAMPLE, CHUNK))
def test_sample_of_the_campaign(first):
    """Nothing wrong, at any point of any part; what the independent test calls regular is derived."""
    records = [judge(seed) for seed in range(first, first + CHUNK)]
    assert [r for r in records if r["wrong"]] == []
    assert [r for r in records if r["outcome"] == "crashed"] == []
    assert [(r["seed"], r["message"]) for r in records if r["regular"] and r["outcome"] != "derived"] == []
    assert sum(r["places"] for r in records if r["outcome"] == "derived") >= 2 * CHUNK


@pytest.mark.parametrize("seed", [385, 1133, 1201, 1494])
def test_seeds_that_were_wrong(seed):
    """Where the reference had too few digits for a formula; a valley with M = 3 on the way to infinity, for a Γ with M = 2."""
    record = judge(seed)
    assert record["outcome"] == "derived" and record["wrong"] == []


def test_slopes_that_float64_does_not_hold():
    """Was: LinAlgError, at a point of Γ where a gradient exceeds 10³⁰⁸."""
    loss = widened_loss(2189)
    sde = derive_limiting_sde(loss.problem())
    assert sde.manifold.codimension == 2


@pytest.mark.parametrize("seed", range(STATEMENTS))
def test_sample_of_the_statements(seed):
    """Printed equations, matrices, component and regularizer say nothing wrong."""
    record = judge_statements(seed)
    assert record["outcome"] == "derived"
    assert record["wrong"] == [] and record["open"] == ""
    assert record["tested"]["points of Γ put into the printed equations"] > 0


# --- the generator ----------------------------------------------------------------------------


def test_the_seed_determines_the_loss():
    for seed in (3, 17, 40):
        first, again = widened_loss(seed), widened_loss(seed)
        assert (first.loss, first.sigma, first.parts, first.told) == (again.loss, again.sigma, again.parts, again.told)


def test_every_kind_is_drawn():
    """Shapes, noises, units and entries all occur among 100 seeds, and D and M run through their ranges."""
    losses = [widened_loss(seed) for seed in range(100)]
    kinds = {loss.kind.split(" (")[0] for loss in losses}
    assert kinds >= {
        "smooth", "kinks", "network", "regression", "two targets", "interpolating samples", "fluctuating samples",
        "softmax", "logistic", "Poisson", "product", "periodic", "steep", "parts of different codimension",
    }  # fmt: skip
    assert {loss.noise for loss in losses} >= {
        "dense", "constant", "isotropic", "label", "samples", "redrawn labels", "zero columns", "vanishing on a part",
        "vanishing on a slice", "from a place on", "normal", "gradients", "isotropic, s(x)",
    }  # fmt: skip
    assert {loss.units.split(" ×")[0] for loss in losses} == {"", "residuals", "parameters", "one parameter", "noise"}
    assert {loss.entry for loss in losses} == {"loss", "residuals", "samples"}
    assert {len(loss.parameters) for loss in losses} == {2, 3, 4, 5}
    assert {len(loss.parts[0].equations) for loss in losses} == {1, 2, 3}
    assert any(loss.constants for loss in losses) and any(loss.told for loss in losses)


@pytest.mark.parametrize("seed", range(12))
def test_the_noise_written_out_is_the_noise_stated(seed):
    """σ of the generator against `Problem.noise_factor`, both in numbers."""
    loss = widened_loss(seed)
    stated = loss.problem().noise_factor.xreplace(loss.constants)
    point = [sp.Rational(3 * i + 2, 7) for i in range(len(loss.parameters))]
    ours, theirs = (
        sp.lambdify(loss.parameters, m, "mpmath")(*[mpmath.mpf(a.p) / a.q for a in point]) for m in (loss.sigma, stated)
    )
    size = max(abs(a) for a in ours)
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= 1e-12 * (size or 1)


def test_slopes_through_kinks():
    """∇ of max(0, u)|v| + min(u, v) sign(u), by hand in two cells."""
    gradient = slope(sp.Max(0, u) * sp.Abs(v) + sp.Min(u, v) * sp.sign(u), (u, v))
    assert list(gradient.subs({u: 2, v: -3})) == [3, -2 + 1]
    assert list(gradient.subs({u: -2, v: 3})) == [-1, 0]


def test_label_noise_by_hand():
    """½(uv − 1)², δ = 1/2: the columns are ((r ± δ) − r)∇r/√2 = ±(v, u)/2√2."""
    sigma = label_factor([u * v - 1], (u, v), sp.Rational(1, 2))
    assert sp.simplify(sigma - sp.Matrix([[v, -v], [u, -u]]) / (2 * sp.sqrt(2))) == sp.zeros(2, 2)


# --- the independent tests see ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "equations", "start", "reason"),
    [
        ((u * v) ** 2 / 2, [u * v], (0, 0), "H has not rank|no point"),
        ((u * v - 1) ** 4, [u * v - 1], (1, 1), "H has not rank"),
        ((u * v - 1) ** 2 / 2, [u * v - 2], (1, 2), "gradient"),
        (-((u * v - 1) ** 2), [u * v - 1], (1, 1), "negative|rank"),
        ((u * v - 1) ** 2 * (1 + sp.Abs(u - 1)), [u * v - 1], (1, 1), "not smooth"),
        (u**2 + v**2, [u, v], (0, 0), "isolated|no point"),
        (v**2 + u**4, [v], (0, 0), "beside|gradient|rank"),
    ],
)
def test_irregular_points_are_told(loss, equations, start, reason):
    with pytest.raises(Irregular, match=reason):
        regular_place(loss, (u, v), equations, start)


def test_regular_points_at_curvatures_far_apart():
    """Curvatures 24 decades apart are regular all the same."""
    w = sp.Symbol("w")
    equations = [u * v - 1, (w - u) / 10**12]
    place = regular_place(sum(g**2 for g in equations), (u, v, w), equations, (2, 0.5, 2))
    assert place.codimension == 2


def test_paths_on_a_hyperbola():
    """Its two branches are not connected."""
    assert connected([u * v - 1], (u, v), (1, 1), (4, 0.25))
    assert not connected([u * v - 1], (u, v), (1, 1), (-1, -1))


def test_wrong_terms_are_seen():
    """The drift of δ = 1 judged against a noise of amplitude 1.001: numbers and formulas are wrong; with 1, none."""
    problem = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
    sde = derive_limiting_sde(problem)
    right, wrong = (
        truth_near(problem.loss, label_factor([u * v - 1], (u, v), d), (u, v), [u * v - 1], (2, 0.5))
        for d in (sp.S.One, sp.Rational(1001, 1000))
    )
    assert findings(sde, right).wrong == {}
    found = findings(sde, wrong)
    assert found.wrong_numbers["drift"] == pytest.approx(0.002, rel=0.01)
    assert found.wrong_formulas["normal_regularization"] == pytest.approx(0.002, rel=0.01)
    assert findings(sde, wrong, claimed=False).wrong_formulas == {}


# --- the runner -------------------------------------------------------------------------------


def test_an_unfinished_line_costs_one_loss(tmp_path):
    module = campaign()
    file = module.part_file(tmp_path, "run", 3)
    file.write_text(json.dumps({"seed": 3, "outcome": "derived"}) + "\n" + '{"seed": 4, "outc')
    assert module.missing(tmp_path, "run", range(3, 7)) == [4, 5, 6]
    with module.opened(file) as stream:
        module.append(stream, {"seed": 4, "outcome": "derived"})
    assert module.missing(tmp_path, "run", range(3, 7)) == [5, 6]


def test_a_slow_loss_is_stopped_and_counted():
    module = campaign()

    def spin(seed: int):
        while True:
            try:
                time.process_time()
            except Exception as error:  # the limit must pass through handlers like this one
                raise AssertionError from error

    before = signal.signal(signal.SIGPROF, module._stop)
    try:
        record = module._limited(spin, 5, 0.2)
    finally:
        signal.signal(signal.SIGPROF, before)
    assert record["outcome"] == "slow" and record["seed"] == 5 and record["processor"] > 0.1


def test_a_judge_that_fails_is_not_hidden():
    record = campaign()._limited(lambda seed: 1 / 0, 5, 10)
    assert record["outcome"] == "not judged" and "ZeroDivisionError" in record["message"]


def test_a_report_counts_what_is_wrong(tmp_path):
    module = campaign()
    right = {
        "seed": 0, "outcome": "derived", "regular": True, "told": True, "wrong": [], "kind": "smooth", "noise": "dense",
        "units": "", "places": 3, "accepted": 3, "claims": 3, "lost": 1e-12, "processor": 1.0, "seconds": {"derive": 1.0},
    }  # fmt: skip
    wrong = right | {"seed": 1, "wrong": [{"part": 0, "point": [1.0], "numbers": {"drift": 0.5}}]}
    refused = right | {"seed": 2, "outcome": "refused", "refusal": "NoMinimum", "message": "no minimizer"}
    slow = {"seed": 3, "outcome": "slow", "message": "stopped", "processor": 60.0}
    with module.opened(module.part_file(tmp_path, "run", 0)) as stream:
        for record in (right, wrong, refused, slow):
            module.append(stream, record)
    text = module.report(tmp_path)
    assert "4 losses: 2 derived, 1 refused, 1 slow" in text
    assert "of them derived: 2 of 3 (66.67%)" in text
    assert "wrong: 1 losses, 1 of them in a number that was given" in text
    assert "NoMinimum: 1, seeds 2" in text and "seed 3 60.0 s" in text
