"""The poster's last panel: κ-sparse w* from n ≪ d samples, by the limiting flow of label-noise SGD on the OLM.

f_i = ⟨z_i, u² − v²⟩ − ⟨z_i, w*⟩. The limit of SGD with label noise descends R ∝ Σ_j (Σ_i z_ij²)(u_j² + v_j²) on Γ, whose
minimum over u² − v² = w is a weighted ℓ₁ norm of w (Li, Wang & Arora 2022, section 6; Woodworth et al. 2020 for the
gradient flow). The baseline is the gradient flow without noise from u = v = α𝟏, whose limit is where the limiting flow begins.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, SingularPoint
from symbolic_sgd.families.arrays import FamilyArrays, family_arrays
from symbolic_sgd.families.family import Family
from symbolic_sgd.families.noise import Array
from symbolic_sgd.families.slow_motion import SlowMotion
from symbolic_sgd.files import named, opened, replace
from symbolic_sgd.problems.noise import LabelNoise
from symbolic_sgd.simulate.deterministic_limit import LimitFlow, follow_limit

DATA: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
}
"""The laws of z_ij: adding one is adding a row."""

RECOVERED = 0.05
"""w* counts as recovered when |w − w*| is at most this times |w*|."""

INITIAL_SCALE = 1.0
"""α of the start u = v = α𝟏, large beside w/d: the kernel regime."""

LONGEST = 60.0
"""t in kη² after which the limiting flow is given up (δ = 1)."""

AT_REST = 3e-4
"""The flow rests where |dY/dt| is at most this times |Y|. (|ẇ| says nothing: it is small at the start, where u ≈ v.)"""

LARGEST_CONDITION = 1e12
"""Near sparse w JJᵀ becomes singular, and the theorem ends; past this condition number the flow is stopped."""


@dataclass(frozen=True)
class Trial:
    """One draw of data and of w*.

    Args:
        coordinates: d.
        sparsity: κ, the nonzero entries ±1 of w*.
        samples: n.
        data: the law of z_ij, a name in `DATA`.
        repeat: its number; with the seed it fixes the draw.
        seed: of the whole experiment.
    """

    coordinates: int
    sparsity: int
    samples: int
    data: str
    repeat: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.sparsity <= self.coordinates and 1 <= self.samples <= self.coordinates):
            raise BadInput(
                f"a trial needs 1 ≤ κ ≤ d and 1 ≤ n ≤ d; here d = {self.coordinates}, κ = {self.sparsity}, n = {self.samples}"
            )
        if self.repeat < 0 or self.seed < 0:
            raise BadInput(f"a trial needs a number and a seed ≥ 0; here they are {self.repeat} and {self.seed}")
        if self.data not in DATA:
            raise BadInput(f"data={self.data!r}; the laws of the data are {', '.join(DATA)}")

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """z (n×d, of full row rank) and w*."""
        kinds = list(DATA)
        key = (self.seed, self.coordinates, self.sparsity, self.samples, kinds.index(self.data), self.repeat)
        rng = np.random.default_rng(key)
        w = np.zeros(self.coordinates)
        w[rng.choice(self.coordinates, self.sparsity, replace=False)] = rng.choice([-1.0, 1.0], self.sparsity)
        z = DATA[self.data](rng, (self.samples, self.coordinates))
        while np.linalg.matrix_rank(z) < self.samples:
            z = DATA[self.data](rng, (self.samples, self.coordinates))
        return z, w


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    Args:
        trial: which.
        kernel_error: |w − w*|/|w*| after the gradient flow without noise.
        limit_error: after the limiting flow from there.
        time: t in kη² at which the limiting flow was stopped.
        condition: of JJᵀ there.
        reason: why it was stopped.
    """

    trial: Trial
    kernel_error: float
    limit_error: float
    time: float
    condition: float
    reason: str


def _array(name: str) -> Array:
    return sp.IndexedBase(name)


@cache
def model() -> Family:
    """The OLM as a family, with ½-normalised squares and label noise of amplitude 1."""
    i, j = sp.symbols("i j", integer=True)
    n, d = sp.symbols("n d", integer=True, positive=True)
    u, v, y, z = (_array(name) for name in "uvyz")
    residual = sp.Sum(z[i, j] * (u[j] ** 2 - v[j] ** 2), (j, 1, d)) - y[i]
    return Family(residual=residual, sample=(i, 1, n), parameters=(u, v), noise=LabelNoise())


def kernel_limit(z: np.ndarray, y: np.ndarray, scale: float = INITIAL_SCALE) -> tuple[np.ndarray, np.ndarray]:
    """Φ(α𝟏, α𝟏) = (αe^s, αe^{−s}), s = zᵀλ: the limit of the gradient flow, by Newton's method on the convex dual
    ½α² Σ_j cosh(2s_j)·2 − ⟨λ, y⟩, whose gradient is zw − y with w = 2α² sinh(2s)."""
    size = np.linalg.norm(y) + scale**2
    weights = np.zeros(len(y))

    def value(candidate: np.ndarray) -> float:
        with np.errstate(over="ignore"):
            return float(scale**2 * np.cosh(2 * z.T @ candidate).sum() - candidate @ y)

    for _ in range(200):
        s = z.T @ weights
        residual = z @ (2 * scale**2 * np.sinh(2 * s)) - y
        if np.linalg.norm(residual) <= 1e-13 * size:
            break
        step = np.linalg.solve((z * (4 * scale**2 * np.cosh(2 * s))) @ z.T, residual)
        length, here = 1.0, value(weights)
        while length > 1e-6 and value(weights - length * step) > here - 1e-4 * length * (residual @ step) + 1e-14 * abs(
            here
        ):
            length /= 2
        weights = weights - length * step
    s = z.T @ weights
    return scale * np.exp(s), scale * np.exp(-s)


