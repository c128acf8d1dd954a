"""Models that are compositions of sums, each term of the drift against the theorem by automatic differentiation, and how they print."""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from literal_models import Derivatives, square_root

from symbolic_sgd import AnyNoise, IsotropicNoise, LabelNoise, MatrixFamily, derive_limiting_sde
from symbolic_sgd.errors import BadInput
from symbolic_sgd.printing.width import visible_length

n, d, r = sp.symbols("n d r", integer=True, positive=True)
SAMPLES, SIDE, RANK = 2, 3, 1
SIZE = {n: SAMPLES, d: SIDE, r: RANK, sp.S.One: 1}
c, x = sp.MatrixSymbol("c", d, 1), sp.MatrixSymbol("x", d, 1)
y = sp.Symbol("y")


def _square(name):
    return sp.MatrixSymbol(name, d, d)


def _tanh(vector):
    return vector.applyfunc(sp.tanh)


W1, W2, W3, W4, P, Q = (_square(name) for name in ("W1", "W2", "W3", "W4", "P", "Q"))
B1, B2, B3 = (sp.MatrixSymbol(f"B{k}", d, r) for k in (1, 2, 3))
A1, A2, A3 = (sp.MatrixSymbol(f"A{k}", r, d) for k in (1, 2, 3))
one, eye = sp.Identity(d), np.eye(SIDE)
h1 = x + W1 * _tanh(x)
h2 = h1 + W2 * _tanh(h1)
h3 = h2 + W3 * _tanh(h2)


def _residual_network(layers):
    def f(p, c, x):
        for name in layers:
            x = x + p[name] @ jnp.tanh(x)
        return c @ x

    return f


COMPOSED = {
    "linear ResNet": (
        c.T * (one + W4) * (one + W3) * (one + W2) * (one + W1) * x,
        (W1, W2, W3, W4),
        lambda p, c, x: c @ (eye + p["W4"]) @ (eye + p["W3"]) @ (eye + p["W2"]) @ (eye + p["W1"]) @ x,
    ),
    "tied linear ResNet": (
        c.T * (one + W1) * (2 * one - W1.T) * (one + W1) * x,
        (W1,),
        lambda p, c, x: c @ (eye + p["W1"]) @ (2 * eye - p["W1"].T) @ (eye + p["W1"]) @ x,
    ),
    "chain of updates of rank r": (
        c.T * (one + B3 * A3) * (one + B2 * A2) * (one + B1 * A1) * x,
        (B1, A1, B2, A2, B3, A3),
        lambda p, c, x: c @ (eye + p["B3"] @ p["A3"]) @ (eye + p["B2"] @ p["A2"]) @ (eye + p["B1"] @ p["A1"]) @ x,
    ),
    "square of a product of sums": (
        sp.Trace(c.T * (W1 + W2) * (P + Q) * x) ** 2,
        (W1, W2, P, Q),
        lambda p, c, x: (c @ (p["W1"] + p["W2"]) @ (p["P"] + p["Q"]) @ x) ** 2,
    ),
    "tanh ResNet of two layers": (c.T * h2, (W1, W2), _residual_network(("W1", "W2"))),
    "tanh ResNet of three layers": (c.T * h3, (W1, W2, W3), _residual_network(("W1", "W2", "W3"))),
    "tanh of a ResNet": (
        c.T * _tanh(W4 * h3),
        (W1, W2, W3, W4),
        lambda p, c, x: c @ jnp.tanh(p["W4"] @ _states(p, x)),
    ),
    "entrywise product of sums": (
        c.T * sp.HadamardProduct(W1 * x + x, W2 * x + _tanh(W1 * x), W2 * x - x),
        (W1, W2),
        lambda p, c, x: c @ ((p["W1"] @ x + x) * (p["W2"] @ x + jnp.tanh(p["W1"] @ x)) * (p["W2"] @ x - x)),
    ),
}


def _states(p, x):
    for name in ("W1", "W2", "W3"):
        x = x + p[name] @ jnp.tanh(x)
    return x


def _family(name, noise):
    expression, parameters, _ = COMPOSED[name]
    scalar = expression if isinstance(expression, sp.Expr) and not expression.is_Matrix else sp.Trace(expression)
    return MatrixFamily(residual=scalar - y, parameters=parameters, data=(c, x, y), samples=n, noise=noise)


