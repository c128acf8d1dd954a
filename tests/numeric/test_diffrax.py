"""diffrax integrates the exported SDE as our own steps do, on the same Brownian increments."""

import numpy as np
import pytest
from exported_sdes import CHARTS, KEPT, SDES, STARTS, TIME, euler, hyperbola, quadric

from symbolic_sgd.errors import BadInput

jax = pytest.importorskip("jax", reason="jax is not installed (extra 'solvers')")
diffrax = pytest.importorskip("diffrax", reason="diffrax is not installed (extra 'solvers')")
from symbolic_sgd import JAX, diffrax_terms  # noqa: E402

jax.config.update("jax_enable_x64", True)


def brownian(width):
    return diffrax.VirtualBrownianTree(0.0, TIME, tol=TIME / 2**14, shape=(width,), key=jax.random.PRNGKey(3))


def increments_of(tree, steps):
    times = np.linspace(0, TIME, steps + 1)
    return np.array(jax.vmap(tree.evaluate)(times[:-1], times[1:]))


def integrator(terms, solver, start):
    """steps ↦ x(T): compiled once for every length of step."""

    @jax.jit
    def end(step):
        return diffrax.diffeqsolve(
            terms, solver, 0.0, TIME, step, jax.numpy.array(start), saveat=diffrax.SaveAt(t1=True)
        ).ys[-1]

    return lambda steps: np.asarray(end(TIME / steps))


@pytest.mark.parametrize("name", ["hyperbola", "quadric"])
def test_diffrax_in_ambient_coordinates(name):
    """The same scheme to rounding; and the distance from Γ shrinks with the step, as its order ½ or better says."""
    sde, away = SDES[name](), []
    tree = brownian(sde.tangent_noise.cols)
    integrate = integrator(diffrax_terms(sde, tree, diffrax.Euler()), diffrax.Euler(), STARTS[name])
    for steps in (16, 1024):
        end = integrate(steps)
        np.testing.assert_allclose(end, euler(sde, STARTS[name], increments_of(tree, steps), TIME / steps), rtol=1e-9)
        (equation,) = sde.manifold.equations
        away.append(abs(float(equation.subs(dict(zip(sde.problem.parameters, end, strict=True))))))
    assert away[1] < away[0] / 2


@pytest.mark.parametrize("name", ["hyperbola", "quadric"])
def test_diffrax_in_a_chart(name):
    """Rows of the ambient SDE with x = ψ(y): the same numbers as our steps on the same increments."""
    sde, steps, kept = SDES[name](), 64, np.array(KEPT[name])
    f, numeric, chart = sde.lambdify(backend=JAX(), check=False), sde.lambdify(), CHARTS[name]
    tree = brownian(sde.tangent_noise.cols)
    terms = diffrax.MultiTerm(
        diffrax.ODETerm(lambda t, y, args: f.drift(chart(y, jax.numpy))[kept]),
        diffrax.ControlTerm(lambda t, y, args: f.diffusion(chart(y, jax.numpy))[kept], tree),
    )
    y = np.array(STARTS[name])[kept]
    end = integrator(terms, diffrax.Euler(), y)(steps)
    for dw in increments_of(tree, steps):
        x = chart(y, np)
        y = y + TIME / steps * numeric.drift(x)[kept] + numeric.diffusion(x)[kept] @ dw
    np.testing.assert_allclose(end, y, rtol=1e-10)


def test_stratonovich_and_ito_solvers_agree():
    """Heun's scheme with the Stratonovich drift and Euler's with Itô's approach the same path."""
    tree = brownian(2)
    itô, stratonovich = (
        integrator(diffrax_terms(hyperbola(), tree, solver), solver, STARTS["hyperbola"])
        for solver in (diffrax.Euler(), diffrax.Heun())
    )
    gaps = [np.abs(itô(steps) - stratonovich(steps)).max() for steps in (64, 4096)]
    assert gaps[1] < gaps[0] / 3 and gaps[1] < 2e-2


def test_what_diffrax_cannot_carry():
    tree = brownian(4)
    for solver in (diffrax.ItoMilstein(), diffrax.ShARK(), diffrax.Tsit5()):
        with pytest.raises(BadInput, match="does not carry"):
            diffrax_terms(quadric().derivation, tree, solver)
    narrow = brownian(3)
    with pytest.raises(BadInput, match=r"shape=\(4,\)"):
        diffrax_terms(quadric(), narrow, diffrax.Euler())
    with pytest.raises(BadInput, match="a limiting SDE is needed"):
        diffrax_terms(quadric().problem, narrow, diffrax.Euler())
