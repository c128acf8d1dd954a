"""The same bits for any number of workers, after a lost worker, and after an interruption; statistics that are right."""

import os
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from killing import KillsOnce
from scipy.stats import chisquare

from symbolic_sgd import IsotropicNoise, Problem
from symbolic_sgd.errors import BadInput, Diverged
from symbolic_sgd.numeric.in_place import InPlaceProgram
from symbolic_sgd.simulate import ensemble as ensembles
from symbolic_sgd.simulate.increments import Increments, Normals, Outcomes, uniform_integers
from symbolic_sgd.simulate.recording import Recording
from symbolic_sgd.simulate.run import simulated
from symbolic_sgd.simulate.sgd import TrueLaw
from symbolic_sgd.simulate.statistics import Moments
from symbolic_sgd.simulate.steps import Coupled, Descent

REPLICAS, STEPS = 3 * ensembles.CHUNK + 17, 75
MARKS = [0, 7, 40, STEPS]


def run(stepper, executor=None, *, replicas=REPLICAS, marks=MARKS, dimension=2, **wishes):
    start = np.ones((replicas, dimension))
    return simulated(stepper, start, marks, np.array(marks, float), Recording(rng=5, executor=executor, **wishes))


@pytest.fixture(scope="module")
def stepper():
    u, v = sp.symbols("u v")
    problem = Problem.from_sample_losses(
        [(u * v - 2) ** 2, (u * v) ** 2, sp.cos(u) + v**2],
        parameters=(u, v),
        weights=[sp.Rational(1, 2), sp.Rational(3, 8), sp.Rational(1, 8)],
    )
    return TrueLaw().descent(problem, Fraction(1, 50), {})


