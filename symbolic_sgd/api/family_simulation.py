"""The façade: SGD on a family, at the sizes of its data."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, BadPoint
from symbolic_sgd.families.array_shapes import shaped
from symbolic_sgd.families.arrays import FamilyArrays
from symbolic_sgd.families.batches import batch_of, of_one_sample
from symbolic_sgd.families.cross_entropy import RedrawnClasses
from symbolic_sgd.families.noise import RESIDUAL, AnyNoise
from symbolic_sgd.families.slow_motion import PLAIN
from symbolic_sgd.families.stated import TARGETS
from symbolic_sgd.simulate.arguments import count, entropy_of, learning_rate_of
from symbolic_sgd.simulate.recording import Recording
from symbolic_sgd.simulate.tensor_sgd import DrawnClasses, DrawnLosses, Labels, TensorRun, TensorSGD, run_tensor_sgd
from symbolic_sgd.tensors.forms import Form, Tensor
from symbolic_sgd.tensors.sparse_products import is_sparse

NOT_STATED = "AnyNoise: σ is not stated, so that its law is not known; state the noise of the family"


def simulate_family_sgd(
    arrays: FamilyArrays,
    start: Any,
    *,
    learning_rate: float,
    steps: int,
    replicas: int = 1,
    rng: Any = None,
    records: int = 100,
    observe: Callable[..., Any] | None = None,
) -> TensorRun:
    """SGD itself by its true law, on the data of `sde.lambdify(…)`: the samples and labels of each step are drawn as the family's noise
    says, and only the gradients of these samples are computed.

    Args:
        arrays: a family with its data.
        start: x(0), an array for each parameter; of all replicas.
        learning_rate: η; t = kη².
        steps: how many.
        replicas: R, how many.
        rng: a NumPy Generator, a seed, or None for a fresh seed.
        records: moments after the start at which it is observed.
        observe: a function of the parameters (R×… each), whose values are kept at these moments.

    Returns:
        A `TensorRun`: `times`, `observed`, `final`.

    Raises:
        BadInput: numbers that make no sense, another noise than one that draws labels or is isotropic, another array module.
        BadPoint: a start of another shape.
        Diverged: a replica left the range of float64.

    >>> from symbolic_sgd import derive_limiting_sde, models
    >>> f = derive_limiting_sde(models.matrix_sensing()).lambdify(A=np.eye(2)[None], y=np.array([2.0]))
    >>> run = simulate_family_sgd(f, (np.eye(2), np.eye(2)), learning_rate=0.1, steps=100, replicas=3, rng=0)
    >>> run.final[0].shape, float(run.times[-1].round(9))
    ((3, 2, 2), 1.0)
    """
    if not isinstance(arrays, FamilyArrays):
        raise BadInput(f"a family is simulated with its data: give sde.lambdify(…), and not a {type(arrays).__name__}")
    if arrays.home.module is not np:
        raise BadInput("SGD of a family is simulated with NumPy: leave backend= out of lambdify")
    if arrays.optimizer != PLAIN:
        raise BadInput(
            f"{arrays.optimizer.label} is not simulated on a family: derive it for SGD(), or use simulate_sgd(family.problem(…), …, "
            "optimizer=…)"
        )
    if any(map(is_sparse, arrays.data.values())):
        raise BadInput("a simulation takes rows of data at random: give them dense, and not as a sparse matrix")
    rate, total = learning_rate_of(learning_rate), count(steps, "steps")
    recording = Recording(replicas=replicas, rng=entropy_of(rng), records=records)
    parameters = arrays.family.model.parameters
    given = tuple(start)
    if len(given) != len(parameters):
        raise BadPoint(f"a start has {len(parameters)} arrays, one for each parameter; {len(given)} were given")
    blocks = tuple(np.asarray(shaped(a, p, BadPoint), dtype=float) for a, p in zip(given, parameters, strict=True))
    process = _process(arrays, blocks)
    many = tuple(np.repeat(a[None], recording.replicas, axis=0) for a in blocks)
    return run_tensor_sgd(process, many, rate, recording.marks(total), recording.entropy, observe)


def _process(arrays: FamilyArrays, start: tuple[np.ndarray, ...]) -> TensorSGD:
    family, known = arrays.family, arrays.at(*start).arrays
    value = lambda e: float(known.number(sp.sympify(e)))  # noqa: E731
    n, isotropy = round(value(family.model.samples)), family.noise.isotropy
    f, data = _residual(arrays)
    carried = tuple(t.name for t in family.tensors.values() if t.labels)
    if TARGETS in data:
        carried = (*carried, TARGETS)
    return TensorSGD(
        f,
        family.model.parameters,
        data,
        carried if family.carries_samples else (),
        n,
        n if isotropy is not None else round(value(batch_of(family.noise))),
        _labels(arrays, known.numbers),
        dict(known.numbers),
        0.0 if isotropy is None else value(sp.sqrt(isotropy)),
    )


def _residual(arrays: FamilyArrays) -> tuple[Form, dict[str, np.ndarray]]:
    """f as a form, with the targets where outputs are compared with them, and the data."""
    family = arrays.family
    data = {name: np.asarray(a, dtype=float) for name, a in arrays.data.items() if name != TARGETS}
    if family.outputs is None or family.curvature is None:
        return family.model.f, data
    labels = family.model.labels
    compared = Tensor(TARGETS, tuple(i.size for i in labels), labels=1).entry(*labels)
    return family.model.f - compared, data | {TARGETS: _targets(arrays)}


def _targets(arrays: FamilyArrays) -> np.ndarray:
    if TARGETS not in arrays.data:
        raise BadInput(f"give {TARGETS}= to lambdify: what the outputs are compared with")
    return np.asarray(arrays.data[TARGETS], dtype=float)


def _labels(arrays: FamilyArrays, numbers: Mapping[Any, Any]) -> Labels:
    family = arrays.family
    if family.curvature is None:
        if isinstance(family.noise, AnyNoise):
            raise BadInput(NOT_STATED)
        return DrawnClasses(_targets(arrays), drawn=isinstance(family.noise, RedrawnClasses))
    laws = of_one_sample(family.noise).laws_of(family.loss)
    if laws is None and family.noise.isotropy is None:
        raise BadInput(NOT_STATED)
    laws = laws or ((sp.S.One, family.loss),)
    slopes = [sp.diff(law(RESIDUAL), RESIDUAL).subs(numbers) for _, law in laws]
    unknown = sorted({str(s) for e in slopes for s in e.free_symbols - {RESIDUAL}})
    if unknown:
        raise BadInput(
            f"a law of the labels holds {unknown[0]}, which is data of a sample: such labels are not simulated"
        )
    odds = np.array([float(sp.sympify(p).subs(numbers)) for p, _ in laws])
    return DrawnLosses(tuple(odds / odds.sum()), tuple(sp.lambdify([RESIDUAL], e, ["scipy", "numpy"]) for e in slopes))
