"""Second moments that have settled: the explicit engine in (x, v), finite differences, closed forms, refusals."""

import numpy as np
import pytest
import sympy as sp
from known_models import draw
from latex_document import compiled_snippet, needs_tex

from symbolic_sgd import (
    SGD,
    Adam,
    IsotropicNoise,
    LabelNoise,
    RedrawnClasses,
    RMSprop,
    derive_limiting_sde,
    models,
)
from symbolic_sgd.errors import BadInput, SingularPoint, Undecided
from symbolic_sgd.models.letters import r

PLAIN = RMSprop(second_moment_rate=1)
HALF = sp.Rational(1, 2)
OPTIMIZERS = {
    "RMSprop": PLAIN,
    "Adam": Adam(beta1=0.5, second_moment_rate=1),
    "another power": RMSprop(second_moment_rate=1, exponent=sp.Rational(1, 4)),
    "logarithm": RMSprop(second_moment_rate=1, exponent=1),
    "stabilizer": RMSprop(second_moment_rate=1, stabilizer=HALF),
}
A = [[[1, 2], [0, 1]], [[2, -1], [1, 1]]]
U, V = np.array([[1.0], [2]]), np.array([[1.0], [-1]])
MEMBERS = {
    "sensing": (models.matrix_sensing(LabelNoise(2)), {"A": A, "y": [-3, 0]}, {r: 1}, (U, V)),
    "squares": (
        models.difference_of_squares(),
        {"z": [[1, 2]], "y": [3]},
        {},
        (np.array([2.0, 2]), np.array([1.0, 2])),
    ),
}


def _flat(blocks):
    return np.concatenate([np.ravel(np.asarray(b)) for b in blocks])


def _arrays(data):
    return {k: np.array(v, dtype=float) for k, v in data.items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("member", MEMBERS)
def test_the_explicit_problem_at_settled_moments(name, member):
    family, data, sizes, point = MEMBERS[member]
    optimizer, sde = OPTIMIZERS[name], derive_limiting_sde(family)
    data = data | {"y": np.einsum("iab,ak,bk->i", A, U, V).astype(int).tolist()} if member == "sensing" else data
    settled = sde.settled_moments(optimizer).on(sde.lambdify(**_arrays(data)))
    explicit = derive_limiting_sde(family.problem(sizes=sizes, **data), optimizer=optimizer)
    x, v = _flat(point), _flat(settled.moments(*point))
    drift = explicit.lambdify().drift(np.concatenate([x, v]))
    found = _flat(settled.drift(*point))
    assert np.abs(found).max() > 1e-3
    assert np.abs(found - drift[: len(x)]).max() < 1e-10
    assert np.abs(drift[len(x) :]).max() < 1e-10  # v rests there
    numbers = dict(zip(explicit.problem.parameters, x, strict=False))
    right = explicit.quasi_static_regularizer.subs(numbers)
    assert settled.regularizer(*point) == pytest.approx(float(right), abs=1e-10)


@pytest.mark.parametrize("name", ["two layers", "full", "CP", "deep", "attention"])
def test_larger_models_descend_r_along_the_manifold(name):
    """JdY = 0, and dR/dt = −‖S^½ … ‖²: against differences of R."""
    member = draw(name, 1)
    sde = derive_limiting_sde(member.known.family())
    arrays = sde.lambdify(**member.given)
    settled = sde.settled_moments(PLAIN).on(arrays)
    point = tuple(map(np.asarray, member.parameters.values()))
    motion, at = settled.drift(*point), arrays.at(*point)
    assert np.abs(at.along(type(at.x)(motion))).max() < 1e-9 * (1 + np.abs(_flat(motion)).max())
    free = sde.settled_moments(PLAIN).on(sde.lambdify(check=False, **member.given))
    h = 1e-5
    up, down = (free.regularizer(*(p + s * h * b for p, b in zip(point, motion, strict=True))) for s in (1, -1))
    scaled = [b * np.sqrt(v) for b, v in zip(motion, settled.moments(*point), strict=True)]  # S⁻¹ dY
    expected = -sum(float((b * c).sum()) for b, c in zip(motion, scaled, strict=True))
    assert (up - down) / (2 * h) == pytest.approx(expected, rel=1e-6)


def test_full_factorization_is_a_sum_of_column_norms():
    member = draw("full", 1)
    sde = derive_limiting_sde(member.known.family())
    u, v = map(np.asarray, member.parameters.values())
    found = sde.settled_moments(PLAIN).on(sde.lambdify(**member.given)).regularizer(u, v)
    d1, d2 = len(u), len(v)
    norms = np.linalg.norm(u, axis=0).sum() * np.sqrt(d2 / d1) + np.linalg.norm(v, axis=0).sum() * np.sqrt(d1 / d2)
    assert found == pytest.approx(norms / 2, rel=1e-12)


def test_an_entry_that_nothing_depends_on():
    sde = derive_limiting_sde(models.difference_of_squares())
    arrays = sde.lambdify(z=np.array([[1.0, 2]]), y=np.array([4.0]))
    point = np.array([2.0, 0]), np.array([0.0, 0])
    with pytest.raises(SingularPoint, match="stabilizer"):
        sde.settled_moments(PLAIN).on(arrays).drift(*point)
    steady = sde.settled_moments(RMSprop(second_moment_rate=1, stabilizer=1)).on(arrays)
    assert np.isfinite(_flat(steady.drift(*point))).all()


@pytest.mark.parametrize(
    ("family", "optimizer", "error", "message"),
    [
        (models.matrix_sensing(), SGD(), BadInput, "second moment for each entry"),
        (models.matrix_sensing(IsotropicNoise(1)), PLAIN, Undecided, "no multiple"),
        (models.softmax_regression(RedrawnClasses()), PLAIN, Undecided, "cross-entropy"),
        (models.matrix_sensing(), RMSprop(second_moment_rate=1, learning_rate=0.1), Undecided, "where η stays"),
        (models.matrix_sensing(), RMSprop(second_moment_rate=1, weight_decay=1), Undecided, "weight decay"),
    ],
)
def test_refused(family, optimizer, error, message):
    with pytest.raises(error, match=message):
        derive_limiting_sde(family).settled_moments(optimizer)


def test_the_drift_is_printed_in_the_entries_of_s():
    settled = derive_limiting_sde(models.matrix_sensing()).settled_moments(PLAIN)
    u, _ = settled.family.parameters
    assert str(settled.drift[u]) == "Σ_i λ_i S_U ∘ A_i V − 1/(2 n) Σ_i S_U ∘ A_i (S_V ∘ A_iᵀ U)"
    assert [str(d) for d in settled.definitions] == [
        "λ = G_S†J S∇R, G_S = JSJᵀ",
        "S = 1/(v^(1/2)) entry by entry, v = c Diag ∇²L",
    ]


@needs_tex
def test_their_latex_compiles(tmp_path):
    names = ("matrix_sensing", "two_layer_network", "full_factorization", "diagonal_network")
    optimizers = PLAIN, OPTIMIZERS["stabilizer"]
    found = [derive_limiting_sde(getattr(models, n)()).settled_moments(o) for n in names for o in optimizers]
    formulas = [f.latex() for s in found for f in (s.regularizer, *s.moments.values(), *s.drift.values())]
    formulas += [d.latex for s in found for d in s.definitions]
    done = compiled_snippet("\n".join(rf"\[ {tex} \]" for tex in formulas), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
