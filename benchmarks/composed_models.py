"""Models that are compositions: seconds to derive, to print, and to the first drift on arrays, and how many terms the forms have.

    python benchmarks/composed_models.py [NAME …] [--limit 60]

Each model is measured in a process of its own, for label, isotropic and dense noise, and is stopped after --limit seconds.
"""

import argparse
import subprocess
import sys
import time

import numpy as np
import sympy as sp

from symbolic_sgd import AnyNoise, IsotropicNoise, LabelNoise, MatrixFamily, derive_limiting_sde

n, d, m, r = sp.symbols("n d m r", integer=True, positive=True)
SIZES = {n: 3, d: 4, m: 5, r: 2}
ROW, X = sp.MatrixSymbol("c", d, 1), sp.MatrixSymbol("x", d, 1)


def square(name):
    """A d×d matrix."""
    return sp.MatrixSymbol(name, d, d)


def tanh(vector):
    """Entry by entry."""
    return vector.applyfunc(sp.tanh)


def linear_resnet(depth):
    """cᵀ(I + W_l)…(I + W_1)x."""
    weights = [square(f"W{k}") for k in range(1, depth + 1)]
    return ROW.T * sp.MatMul(*(sp.Identity(d) + w for w in reversed(weights))) * X, weights


def lora_chain(depth):
    """cᵀ(C_l + B_lA_l)…(C_1 + B_1A_1)x."""
    pairs = [(sp.MatrixSymbol(f"B{k}", d, r), sp.MatrixSymbol(f"A{k}", r, d)) for k in range(1, depth + 1)]
    layers = [square(f"C{k}") + b * a for k, (b, a) in enumerate(pairs, 1)]
    return ROW.T * sp.MatMul(*reversed(layers)) * X, [w for pair in pairs for w in pair]


def tanh_resnet(depth):
    """cᵀx_l, x_k = x_{k−1} + W_k tanh(x_{k−1})."""
    weights, state = [square(f"W{k}") for k in range(1, depth + 1)], X
    for w in weights:
        state = state + w * tanh(state)
    return ROW.T * state, weights


def tanh_network(depth):
    """aᵀtanh(W_l … tanh(W_1x))."""
    weights, state = [square(f"W{k}") for k in range(1, depth)], X
    for w in weights:
        state = tanh(w * state)
    a = sp.MatrixSymbol("a", d, 1)
    return a.T * state, [a, *weights]


def squared_sums(power):
    """(cᵀ(U + V)(P + Q)x)^power."""
    u, v, p, q = (square(k) for k in "UVPQ")
    return (sp.Trace(ROW.T * (u + v) * (p + q) * X)) ** power, [u, v, p, q]


MODELS = {
    **{f"linear ResNet {k}": (linear_resnet, k) for k in (2, 4, 6, 8)},
    **{f"LoRA chain {k}": (lora_chain, k) for k in (2, 3, 4)},
    **{f"tanh ResNet {k}": (tanh_resnet, k) for k in (2, 3, 4)},
    **{f"tanh network {k}": (tanh_network, k) for k in (3, 4, 5, 6)},
    "squared sums": (squared_sums, 2),
}


def family(name, noise):
    """Of a model; its residual less y."""
    model, size = MODELS[name]
    outputs, parameters = model(size)
    constants = sorted((s for s in outputs.free_symbols if s.name.startswith("C")), key=str)
    y = sp.Symbol("y")
    scalar = outputs if outputs.is_Matrix is not True else sp.Trace(outputs)
    return MatrixFamily(
        residual=scalar - y,
        parameters=tuple(parameters),
        data=(X, y, ROW) if ROW in outputs.free_symbols else (X, y),
        samples=n,
        noise=noise,
        constants=constants,
    )


def values(f, rng):
    """Data and parameters, of which the data are made to fit."""
    size = lambda s: sp.sympify(s).subs(SIZES)  # noqa: E731
    draw = lambda t: rng.standard_normal([int(size(s)) for s in t.shape]) / 2  # noqa: E731
    data = {name: draw(t) for name, t in f.tensors.items()}
    x = [draw(t) for t in f.model.parameters]
    data["y"] = np.zeros(3)
    return data, x


def measure(name):
    """In a process of its own."""
    for label, noise in (("label", LabelNoise(1)), ("isotropic", IsotropicNoise(1)), ("dense", AnyNoise())):
        rng = np.random.default_rng(0)
        times = [time.perf_counter()]
        f = family(name, noise)
        sde = derive_limiting_sde(f)
        times.append(time.perf_counter())
        text = str(sde)
        times.append(time.perf_counter())
        data, x = values(f, rng)
        sigma = [rng.standard_normal((*a.shape, 2)) for a in x] if label == "dense" else None
        functions = sde.lambdify(check=False, **data)
        data["y"] = functions.residuals(*x)
        functions = sde.lambdify(**data)
        drift = functions.drift(*x, **({"sigma": sigma} if label == "dense" else {}))
        times.append(time.perf_counter())
        again = time.perf_counter()
        functions.drift(*x, **({"sigma": sigma} if label == "dense" else {}))
        again = time.perf_counter() - again
        derived, printed, first = np.diff(times)
        model = f.model
        counts = [len(model.f.terms), len(model.gram.terms), sum(len(v.terms) for v in model.bent.values())]
        largest = max(float(np.abs(a).max()) for a in drift)
        print(
            f"  {label:<9} derive {derived:6.2f}  print {printed:6.2f}  first drift {first:6.2f}  again {again:7.4f} s;  terms of "
            f"f, G, N[ζ]: {counts};  {len(text)} characters;  largest entry {largest:.12g}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="a part of the models")
    parser.add_argument("--limit", type=float, default=60, help="seconds for a model")
    given = parser.parse_args()
    for name in given.names or MODELS:
        print(name, flush=True)
        try:
            subprocess.run([sys.executable, __file__, "--measure", name], check=False, timeout=given.limit)
        except subprocess.TimeoutExpired:
            print(f"  stopped after {given.limit:g} s", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    else:
        main()