@pytest.mark.parametrize("name", COMPOSED)
def test_a_composed_model_is_the_theorem(name):
    _, parameters, f = COMPOSED[name]
    rng = np.random.default_rng(5)
    shapes = {p.name: [SIZE[s] for s in p.shape] for p in parameters}
    point = {key: rng.standard_normal(shape) for key, shape in shapes.items()}
    data = {"c": rng.standard_normal((SAMPLES, SIDE)), "x": rng.standard_normal((SAMPLES, SIDE))}
    cuts = np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1]

    def blocks(flat):
        parts = zip(shapes.items(), jnp.split(flat, cuts), strict=True)
        return {key: part.reshape(*shape, *part.shape[1:]) for (key, shape), part in parts}

    def outputs(flat):
        p = blocks(flat)
        return jnp.stack([f(p, data["c"][i], data["x"][i]) for i in range(SAMPLES)])

    start = np.concatenate([a.ravel() for a in point.values()])
    targets = np.asarray(outputs(start))
    right = Derivatives.of(lambda at: ((outputs(at) - targets) ** 2).sum() / (2 * SAMPLES), outputs, start)
    sigma = rng.standard_normal((start.size, 2))
    for noise, factor in (
        (LabelNoise(1), square_root(right.hessian)),
        (IsotropicNoise(1), np.eye(start.size)),
        (AnyNoise(), sigma),
    ):
        functions = derive_limiting_sde(_family(name, noise)).lambdify(**data, y=targets)
        given = {"sigma": tuple(map(np.asarray, blocks(sigma).values()))} if isinstance(noise, AnyNoise) else {}
        for term, literal in right.terms(factor).items():
            found = np.concatenate([a.ravel() for a in getattr(functions, term)(*point.values(), **given)])
            scale = 1 + np.abs(right.hessian).max() + np.abs(literal).max()
            assert np.abs(found - literal).max() < 1e-9 * scale, (term, noise)


def test_sums_that_are_factors_print_in_brackets():
    sde = derive_limiting_sde(_family("linear ResNet", LabelNoise(1)))
    assert str(sde.residual) == "⟨(I + W2) (I + W1) x_i, (I + W3)ᵀ (I + W4)ᵀ c_i⟩ − y_i"
    assert str(sde.gradient[W1]) == "(I + W2)ᵀ (I + W3)ᵀ (I + W4)ᵀ c_i x_iᵀ"
    assert sde.gradient[W4].latex() == (
        r"c_{i}\,x_{i}^{\top}\,\left(I + W_{1}\right)^{\top}\,\left(I + W_{2}\right)^{\top}\,\left(I + W_{3}\right)^{\top}"
    )
    assert sde.residual.indices() == (
        "Σ_k,a,b,c,d c_i,k x_i,a (W1_b,a + δ_b,a) (W2_c,b + δ_c,b) (W3_d,c + δ_d,c) (W4_k,d + δ_k,d) − y_i"
    )


def test_hidden_states_print_without_brackets_within_sums():
    sde = derive_limiting_sde(_family("tanh ResNet of three layers", LabelNoise(1)))
    assert str(sde.residual) == (
        "⟨tanh(W2 tanh(W1 tanh(x_i) + x_i) + W1 tanh(x_i) + x_i), W3ᵀ c_i⟩ + "
        "⟨c_i, W2 tanh(W1 tanh(x_i) + x_i) + W1 tanh(x_i) + x_i⟩ − y_i"
    )
    assert "^1" not in sde.residual.indices()


def test_lines_of_a_normalised_layer_are_broken_within_squares():
    state = W1 * x - sp.OneMatrix(d, d) * W1 * x / d
    scale = 1 / sp.sqrt(sp.Trace(state.T * state) / d + 1)
    gain = sp.MatrixSymbol("g", d, 1)
    family = MatrixFamily(
        residual=sp.Trace(c.T * sp.HadamardProduct(gain, scale * state)) - y,
        parameters=(W1, gain),
        data=(c, x, y),
        samples=n,
        noise=LabelNoise(1),
    )
    lines = derive_limiting_sde(family).latex().splitlines()
    lines = [line.replace("&", "").removesuffix(r"\\") for line in lines if line.startswith("&")]
    assert len(lines) > 10 and max(map(visible_length, lines)) <= 75


def test_a_parameter_that_cancels_is_refused():
    whole = sp.Trace(c.T * (W1 + W2) * (P + one) * x) - sp.Trace(c.T * W1 * (P + one) * x)
    with pytest.raises(BadInput, match="does not depend on the parameter W1"):
        MatrixFamily(residual=whole - y, parameters=(W1, W2, P), data=(c, x, y), samples=n, noise=LabelNoise(1))


def test_forms_of_composed_models_stay_small():
    """Multiplied out, G of the linear ResNet of four layers has 208 terms, and N[ζ] 336."""
    model = derive_limiting_sde(_family("linear ResNet", LabelNoise(1))).family.model
    assert len(model.gram.terms) == 4 and sum(len(form.terms) for form in model.bent.values()) == 12
    model = derive_limiting_sde(_family("tanh ResNet of three layers", LabelNoise(1))).family.model
    assert len(model.gram.terms) == 9
