"""Compiled runs: each step beside NumPy's with the same random bits, the same law, the same bits however they are cut, refusals."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from fractions import Fraction
from multiprocessing import get_context

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from symbolic_sgd import (
    SAM,
    SGD,
    ColouredNoise,
    GaussianLaw,
    GradientNoise,
    HeavyBall,
    IsotropicNoise,
    LabelNoise,
    LocalSGD,
    MPMath,
    Nesterov,
    NumPy,
    Problem,
    RandomReshuffling,
    StatedLaw,
    TrueLaw,
    simulate_sgd,
)
from symbolic_sgd.command.main import main
from symbolic_sgd.errors import BadCheckpoint, BadInput, Diverged, ProblemTooLarge
from symbolic_sgd.numeric import backends
from symbolic_sgd.simulate import checkpoint as checkpoints
from symbolic_sgd.simulate.ensemble import CHUNK
from symbolic_sgd.simulate.lanes import BITS, jumped, power_of_t
from symbolic_sgd.simulate.optimizers import Tuned
from symbolic_sgd.simulate.sgd import NoNoise, _variants

pytest.importorskip("llvmlite")
from symbolic_sgd import LLVM

u, v, c = sp.symbols("u v c")
xi = sp.Symbol("xi")
ALPHA = 1e-6
"""Odds of a false alarm in each of the statistical tests; seeds are fixed."""

MASK = 2**64 - 1
RESIDUALS = [u * v - 1, (u * v) ** 2 - 1, u**2 * v - u]
LABEL = Problem.least_squares(RESIDUALS, parameters=(u, v), noise=LabelNoise([1, 2, 1]))
HYPERBOLA = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))
ISOTROPIC = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise(1))
MATRIX = Problem(
    loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=GradientNoise(sp.Matrix([[1, u], [c * v, 2]])), constants=(c,)
)
SAMPLES = Problem.from_sample_losses(
    [(u * v - 1) ** 2, (u * v - 1) ** 2 * sp.exp(u), (u * v**2 - v) ** 2],
    parameters=(u, v),
    weights=[sp.Rational(1, 2), sp.Rational(1, 3), sp.Rational(1, 6)],
)
INJECTED = Problem.perturbed((u * v - 1 + u * xi) ** 2 / 2, parameters=(u, v), perturbations=(xi,))
STATED = StatedLaw(sp.Matrix([[v, -2 * v], [u, -2 * u]]), [sp.Rational(2, 3), sp.Rational(1, 3)])
STATED_PROBLEM = Problem(
    loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=GradientNoise(sp.sqrt(2) * sp.Matrix([v, u]))
)

CASES = {
    "label noise": (LABEL, SGD(), None),
    "one residual": (HYPERBOLA, SGD(), None),
    "all labels": (Problem.least_squares(RESIDUALS, parameters=(u, v), noise=LabelNoise(1, 3)), SGD(), None),
    "isotropic": (ISOTROPIC, SGD(), None),
    "matrix": (MATRIX, SGD(), None),
    "samples with weights": (SAMPLES, SGD(), None),
    "normal numbers": (MATRIX, SGD(), GaussianLaw()),
    "a law with three outcomes": (STATED_PROBLEM, SGD(), STATED),
    "a perturbed loss": (INJECTED, SGD(), None),
    "heavy ball": (LABEL, HeavyBall(momentum=sp.Rational(1, 2)), None),
    "Nesterov": (SAMPLES, Nesterov(momentum=sp.Rational(1, 2)), None),
    "weight decay": (LABEL, SGD(weight_decay=sp.Rational(1, 3)), None),
    "heavy ball at its own rate": (
        HYPERBOLA,
        HeavyBall(momentum=sp.Rational(1, 2), learning_rate=sp.Rational(1, 8)),
        None,
    ),
    "coloured noise": (MATRIX, ColouredNoise(correlation=sp.Rational(1, 2), learning_rate=sp.Rational(1, 8)), None),
    "Local SGD": (LABEL, LocalSGD(workers=2, steps=2, learning_rate=sp.Rational(1, 8)), None),
    "Local SGD, normal numbers": (MATRIX, LocalSGD(workers=2, steps=2, learning_rate=sp.Rational(1, 8)), GaussianLaw()),
    "SAM": (ISOTROPIC, SAM(), None),
}


# --- xoshiro256++ by Python's integers -----------------------------------------------------------


class Generator:
    """As its authors print it."""

    def __init__(self, state):
        self.s = [int(a) for a in state]

    def word(self):
        s = self.s
        result = (self._rotl(s[0] + s[3] & MASK, 23) + s[0]) & MASK
        t = s[1] << 17 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = self._rotl(s[3], 45)
        return result

    def normals(self):
        """Box and Muller, by NumPy's functions."""
        uniform = 2 - (1 + (self.word() >> 12) * 2.0**-52)
        bits = self.word()
        angle = ((bits >> 12) * 2.0**-52 - 0.5) * np.pi / 2
        pair = [(-1) ** (bits & 1) * np.cos(angle), np.sin(angle)]
        return [np.sqrt(-2 * np.log(uniform)) * a for a in (pair[::-1] if bits & 2 else pair)]

    @staticmethod
    def _rotl(a, k):
        return (a << k | a >> 64 - k) & MASK


