"""What a user of JAX writes: the drift from the loss alone, by autodiff three derivatives deep."""

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

jax.config.update("jax_enable_x64", True)


def drift_from_loss(loss: sp.Expr, parameters: tuple[sp.Symbol, ...], rank: int, noise: str):
    """½∂²Φ[Σ] for a batch of points; Σ = I, or Σ = ∇²L for label noise."""
    numeric = sp.lambdify([parameters], loss, "jax")
    value = lambda x: jnp.asarray(numeric(x))  # noqa: E731
    slope, curvature = jax.grad(value), jax.hessian(value)

    def third(x, b):
        return jax.grad(lambda y: jnp.vdot(curvature(y), b))(x)

    def drift(x):
        h = curvature(x)
        values, axes = jnp.linalg.eigh(h)
        steep, normal, tangent = values[-rank:], axes[:, -rank:], axes[:, :-rank]
        sigma = jnp.eye(len(x)) if noise == "isotropic" else h
        p, pinv = tangent @ tangent.T, (normal / steep) @ normal.T
        s = normal @ ((normal.T @ sigma @ normal) / (steep[:, None] + steep[None])) @ normal.T
        mixed = pinv @ sigma @ p
        return -pinv @ third(x, p @ sigma @ p) / 2 - p @ third(x, mixed) - p @ third(x, s) / 2

    assert slope
    return jax.jit(jax.vmap(drift))


def timed(function, x: np.ndarray):
    return function(x).block_until_ready()