def limit_from(
    functions: FamilyArrays, start: tuple[np.ndarray, np.ndarray], target: np.ndarray, longest: float = LONGEST
) -> LimitFlow:
    """The limiting flow from a point of Γ until w* is found, or the flow rests, or JJᵀ becomes singular."""
    d, size = len(target), float(np.linalg.norm(target))
    halves = lambda x: (x[:d], x[d:])  # noqa: E731

    def drift(x: np.ndarray) -> np.ndarray:
        return np.concatenate(functions.drift(*halves(x)))

    def corrected(x: np.ndarray) -> np.ndarray:
        return np.concatenate(functions.corrected(*halves(x)))

    def stop(_: float, x: np.ndarray) -> bool:
        if np.linalg.norm(effective(x) - target) <= RECOVERED / 2 * size:
            return True
        at_rest = np.linalg.norm(drift(x)) <= AT_REST * np.linalg.norm(x)
        return bool(at_rest) or functions.condition(*halves(x)) > LARGEST_CONDITION

    return follow_limit(drift, corrected, np.concatenate(start), longest, stop=stop, singular=SingularPoint)


def effective(x: np.ndarray) -> np.ndarray:
    """w = u² − v²."""
    u, v = np.split(x, 2)
    return u * u - v * v


def run_trial(trial: Trial) -> Outcome:
    """The limiting flow from where the gradient flow without noise ends."""
    z, target = trial.draw()
    functions = family_arrays(SlowMotion(model()), {"z": z, "y": z @ target}, check=False)
    start = kernel_limit(z, z @ target)
    found = limit_from(functions, start, target)
    size = float(np.linalg.norm(target))
    errors = [float(np.linalg.norm(effective(x) - target)) / size for x in (np.concatenate(start), found.point)]
    return Outcome(
        trial, errors[0], errors[1], found.time, functions.condition(*np.split(found.point, 2)), found.reason
    )


# --- many of them ---------------------------------------------------------------------------


def ladder(
    coordinates: Sequence[int],
    sparsities: Sequence[int],
    laws: Sequence[str],
    repeats: int,
    seed: int,
    *,
    steps: int = 14,
) -> Iterator[Trial]:
    """Trials with n around κ ln d, where the limiting flow begins to recover, and n up to d, where the gradient flow does."""
    for d in coordinates:
        for kappa in sparsities:
            Trial(d, kappa, 1, laws[0], 0, seed)  # refuses what no trial can be
            sparse = np.linspace(kappa, 3.5 * kappa * np.log(d), steps)
            dense = np.array([0.5, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 1.0]) * d
            samples = {round(n) for n in (*sparse, *dense) if 1 <= round(n) <= d}
            for n in sorted(samples):
                for law in laws:
                    for repeat in range(repeats):
                        yield Trial(d, kappa, n, law, repeat, seed)


def run_all(
    trials: Iterable[Trial],
    results: Path,
    *,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """Every trial that the file does not hold yet; each outcome is a line of JSON that is written as soon as it is there.

    Args:
        trials: which.
        results: a file of lines; an interrupted run goes on from it.
        executor: of `concurrent.futures`; None to work here.
        progress: told how many of how many are done.

    Raises:
        BadInput: the file holds something else.
        OSError: an outcome cannot be written; those before it are in the file.
    """
    wanted = list(dict.fromkeys(trials))
    known = {outcome.trial: outcome for outcome in read(results)}
    left = [trial for trial in wanted if trial not in known]
    work = map(run_trial, left) if executor is None else executor.map(run_trial, left, chunksize=4)
    with named(results), results.open("a", encoding="utf-8") as file:
        for outcome in work:
            known[outcome.trial] = outcome
            file.write(json.dumps(asdict(outcome)) + "\n")
            file.flush()
            if progress is not None:
                progress(sum(t in known for t in wanted), len(wanted))
    return [known[trial] for trial in wanted]


def read(results: Path) -> list[Outcome]:
    """The outcomes in a file, without a last line that an interruption cut off."""
    if not results.exists():
        return []
    with opened(results) as file:
        lines = file.read().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    if len(whole) < len(lines):
        replace(results, lambda file: file.writelines(whole))
    outcomes = []
    for number, line in enumerate(whole, start=1):
        try:
            entry: dict[str, Any] = json.loads(line)
            outcomes.append(Outcome(**{**entry, "trial": Trial(**entry["trial"])}))
            _check_types(outcomes[-1].trial)
            _check_types(outcomes[-1])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BadInput(
                f"{results}, line {number} is no outcome of this experiment: {error}; name another file"
            ) from error
    return outcomes


def _check_types(record: Trial | Outcome) -> None:
    """`TypeError` where a field is of another type than its own."""
    for field in fields(record):
        value, kind = getattr(record, field.name), (int, float) if field.type is float else field.type
        if isinstance(value, bool) or not isinstance(value, kind):  # pyright: ignore[reportArgumentType]
            raise TypeError(f"{field.name} is {value!r}")
