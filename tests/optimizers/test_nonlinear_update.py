"""Steps along ψ(∇L + n): the averages by quadrature, the limit by the iteration of the mean step, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from graph_losses import random_problem
from iterated import ROADS, assert_iterated, assert_rejected, derived, failed, own_checks
from scipy.integrate import dblquad, quad
from scipy.special import erf

from symbolic_sgd import (
    SGD,
    GaussianLaw,
    IsotropicNoise,
    LabelNoise,
    NonlinearUpdate,
    Preconditioned,
    Problem,
    StatedLaw,
    TrueLaw,
    derive_limiting_sde,
    simulate_sde,
    simulate_sgd,
    verify,
)
from symbolic_sgd.checks.literal_road import LiteralRoad
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadInput, ProblemFileError
from symbolic_sgd.optimizers.stated import optimizer_of, stated_document
from symbolic_sgd.problems.entrywise import LETTER, Clip, Erf, Linear, Sign
from symbolic_sgd.problems.problem_file import file_from_document

u, v, g = sp.symbols("u v g")
c = sp.Symbol("c", positive=True)
HALF = sp.Rational(1, 2)
AT = {u: sp.Integer(2), v: HALF}
FULL = sp.Matrix([[1, u, 0], [v, 0, 2]])
CLIP = sp.Max(-1, sp.Min(1, g))


def on_hyperbola(noise):
    return Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=noise)


DENSE = on_hyperbola(FULL)
LABELS = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))


AVERAGES = {
    "sign": (Sign(sp.Integer(2)), lambda a: 2 * np.sign(a)),
    "erf": (Erf(sp.Integer(1), HALF), lambda a: erf(a / 2)),
    "clip": (Clip(sp.Integer(3), sp.Integer(1)), lambda a: 3 * np.clip(a, -1, 1)),
    "linear": (Linear(sp.Integer(2)), lambda a: 2 * a),
}
S, T, C = sp.Rational(3, 2), sp.Rational(2, 3), sp.Rational(4, 5)


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_over_gaussian_noise_by_quadrature(name):
    """E ψ(g + n), its slope at g = 0, and E ψ(n)², for Var n = 3/2."""
    averages, psi = AVERAGES[name]
    root = float(sp.sqrt(S))
    kinks = [-1.0, 0.0, 1.0]

    def mean(f, shift=0.0):
        density = lambda a: np.exp(-((a - shift) ** 2) / (2 * root**2)) / (root * np.sqrt(2 * np.pi))  # noqa: E731
        return quad(lambda a: f(a) * density(a), -12, 12, points=kinks, epsabs=1e-13, limit=200)[0]

    for shift in (0.3, -1.7):
        assert abs(float(averages.mean(sp.Float(shift), S)) - mean(psi, shift)) < 1e-9
    assert abs(float(averages.square(S)) - mean(lambda a: psi(a) ** 2)) < 1e-9
    letter = sp.Symbol("x", real=True)
    assert sp.simplify(sp.diff(averages.mean(letter, S), letter).subs(letter, 0) - averages.slope(S)) == 0


@pytest.mark.parametrize("name", ["sign", "linear", "erf"])
def test_the_mean_of_a_product_by_quadrature(name):
    """E ψ(n)ψ(m) for Var n = 3/2, Cov = 4/5, Var m = 2/3, in n and the part of m that is independent of it."""
    averages, psi = AVERAGES[name]
    first, slope = float(sp.sqrt(S)), float(C / S)
    second = float(sp.sqrt(T - C**2 / S))

    def integrand(b, a):
        x = first * a
        return psi(x) * psi(slope * x + second * b) * np.exp(-(a**2 + b**2) / 2) / (2 * np.pi)

    jump = lambda a: np.clip(-slope * first * a / second, -9, 9)  # noqa: E731
    total = sum(
        dblquad(integrand, *ends, low, high, epsabs=1e-10)[0]
        for ends in ((-9, 0), (0, 9))
        for low, high in ((-9, jump), (jump, 9))
    )
    assert abs(float(averages.product(S, C, T)) - total) < 1e-8


def test_the_worked_numbers_of_sign_sgd():
    """Σ = s²I: W = I and S = √(2/π)/s I, so that the slope of the fast field is that and the noise of a step that of SGD."""
    scale = sp.Rational(1, 3)
    sde = derive_limiting_sde(on_hyperbola(IsotropicNoise(scale)), optimizer=NonlinearUpdate(sp.sign, law="gaussian"))
    plain = derive_limiting_sde(on_hyperbola(IsotropicNoise(1)))
    assert sde.tangent_noise_compensation.subs(AT) == plain.tangent_noise_compensation.subs(AT)
    assert sde.mixed_regularization.subs(AT) == plain.mixed_regularization.subs(AT)
    assert sde.normal_regularization.subs(AT) == plain.normal_regularization.subs(AT)
    apart = sde.lyapunov_solution * sp.sqrt(2 / sp.pi) / scale - plain.lyapunov_solution
    assert apart.subs(AT).applyfunc(sp.simplify) == sp.zeros(2, 2)


@pytest.mark.parametrize("law", ["drawn", "gaussian"])
@pytest.mark.parametrize("factor", [1, 3])
def test_a_linear_function_is_sgd(law, factor):
    """ψ = kg at η is SGD at kη: per t = kη² everything is k² times as large."""
    ours = derive_limiting_sde(DENSE, optimizer=NonlinearUpdate(factor * g, law=law))
    plain = derive_limiting_sde(DENSE, optimizer=SGD())
    for name in ("tangent_noise_compensation", "mixed_regularization", "normal_regularization", "drift"):
        apart = getattr(ours, name).subs(AT) - factor**2 * getattr(plain, name).subs(AT)
        assert apart.applyfunc(sp.simplify) == sp.zeros(2, 1), name
    spread = [(sde.diffusion * sde.diffusion.T).subs(AT) for sde in (ours, plain)]
    assert (spread[0] - factor**2 * spread[1]).applyfunc(sp.simplify) == sp.zeros(2, 2)


CASES = {
    "tanh": (DENSE, NonlinearUpdate(sp.tanh, weight_decay=HALF)),
    "one label": (LABELS, NonlinearUpdate(sp.atan)),
    "sign": (DENSE, NonlinearUpdate(sp.sign, law="gaussian", weight_decay=HALF)),
    "erf": (DENSE, NonlinearUpdate(sp.erf, law="gaussian")),
    "clipped": (on_hyperbola(sp.diag(1 + u**2, 2)), NonlinearUpdate(CLIP, law="gaussian")),
}


@pytest.mark.parametrize("name", CASES)
def test_the_iteration_of_the_mean_step_and_the_theorem_say_the_same(name):
    problem, optimizer = CASES[name]
    certificate = verify(derived(problem, optimizer), checks=ROADS, rng=0)
    assert certificate.passed, failed(certificate)
    literal = [check.error for check in certificate.checks if check.name.startswith("literal")]
    assert max(check.error for check in own_checks(certificate)) < 1e-8
    assert max(literal) < 1e-30


@pytest.mark.parametrize(
    ("seed", "function"),
    [(1, g + g**3 / 8), *(pytest.param(k, sp.atan(g), marks=pytest.mark.campaign) for k in range(1, 11))],
)
def test_random_losses(seed, function):
    """D = 3 to 5, M = 1 to 3, dense σ(x)."""
    problem, *_ = random_problem(seed)
    sde = derive_limiting_sde(problem, optimizer=NonlinearUpdate(function))
    assert_iterated(sde, rng=seed)


SQUARE = on_hyperbola(sp.Matrix([[1, u], [v, 3]]))


@pytest.mark.parametrize("name", ["W = SΣS", "∂S dropped", "Σ in the place of W"])
@pytest.mark.parametrize(
    "optimizer", [NonlinearUpdate(sp.tanh), NonlinearUpdate(sp.sign, law="gaussian")], ids=["tanh", "sign"]
)
def test_wrong_formulas_are_rejected(optimizer, name):
    right = derived(SQUARE, optimizer)
    stated = right.derivation.stated
    metric = optimizer.metric(stated)
    if name == "W = SΣS":
        wrong = derive_limiting_sde(SQUARE, optimizer=Preconditioned(metric))
    elif name == "Σ in the place of W":
        wrong = derive_limiting_sde(on_hyperbola(metric.inv() * SQUARE.noise.sigma), optimizer=Preconditioned(metric))
    else:  # S at the one point, with the right W
        point = {s: sp.nsimplify(sp.Float(str(a), 30), rational=True) for s, a in right.derivation.points[0].items()}
        effective = on_hyperbola(sp.ImmutableDenseMatrix(metric.subs(point).inv() * metric * stated.noise_factor))
        wrong = derive_limiting_sde(effective, optimizer=Preconditioned(metric.subs(point)))
    assert_rejected(SQUARE, optimizer, wrong.program)


def test_it_is_simulated_and_its_limit_meets_it():
    """E ln(u/v), of what the noise does along Γ, at η = 0.01 and t = 0.1."""
    for optimizer in (NonlinearUpdate(sp.tanh), NonlinearUpdate(sp.sign, law="gaussian")):
        sde = derive_limiting_sde(DENSE, optimizer=optimizer)
        start, replicas = [1.5, 2 / 3], 8000
        run = simulate_sgd(DENSE, start, optimizer=optimizer, learning_rate=0.01, steps=1000, replicas=replicas, rng=0)
        limit = simulate_sde(sde, start, time=0.1, step=0.001, replicas=replicas, rng=1)
        assert abs(run.times[-1] - 0.1) < 1e-12
        ratio = [np.log(x[:, 0] / x[:, 1]) for x in (run.final, limit.final)]
        error = np.hypot(*(r.std() / np.sqrt(replicas) for r in ratio))
        assert abs(ratio[0].mean() - ratio[1].mean()) < 4 * error + 0.005
        assert abs(ratio[0].std() / ratio[1].std() - 1) < 0.05


def update(noise, *stated, **further):
    return lambda: derive_limiting_sde(on_hyperbola(noise), optimizer=NonlinearUpdate(*stated, **further))


TWO = Problem.least_squares([u * v - 1, u + v], parameters=(u, v), noise=LabelNoise(1))
BOTH = Problem.least_squares([u * v - 1, u**2 * v**2 - 1], parameters=(u, v), noise=LabelNoise(1))
ALL = replace(BOTH, noise=LabelNoise(1, batch_size=2))
SKEWED = Problem.from_sample_losses(
    [(u * v - 1) ** 2 + 2 * u, (u * v - 1) ** 2 - u, (u * v - 1) ** 2 - u], parameters=(u, v)
)
REFUSED = {
    "not odd": (lambda: NonlinearUpdate(sp.exp), "not proved to be odd"),
    "shifted": (lambda: NonlinearUpdate(g**3 + 1), "not proved to be odd"),
    "no function": (lambda: NonlinearUpdate("tanh"), "give a SymPy Lambda"),
    "two letters": (lambda: NonlinearUpdate(sp.Symbol("k") * g), "declare it positive"),
    "no law": (lambda: NonlinearUpdate(sp.tanh, law="cauchy"), "drawn"),
    "no closed form": (lambda: NonlinearUpdate(sp.tanh, law="gaussian"), "no closed form"),
    "sign with atoms": (update(FULL, sp.sign), "jumps or bends"),
    "clipping with atoms": (update(FULL, CLIP), "jumps or bends"),
    "clipping with correlations": (update(FULL, CLIP, law="gaussian"), "correlated"),
    "a still entry": (update(sp.Matrix([1, 0]), sp.sign, law="gaussian"), "no noise reaches v"),
    "degenerate": (update(sp.Matrix([1, 2]), sp.sign, law="gaussian"), "degenerate"),
    "degenerate on Γ": (update(sp.diag(u * v - 1, 1), sp.sign, law="gaussian"), "degenerate"),
    "asymmetric": (lambda: derive_limiting_sde(SKEWED, optimizer=NonlinearUpdate(sp.tanh)), "not symmetric"),
    "several labels": (lambda: derive_limiting_sde(BOTH, optimizer=NonlinearUpdate(sp.tanh)), "not symmetric"),
    "all labels": (lambda: derive_limiting_sde(ALL, optimizer=NonlinearUpdate(sp.tanh)), "depends on its whole law"),
    "decreasing": (update(FULL, -g), "not positive definite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_covered_is_refused(name):
    state, words = REFUSED[name]
    with pytest.raises(BadInput, match=words):
        state()


@pytest.mark.parametrize(
    "law", [GaussianLaw(), StatedLaw(sp.Matrix([[1, -1], [0, 0]]), (HALF, HALF))], ids=["N", "stated"]
)
def test_it_is_not_simulated_by_another_law(law):
    stated = {"optimizer": NonlinearUpdate(sp.tanh), "learning_rate": 0.01, "steps": 1, "replicas": 2, "rng": 0}
    with pytest.raises(BadInput, match="whole law"):
        simulate_sgd(DENSE, [1, 1], law=law, **stated)
    with pytest.raises(BadInput, match="noise_scale"):
        simulate_sgd(DENSE, [1, 1], noise_scale=0.5, **stated)
    simulate_sgd(DENSE, [1, 1], law=TrueLaw(), **stated)


def test_functions_are_read_however_they_are_written():
    assert NonlinearUpdate(sp.tanh) == NonlinearUpdate(sp.Lambda(u, sp.tanh(u))) == NonlinearUpdate(sp.tanh(g))
    clipped = sp.Min(c, sp.Max(-c, g))
    assert NonlinearUpdate(clipped, law="gaussian") == NonlinearUpdate(
        (abs(LETTER + c) - abs(LETTER - c)) / 2, law="gaussian"
    )
    assert NonlinearUpdate(clipped, law="gaussian").own_symbols == (c,)


@pytest.mark.parametrize(
    "optimizer",
    [
        NonlinearUpdate(sp.tanh, weight_decay=HALF),
        NonlinearUpdate(3 * CLIP, law="gaussian"),
        NonlinearUpdate(sp.erf(g / c)),
    ],
)
def test_a_file_states_it(optimizer):
    document = stated_document(replace(DENSE, constants=optimizer.own_symbols), optimizer)
    again = file_from_document(document, source="the test")
    assert repr(optimizer_of(again.optimizer)) == repr(optimizer)


def test_a_certificate_states_what_the_user_stated():
    certificate = verify(derive_limiting_sde(DENSE, optimizer=NonlinearUpdate(sp.tanh)), checks=(LiteralRoad(),), rng=0)
    assert certificate.problem["noise"] == {"kind": "matrix", "sigma": [["1", "u", "0"], ["v", "0", "2"]]}
    assert certificate.problem["optimizer"] == {"kind": "nonlinear_update", "function": "tanh(g)"}


def test_the_command_line(tmp_path, capsys):
    file = tmp_path / "p.toml"
    file.write_text('parameters = ["u", "v"]\nloss = "(u*v - 1)**2/2"\n[noise]\nkind = "isotropic"\n')
    options = ["--optimizer", "nonlinear_update", "--function", "sign(g)", "--law", "gaussian"]
    assert main(["derive", str(file), *options]) == 0
    assert "N(0, Σ)" in " ".join(capsys.readouterr().out.split())
    run = [*options, "--rate", "0.05", "--time", "0.05", "--replicas", "10", "--start", "u=1,v=1"]
    assert main(["simulate", str(file), *run]) == 0
    assert main(["derive", str(file), *options[:3], "cos(g)"]) == 2
    assert "odd" in capsys.readouterr().err
    other = tmp_path / "q.toml"
    other.write_text(file.read_text().replace('"v"', '"g"').replace("*v", "*g"))
    assert main(["derive", str(other), *options]) == 2
    assert "a symbol of the problem" in capsys.readouterr().err
    with pytest.raises(ProblemFileError, match="a symbol of the problem"):
        file_from_document(
            {"parameters": ["g", "v"], "loss": "(g*v - 1)**2", "noise": {"kind": "isotropic"},
             "optimizer": {"kind": "nonlinear_update", "function": "tanh(g)"}},
            source="p",
        )  # fmt: skip


def test_it_is_printed():
    sde = derive_limiting_sde(DENSE, optimizer=NonlinearUpdate(sp.sign, law="gaussian"))
    text = sde.latex()
    assert r"\psi(g) = \operatorname{sign}" in text
    assert r"\sigma &= S_{\!P}^{-1}(\mathbb{E}\,\psi(n)\,\psi(n)^{\top})^{1/2}" in text
    told = sde.document()
    assert r"W = \mathbb{E}\,\psi(n)\,\psi(n)^{\top}" in told
    assert r"F = \mathbb{E}\,\psi(\nabla L + n)" in told
    values = sde.structure.at(AT)
    for letter, term in {"∂Φ": "tangent_projection", "S": "lyapunov_solution", "b": "drift"}.items():
        assert np.allclose(values[letter], np.array(getattr(sde, term).subs(AT), dtype=float), rtol=1e-12), term
