"""∂Φ by a Sylvester equation, G† and the rank by two factors, against G itself."""

import time

import jax
import numpy as np
import pytest
import sympy as sp
from latex_document import compiled_snippet, needs_tex

from symbolic_sgd import JAX, AnyNoise, IsotropicNoise, LabelNoise, MatrixFamily, derive_limiting_sde, models
from symbolic_sgd.errors import OffManifold, SingularPoint
from symbolic_sgd.families.orbit_point import MatrixPair, OrbitPoint
from symbolic_sgd.families.tensor_point import TensorPoint
from symbolic_sgd.models.letters import d1, d2, matrix, r

jax.config.update("jax_enable_x64", True)


def _turned(noise):
    """s·VᵀU with both factors turned, seen crosswise."""
    U, V, Y = matrix("U", r, d1), matrix("V", r, d2), matrix("Y", d2, d1)
    return MatrixFamily(residual=3 * V.T * U - Y, parameters=(U, V), data=(Y,), noise=noise)


def _mixed(noise):
    U, V, Y = matrix("U", r, d1), matrix("V", d2, r), matrix("Y", d2, d1)
    return MatrixFamily(residual=V * U - Y, parameters=(U, V), data=(Y,), noise=noise)


FAMILIES = {"full": models.full_factorization, "turned": _turned, "mixed": _mixed}
SIZES = {d1: 5, d2: 4, r: 2}


def _arrays(family, sizes=SIZES, seed=0, **options):
    rng = np.random.default_rng(seed)
    draw = lambda t: rng.standard_normal([int(sizes[s]) for s in t.shape])  # noqa: E731
    point = tuple(draw(p) for p in family.model.parameters)
    blank = {"Y": np.zeros([int(sizes[s]) for s in family.tensors["Y"].shape])}
    arrays = derive_limiting_sde(family).lambdify(check=False, **blank)
    found = arrays.residuals(*point)
    return derive_limiting_sde(family).lambdify(Y=found, **options), point


def _by_gram(point):
    names = ("model", "arrays", "samples", "root", "proportion", "isotropy", "sigma", "motion")
    return TensorPoint(**{name: getattr(point, name) for name in names})


def _flat(blocks):
    return np.concatenate([np.ravel(np.asarray(b)) for b in blocks])


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("noise", [LabelNoise(1), IsotropicNoise(2), AnyNoise()])
def test_it_is_what_the_gram_matrix_says(name, noise):
    arrays, point = _arrays(FAMILIES[name](noise))
    rng = np.random.default_rng(1)
    sigma = tuple(rng.standard_normal((*p.shape, 3)) for p in point)
    at = arrays.at(*point, sigma=sigma if isinstance(noise, AnyNoise) else None)
    assert isinstance(at, OrbitPoint)
    right = _by_gram(at)
    assert at.rank == right.rank == 2 * (5 + 4 - 2)
    single = type(at.x)(rng.standard_normal(p.shape) for p in point)
    columns = type(at.x)(sigma)
    assert np.abs(_flat(at.projected(single)) - _flat(right.projected(single))).max() < 1e-10
    assert at.sigma is None or np.abs(_flat(at.projected(columns)) - _flat(right.projected(columns))).max() < 1e-10
    b = rng.standard_normal(20)
    assert np.abs(at.solve(b) - right.solve(b)).max() < 1e-10
    for term in (TensorPoint.compensation, TensorPoint.mixed, TensorPoint.normal):
        assert np.abs(_flat(term(at)) - _flat(term(right))).max() < 1e-10
    assert float(at.trace) == pytest.approx(float(right.gram.trace()), rel=1e-12)


@pytest.mark.parametrize("sizes", [{d1: 3, d2: 4, r: 4}, {d1: 2, d2: 5, r: 3}])
def test_where_a_factor_has_another_rank(sizes):
    arrays, point = _arrays(models.full_factorization(), sizes)
    at = arrays.at(*point)
    right = _by_gram(at)
    assert at.rank == right.rank
    vector = type(at.x)(np.random.default_rng(2).standard_normal(p.shape) for p in point)
    assert np.abs(_flat(at.projected(vector)) - _flat(right.projected(vector))).max() < 1e-10
    b = np.random.default_rng(3).standard_normal(at.count)
    assert np.abs(at.solve(b) - right.solve(b)).max() < 1e-10


def test_points_are_tested_as_before():
    arrays, (u, v) = _arrays(models.full_factorization())
    assert np.isfinite(_flat(arrays.drift(u, v))).all()
    with pytest.raises(OffManifold):
        arrays.drift(u + 0.1, v)
    low = u.copy()
    low[:, 1] = low[:, 0]
    singular = derive_limiting_sde(models.full_factorization()).lambdify(Y=low @ v.T)
    with pytest.raises(SingularPoint, match="nearby"):
        singular.drift(low, v)


def test_another_library():
    arrays, point = _arrays(models.full_factorization())
    with_jax, _ = _arrays(models.full_factorization(), backend=JAX())
    assert np.abs(_flat(arrays.drift(*point)) - _flat(with_jax.drift(*point))).max() < 1e-10


def test_nothing_of_the_size_of_g_is_formed():
    """G would have 1.6·10⁹ entries."""
    arrays, point = _arrays(models.full_factorization(), {d1: 200, d2: 200, r: 5})
    begun = time.perf_counter()
    drift = arrays.drift(*point)
    assert time.perf_counter() - begun < 20
    u, v = point
    s = u.T @ drift[0] - drift[1].T @ v  # UᵀUS + SVᵀV for the drift (US, −VSᵀ)
    right = -(u.T @ u / 200 - v.T @ v / 200) / 2
    assert np.abs(s - right).max() < 1e-10 * np.abs(right).max()


def test_what_is_printed():
    sde = derive_limiting_sde(models.full_factorization())
    assert f"{sde.tangent_projection}; array code uses it." in sde.explain()
    assert derive_limiting_sde(models.matrix_sensing()).tangent_projection is None
    assert MatrixPair.of(models.cp_decomposition()) is None
    mixed = MatrixPair.of(_mixed(LabelNoise(1))).projection
    assert str(mixed).startswith("∂Φ(A, B) = ((Uᵀ S)ᵀ, −V Sᵀ), U Uᵀ S + S Vᵀ V = U Aᵀ − Bᵀ V")


@needs_tex
def test_its_latex_compiles(tmp_path):
    tex = [MatrixPair.of(make(LabelNoise(1))).projection.latex for make in FAMILIES.values()]
    assert (
        tex[0]
        == r"\partial\Phi(A, B) = (U\,S, -V\,S^{\top}),\qquad U^{\top} U\,S +\,S V^{\top} V = U^{\top} A - B^{\top} V"
    )
    done = compiled_snippet("\n".join(rf"\[ {t} \]" for t in tex), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]


def test_numbers_of_the_literature_form():
    """A 3×2 factorization of rank one, by hand: ∂Φ of ∇R."""
    u, v = np.array([[1.0], [2], [2]]), np.array([[2.0], [-1]])
    drift = derive_limiting_sde(models.full_factorization()).lambdify(Y=u @ v.T).drift(u, v)
    s = sp.Rational(-1, 2) * (sp.Rational(9, 3) - sp.Rational(5, 2)) / 14
    assert np.abs(drift[0] - float(s) * u).max() < 1e-14 and np.abs(drift[1] + float(s) * v).max() < 1e-14
