"""Networks with one, two and three layers, of any widths."""

from typing import Any

import sympy as sp

from symbolic_sgd.families.cross_entropy import CrossEntropy, RedrawnClasses
from symbolic_sgd.families.matrix_family import MatrixFamily
from symbolic_sgd.models.letters import LABELS, C, d, k, m, matrix, n, vector, y


def two_layer_network(noise: Any = LABELS, activation: Any = sp.tanh) -> MatrixFamily:
    """aᵀφ(Wx_i) = y_i, with W m×d. R ∝ Σ_i ‖φ(Wx_i)‖² + ‖a∘φ′(Wx_i)‖²‖x_i‖²."""
    a, W, x = vector("a", m), matrix("W", m, d), vector("x", d)
    f = sp.Trace(a.T * (W * x).applyfunc(activation))
    return MatrixFamily(residual=f - y, parameters=(a, W), data=(x, y), samples=n, noise=noise)


def network_with_biases(noise: Any = LABELS, activation: Any = sp.tanh) -> MatrixFamily:
    """Bφ(Wx_i + b) + c = t_i, with C outputs."""
    B, W, b, c = matrix("B", C, m), matrix("W", m, d), vector("b", m), vector("c", C)
    x, t = vector("x", d), vector("t", C)
    f = B * (W * x + b).applyfunc(activation) + c
    return MatrixFamily(residual=f - t, parameters=(B, W, b, c), data=(x, t), samples=n, noise=noise)


def gated_network(noise: Any = LABELS) -> MatrixFamily:
    """aᵀ(s_i∘(Wx_i)) = y_i, with s_i the slopes of a ReLU network in one of its cells (0 or 1, as data)."""
    a, W, s, x = vector("a", m), matrix("W", m, d), vector("s", m), vector("x", d)
    f = sp.Trace(a.T * sp.HadamardProduct(s, W * x))
    return MatrixFamily(residual=f - y, parameters=(a, W), data=(s, x, y), samples=n, noise=noise)


def three_layer_network(noise: Any = LABELS, activation: Any = sp.tanh) -> MatrixFamily:
    """aᵀφ(W2 φ(W1x_i)) = y_i."""
    a, W2, W1, x = vector("a", m), matrix("W2", m, k), matrix("W1", k, d), vector("x", d)
    f = sp.Trace(a.T * (W2 * (W1 * x).applyfunc(activation)).applyfunc(activation))
    return MatrixFamily(residual=f - y, parameters=(a, W2, W1), data=(x, y), samples=n, noise=noise)


def deep_linear_network(noise: Any = LABELS, depth: int = 3) -> MatrixFamily:
    """W_depth…W2W1x_i = t_i, with C outputs and hidden widths m1, m2, …"""
    widths = [d, *sp.symbols(f"m1:{depth}", integer=True, positive=True), C]
    layers = [matrix(f"W{layer + 1}", widths[layer + 1], widths[layer]) for layer in range(depth)]
    x, t = vector("x", d), vector("t", C)
    f = sp.MatMul(*reversed(layers), x)
    return MatrixFamily(residual=f - t, parameters=tuple(reversed(layers)), data=(x, t), samples=n, noise=noise)


def quadratic_network(noise: Any = LABELS, *, trained: bool = True) -> MatrixFamily:
    """Σ_k a_k(w_kᵀx_i)² = y_i; with trained=False the outer weights are given (and all samples have them in common)."""
    a, W, x = vector("a", m), matrix("W", m, d), vector("x", d)
    f = sp.Trace(a.T * sp.HadamardPower(W * x, 2))
    parameters, constants = ((a, W), ()) if trained else ((W,), (a,))
    return MatrixFamily(residual=f - y, parameters=parameters, data=(x, y), samples=n, noise=noise, constants=constants)


def softmax_regression(noise: Any = None) -> MatrixFamily:
    """Classes with the logits W2W1x_i and the cross-entropy, by default with classes drawn anew.

    tr ∇²L = (1/n) Σ_i tr K_i ‖W1x_i‖² + ⟨K_i, W2W2ᵀ⟩‖x_i‖².
    """
    W2, W1, x = matrix("W2", C, m), matrix("W1", m, d), vector("x", d)
    return MatrixFamily(
        outputs=W2 * W1 * x,
        parameters=(W2, W1),
        data=(x,),
        samples=n,
        loss=CrossEntropy(),
        noise=RedrawnClasses() if noise is None else noise,
    )