def draws_of(draw, count, values, states):
    """The a of each replica (the columns), as its generator's words say: the row by the upper half, the sign by the lowest bit."""
    drawn = [_drawn(draw, count, values, Generator(state)) for state in states]
    return np.array(drawn).reshape(len(states), count * len(draw.symbols)).T


def _drawn(draw, count, values, generator):
    if not draw.drawn:
        numbers = count * len(draw.symbols)
        return [a for _ in range(-(-numbers // 2)) for a in generator.normals()][:numbers]
    variants, rows = _variants(draw, values), np.repeat(np.arange(len(draw.odds)), draw.odds)
    words = [generator.word() for _ in range(count)]
    return [variants[w & 1 if len(variants) > 1 else 0][:, rows[(w >> 32) * len(rows) >> 32]] for w in words]


@pytest.mark.parametrize("name", CASES)
def test_a_step_is_numpys_with_the_same_random_bits(name):
    """The words are drawn by Python's integers, the step is made by NumPy's columns: a rounding error apart."""
    problem, optimizer, law = CASES[name]
    values, optimizer = {s: Fraction(3, 2) for s in problem.constants}, optimizer.on(problem)
    moved = NoNoise() if optimizer.cycles else TrueLaw() if law is None else law
    scale = 0.25 if optimizer.cycles or optimizer.is_finite else None
    tuned = Tuned.of(optimizer, None if optimizer.is_finite else 0.125, scale, values)
    stepper, compiled = tuned.stepper(problem, moved), tuned.compiled(problem, moved, LLVM())
    rng, replicas = np.random.default_rng(4), 64
    x = rng.uniform(0.5, 1.5, (compiled.dimension, replicas))
    states = rng.integers(0, 2**64, (replicas, 4), dtype=np.uint64)
    draw = moved.move(optimizer.noise_source(problem), Fraction(1, 8) if tuned.is_plain else Fraction(1), tuned.scale)
    count = stepper.increments.rows // max(len(draw.symbols), 1)
    assert count == (4 if name.startswith("Local") else 0 if optimizer.cycles else 1)
    a = draws_of(draw, count, values, states) if count else np.empty((0, replicas))
    rows, after = np.ascontiguousarray(x.T), states.copy()
    compiled.run(rows, after, 1)
    by_numpy = x.copy()
    stepper.bind(replicas)(by_numpy, np.ascontiguousarray(a))
    assert (np.abs(rows.T - by_numpy) <= 1e-15 * (1 + np.abs(by_numpy))).all() and np.abs(by_numpy - x).max() > 1e-2
    np.testing.assert_array_equal(after, jumped(states, compiled.words))


def test_a_generator_after_many_words():
    """One by one by Python's integers; the characteristic polynomial; 2^128 words, as the authors' `jump` has them."""
    states = np.random.default_rng(0).integers(0, 2**64, (3, 4), dtype=np.uint64)
    generators = list(map(Generator, states))
    for generator in generators:
        for _ in range(777):
            generator.word()
    np.testing.assert_array_equal(jumped(states, 777), np.array([g.s for g in generators], dtype=np.uint64))
    np.testing.assert_array_equal(jumped(jumped(states, 10**15), 10**15), jumped(states, 2 * 10**15))
    jump = (0x180EC6D33CFD0ABA, 0xD5A61266F0C9392C, 0xA9582618E03FC9AA, 0x39ABDC4529B1661C)
    assert power_of_t(2**128) == sum(word << 64 * k for k, word in enumerate(jump))
    assert power_of_t(2**BITS - 1) == 1 and power_of_t((2**BITS - 1) // 3) != 1  # the period


# --- the law ------------------------------------------------------------------------------------


def moments(run):
    """The numbers that are compared, and each one's standard error: E x, E (x − m)(x − m)ᵀ about fixed points m."""
    x = run.final - [1.1, 0.9]
    numbers = np.column_stack([x, x**2, x[:, :1] * x[:, 1:]])
    return numbers.mean(axis=0), numbers.std(axis=0) / np.sqrt(len(x))


HALF, RATE = sp.Rational(1, 2), sp.Rational(1, 50)


@pytest.mark.parametrize(
    "problem, optimizer",
    [
        (LABEL, SGD()),
        (ISOTROPIC, SGD()),
        (SAMPLES, SGD()),
        (LABEL, HeavyBall(momentum=HALF)),
        (LABEL, Nesterov(momentum=HALF)),
        (INJECTED, SGD(learning_rate=RATE)),
    ],
    ids=str,
)
def test_the_law_is_numpys(problem, optimizer):
    """Five moments of 200,000 replicas after 30 steps, ALPHA for all of them; noise of 1.02 times the amplitude is seen."""
    rate = None if optimizer.is_finite else 0.02
    wishes = {"learning_rate": rate, "steps": 30, "replicas": 200_000, "records": 1, "optimizer": optimizer}
    numpys, error = moments(simulate_sgd(problem, [1.2, 0.9], rng=1, **wishes))
    ours, own = moments(simulate_sgd(problem, [1.2, 0.9], rng=2, backend=LLVM(), **wishes))
    bound = -stats.norm.ppf(ALPHA / 10)
    assert (np.abs(ours - numpys) < bound * np.hypot(error, own)).all()
    louder, own = moments(simulate_sgd(problem, [1.2, 0.9], rng=2, backend=LLVM(), noise_scale=1.02, **wishes))
    seen = (np.abs(louder - numpys) > bound * np.hypot(error, own)).any()
    assert seen or problem is SAMPLES  # noise that vanishes on Γ hardly shows


# --- the same bits ------------------------------------------------------------------------------

REPLICAS, STEPS = 2 * CHUNK + 17, 75


def run(backend=None, *, seed=5, replicas=REPLICAS, problem=LABEL, optimizer=None, **wishes):
    wishes = {"records": 10, "learning_rate": 0.02, "backend": LLVM() if backend is None else backend, **wishes}
    return simulate_sgd(problem, [1.2, 0.9], steps=STEPS, rng=seed, replicas=replicas, optimizer=optimizer, **wishes)


def assert_same_bits(a, b):
    for name in ("times", "mean", "covariance", "final"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name


@pytest.fixture(scope="module")
def alone():
    return run()


def test_executors_threads_and_segments_change_no_bit(alone):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes, ThreadPoolExecutor(3) as threads:
        assert_same_bits(alone, run(executor=processes))
        assert_same_bits(alone, run(executor=threads))
    assert_same_bits(alone, run(LLVM(threads=2)))
    told = []
    assert_same_bits(alone, run(progress=told.append))
    assert told[-1] == 1 and sorted(told) == told
    assert run(seed=6).final.tobytes() != alone.final.tobytes()


def test_a_replica_does_not_depend_on_the_others_nor_on_what_is_recorded(alone):
    few = run(replicas=CHUNK + 3, records=3, paths=True)
    assert few.final.tobytes() == alone.final[: CHUNK + 3].tobytes()
    assert few.paths[-1].tobytes() == few.final.tobytes()


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"problem": ISOTROPIC, "law": GaussianLaw()},
        {"optimizer": HeavyBall(momentum=sp.Rational(1, 2))},
        {"paths": True},
    ],
)
def test_an_interrupted_run_goes_on(tmp_path, wishes):
    file = tmp_path / "run.npz"

    def interrupt(fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=file, progress=interrupt, **wishes)
    assert json.loads(str(np.load(file)["head"]))["arithmetic"] == "LLVM"
    assert 0 < json.loads(str(np.load(file)["head"]))["chunks"][0]["done"] < STEPS
    assert_same_bits(run(checkpoint=file, **wishes), run(**wishes))


# --- refusals -----------------------------------------------------------------------------------


def test_a_checkpoint_of_the_other_arithmetic_is_refused(tmp_path):
    files = {"LLVM": tmp_path / "llvm.npz", "NumPy": tmp_path / "numpy.npz"}
    run(checkpoint=files["LLVM"], replicas=5)
    run(NumPy(), checkpoint=files["NumPy"], replicas=5)
    with pytest.raises(
        BadCheckpoint, match=r"run by LLVM, and this one is by NumPy.*give backend=LLVM\(\), give checkpoint= another"
    ):
        run(NumPy(), checkpoint=files["LLVM"], replicas=5)
    with pytest.raises(BadCheckpoint, match=r"run by NumPy, and this one is by LLVM.*leave backend= out"):
        run(checkpoint=files["NumPy"], replicas=5)
    assert_same_bits(run(checkpoint=files["LLVM"], replicas=5), run(replicas=5))
    assert_same_bits(run(NumPy(), checkpoint=files["NumPy"], replicas=5), run(NumPy(), replicas=5))


def test_a_generator_that_has_moved_is_no_compiled_runs(tmp_path):
    file = tmp_path / "run.npz"
    run(checkpoint=file, replicas=5)
    with np.load(file) as stored:
        arrays = dict(stored)
    head = json.loads(str(arrays.pop("head")))
    del head["digest"]
    bits = np.random.PCG64()
    bits.state = head["chunks"][0]["generator"]
    bits.advance(3)
    head["chunks"][0]["generator"] = bits.state
    np.savez(file, head=np.array(json.dumps(head | {"digest": checkpoints.digest_of(head, arrays)})), **arrays)
    with pytest.raises(BadCheckpoint, match="random numbers are not those of its seed"):
        run(checkpoint=file, replicas=5)


def test_refusals():
    three = Problem.least_squares(RESIDUALS, parameters=(u, v), noise=LabelNoise(1, 2))
    with pytest.raises(BadInput, match=r"batch_size is 2.*without backend="):
        run(problem=three, replicas=5)
    fixed = Problem.from_sample_losses([(u * v - 1) ** 2, (u * v - 1) ** 2 * (1 + u**2)], parameters=(u, v))
    with pytest.raises(BadInput, match=r"order of all samples.*leave backend= out"):
        simulate_sgd(
            fixed, [1.2, 0.9], steps=4, replicas=5, learning_rate=0.02, optimizer=RandomReshuffling(), backend=LLVM()
        )
    with pytest.raises(BadInput, match=r"backend is MPMath.*NumPy\(\) \(default\) or LLVM\(\)"):
        run(MPMath(30), replicas=5)
    with pytest.raises(BadInput, match="backend is 'llvm'"):
        run("llvm", replicas=5)
    odd = [sp.Rational(1, 10**6 + 3), sp.Rational(10**6 + 2, 10**6 + 3)]
    rare = Problem.from_sample_losses([(u * v - 1) ** 2, (u * v - 1) ** 2 * 2], parameters=(u, v), weights=odd)
    with pytest.raises(ProblemTooLarge, match="denominator"):
        run(problem=rare, replicas=5)
    with pytest.warns(UserWarning, match="stability"), pytest.raises(Diverged, match="of 5 replicas"):
        run(replicas=5, learning_rate=8.0)


def test_without_llvmlite_the_command_names_the_extra(monkeypatch, tmp_path, capsys):
    file = tmp_path / "loss.toml"
    file.write_text(
        'residuals = ["u*v - 1"]\nparameters = ["u", "v"]\nnear = { u = 2, v = 1 }\nnoise = { kind = "label" }\n'
    )
    arguments = ["simulate", str(file), "--time", "0.01", "--replicas", "7", "--seed", "0", "--backend", "llvm"]
    assert main(arguments) == 0
    ours = capsys.readouterr().out
    assert main(arguments[:-2]) == 0 and capsys.readouterr().out != ours
    assert main([*arguments, "--process", "canonical"]) != 0
    assert "--process sgd alone" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    monkeypatch.delitem(sys.modules, f"{backends.__name__}.llvm", raising=False)
    assert main(arguments) != 0
    assert "pip install 'symbolic-sgd[fast]'" in capsys.readouterr().err