def assert_same_bits(a, b):
    for name in ("times", "mean", "covariance", "final"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name


def test_one_process_two_processes_and_threads_give_the_same_bits(stepper):
    alone = run(stepper)
    with ProcessPoolExecutor(2) as processes, ThreadPoolExecutor(3) as threads:
        assert_same_bits(alone, run(stepper, processes))
        assert_same_bits(alone, run(stepper, threads))
    assert_same_bits(alone, run(stepper))


def test_coupled_levels_are_each_the_sgd_of_their_learning_rate(stepper):
    """The finest level bit for bit; a slower one moves at every fourth step with the draw of that step."""
    slower = Descent(2, lambda x, a, out: _double(stepper.move, x, a, out), stepper.increments)
    both = run(Coupled(((slower, 4), (stepper, 1))), replicas=100, marks=[STEPS], dimension=4).final
    assert both[:, 2:].tobytes() == run(stepper, replicas=100, marks=[STEPS]).final.tobytes()
    every_fourth = _Thinned(stepper.increments, 4)
    alone = run(Descent(2, slower.move, every_fourth), replicas=100, marks=[-(-STEPS // 4)]).final
    assert both[:, :2].tobytes() == alone.tobytes()


def test_coupled_levels_keep_their_pace_over_segments(stepper):
    """A run that reports its progress is cut at steps that are no multiples of the slower level's."""
    coupled = Coupled(((stepper, 4), (stepper, 1)))
    whole = run(coupled, replicas=50, dimension=4).final
    cut = run(coupled, replicas=50, dimension=4, progress=lambda fraction: None).final
    assert cut.tobytes() == whole.tobytes()


def test_coupled_levels_prepare_their_programs_once(stepper, monkeypatch):
    """Was: in every step, for the rows came as new views each time; the ensembles of `verify` took ten times as long."""
    prepared = []
    real = InPlaceProgram._bound
    monkeypatch.setattr(InPlaceProgram, "_bound", lambda *parts: prepared.append(parts) or real(*parts))
    run(Coupled(((stepper, 4), (stepper, 1))), replicas=50, dimension=4)
    assert len(prepared) <= 10 < STEPS


def test_levels_of_different_laws_are_not_coupled(stepper):
    other = Descent(2, stepper.move, Normals(stepper.increments.rows))
    with pytest.raises(BadInput, match="same law"):
        Coupled(((stepper, 1), (other, 4)))


def _double(move, x, a, out):
    move(x, a, out)
    np.multiply(out, 2, out=out)


class _Thinned(Increments):
    """Every so many draws of a law."""

    def __init__(self, law, every):
        self.law, self.every = law, every

    @property
    def rows(self):
        return self.law.rows

    def stream(self, rng, replicas):
        fill, left = self.law.stream(rng, replicas), [False]

        def thinned(out):
            scratch = np.empty_like(out)
            for _ in range(self.every - 1 if left[0] else 0):
                fill(scratch)
            left[0] = True
            fill(out)

        return thinned


def test_the_end_does_not_depend_on_what_is_recorded_on_the_way(stepper):
    assert run(stepper).final.tobytes() == run(stepper, marks=[STEPS]).final.tobytes()


def test_a_dask_cluster_of_two_processes_gives_the_same_bits_even_if_a_worker_dies(stepper):
    distributed = pytest.importorskip("distributed")
    alone = run(stepper, progress=lambda _: None)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert_same_bits(alone, run(stepper, client.get_executor()))
        told = []

        def kill_one(fraction):
            if not told:
                pids = client.run(os.getpid)
                os.kill(next(iter(pids.values())), 9)
            told.append(fraction)

        assert_same_bits(alone, run(stepper, client.get_executor(retries=3), progress=kill_one))
        assert told


class Loses(ThreadPoolExecutor):
    """Gives back every result, except that the first is lost with an error of the executor's own."""

    def __init__(self, error):
        super().__init__(2)
        self.errors = [error]

    def submit(self, function, /, *args, **kwargs):
        future = super().submit(function, *args, **kwargs)
        if not self.errors:
            return future
        lost = Future()
        lost.set_exception(self.errors.pop())
        return lost


# Dask raises AttributeError where a worker dies between a result and its delivery (distributed/cfexecutor.py).
@pytest.mark.parametrize(
    "error", [AttributeError("'Moments' has no 'with_traceback'"), CancelledError(), OSError(104, "reset")]
)
def test_a_chunk_that_an_executor_lost_is_computed_again_to_the_same_bits(stepper, error):
    with Loses(error) as executor:
        assert_same_bits(run(stepper), run(stepper, executor))
        assert not executor.errors


def test_an_error_of_the_steps_themselves_is_raised_with_an_executor_too():
    def broken(x, a, out):
        raise ZeroDivisionError("a step divides by zero")

    with ThreadPoolExecutor(2) as executor, pytest.raises(ZeroDivisionError, match="a step divides"):
        run(Descent(2, broken, Normals(2)), executor)


def test_a_chunk_whose_worker_died_is_computed_again_to_the_same_bits(tmp_path):
    calm = tmp_path / "calm"
    calm.touch()
    alone = run(Descent(2, KillsOnce(calm, os.getpid()), Normals(2)))
    with ProcessPoolExecutor(2) as executor:
        marker = tmp_path / "killed"
        after = run(Descent(2, KillsOnce(marker, os.getpid()), Normals(2)), executor)
    assert marker.exists()
    assert_same_bits(alone, after)


def test_an_interrupted_run_resumes_to_the_same_bits(stepper, tmp_path):
    marks = list(range(STEPS + 1))
    whole = run(stepper, marks=marks, paths=True)
    file = tmp_path / "run.npz"

    def interrupt(fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stepper, marks=marks, paths=True, checkpoint=file, progress=interrupt)
    assert file.exists()
    seen = []
    resumed = run(stepper, marks=marks, paths=True, checkpoint=file, progress=seen.append)
    assert min(seen) > 0.3 and max(seen) == 1
    assert_same_bits(whole, resumed)
    assert whole.paths.tobytes() == resumed.paths.tobytes()
    assert_same_bits(whole, run(stepper, marks=marks, paths=True, checkpoint=file))  # nothing is left to do


def test_a_replica_that_leaves_float64_is_an_error():
    with pytest.raises(Diverged, match="smaller"):
        run(Descent(2, lambda x, a, out: np.multiply(x, x * -9e9, out=out), Normals(1)), replicas=3)


def test_moments_merge_to_those_of_all_replicas():
    x = np.random.default_rng(0).standard_normal((3, 1000)) + 5
    merged = Moments.of(x[:, :10]).merged(Moments.of(x[:, 10:600])).merged(Moments.of(x[:, 600:]))
    np.testing.assert_allclose(merged.mean[0], x.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(merged.covariance[0], np.cov(x), rtol=1e-12)
    assert np.isnan(Moments.of(x[:, :1]).covariance).all()


@pytest.mark.parametrize("total", [2, 8, 6, 40, 256, 300, 70_000, 2**33])
def test_integers_are_uniform(total):
    rng = np.random.default_rng(total)
    drawn = uniform_integers(rng, total, (3, 40_001)).astype(float)
    assert drawn.shape == (3, 40_001) and drawn.min() >= 0 and drawn.max() < total
    bins = min(total, 50)
    counts = np.bincount((drawn.ravel() * bins // total).astype(int), minlength=bins)
    sizes = np.bincount(np.arange(total) * bins // total, minlength=bins) if total < 1e6 else np.ones(bins)
    assert chisquare(counts, sizes / sizes.sum() * drawn.size).pvalue > 1e-6


@pytest.mark.parametrize("counts", [(1, 2, 5), (1000, 3000, 4001)], ids=["written out", "searched"])
def test_outcomes_come_with_their_probabilities(counts):
    law = Outcomes(np.array([[10.0, 20, 30]]), counts)
    out = np.empty((1, 50_000))
    fill = law.stream(np.random.default_rng(1), 50_000)
    seen = []
    for _ in range(4):
        fill(out)
        seen.append(out.copy())
    values, numbers = np.unique(seen, return_counts=True)
    assert values.tolist() == [10, 20, 30]
    assert chisquare(numbers, np.array(counts) / sum(counts) * 200_000).pvalue > 1e-6


def test_paths_are_kept_only_when_asked_for_and_memory_does_not_grow_with_the_steps():
    u, v = sp.symbols("u v")
    problem = Problem(loss=(u * v - 1) ** 2 / 2, parameters=(u, v), noise=IsotropicNoise())
    stepper = TrueLaw().descent(problem, Fraction(1, 100), {})
    short, long = (run(stepper, replicas=10, marks=[0, steps]) for steps in (5, 500))
    assert short.paths is None and short.mean.shape == long.mean.shape == (2, 2)
    kept = run(stepper, replicas=10, marks=[0, 2, 5], paths=True)
    assert kept.paths.shape == (3, 10, 2)
    np.testing.assert_array_equal(kept.paths[-1], kept.final)
    np.testing.assert_array_equal(kept.paths[0], 1)
