"""The named models, each with the same residuals written for JAX, and data of random sizes."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symbolic_sgd import models

jax.config.update("jax_enable_x64", True)


@dataclass(frozen=True)
class Known:
    """A model.

    Args:
        family: makes it from a noise.
        residuals: f before what it is compared with, from parameters and data, for JAX.
        shapes: of parameters and data, by sizes.
        target: the name of the data that it is compared with; "" where outputs= are stated.
    """

    family: Any
    residuals: Any
    parameters: dict[str, str]
    data: dict[str, str]
    target: str = "y"
    least: tuple[tuple[str, int], ...] = ()


def _softmax(z):
    e = jnp.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


def _convolution_matrices(d):
    k = np.arange(d)
    return (((k[:, None] + k) % d)[None] == k[:, None, None]).astype(float)


e = jnp.einsum
MODELS: dict[str, Known] = {
    "sensing": Known(
        models.matrix_sensing,
        lambda p, z: e("nab,ak,bk->n", z["A"], p["U"], p["V"]),
        {"U": "ar", "V": "br"},
        {"A": "nab"},
    ),
    "completion": Known(
        models.matrix_completion,
        lambda p, z: e("na,ak,bk,nb->n", z["p"], p["U"], p["V"], z["q"]),
        {"U": "ar", "V": "br"},
        {"p": "na", "q": "nb"},
    ),
    "full": Known(
        models.full_factorization, lambda p, z: p["U"] @ p["V"].T, {"U": "ar", "V": "br"}, {}, "Y", (("a", 3), ("b", 3))
    ),
    "symmetric": Known(
        models.symmetric_sensing, lambda p, z: e("nab,ak,bk->n", z["A"], p["X"], p["X"]), {"X": "dr"}, {"A": "ndd"}
    ),
    "deep": Known(
        models.deep_linear_network,
        lambda p, z: z["x"] @ (p["W3"] @ p["W2"] @ p["W1"]).T,
        {"W3": "Cl", "W2": "lm", "W1": "md"},
        {"x": "nd"},
        "t",
        (("l", 3), ("m", 3), ("d", 3)),
    ),
    "two layers": Known(
        models.two_layer_network, lambda p, z: jnp.tanh(z["x"] @ p["W"].T) @ p["a"], {"a": "m", "W": "md"}, {"x": "nd"}
    ),
    "biases": Known(
        models.network_with_biases,
        lambda p, z: jnp.tanh(z["x"] @ p["W"].T + p["b"]) @ p["B"].T + p["c"],
        {"B": "Cm", "W": "md", "b": "m", "c": "C"},
        {"x": "nd"},
        "t",
    ),
    "gates": Known(
        models.gated_network,
        lambda p, z: jnp.maximum(z["x"] @ p["W"].T, 0) @ p["a"],
        {"a": "m", "W": "md"},
        {"s": "nm", "x": "nd"},
        "y",
        (("m", 4),),
    ),
    "three layers": Known(
        models.three_layer_network,
        lambda p, z: jnp.tanh(jnp.tanh(z["x"] @ p["W1"].T) @ p["W2"].T) @ p["a"],
        {"a": "m", "W2": "mk", "W1": "kd"},
        {"x": "nd"},
    ),
    "quadratic, given": Known(
        partial(models.quadratic_network, trained=False),
        lambda p, z: (z["x"] @ p["W"].T) ** 2 @ z["a"],
        {"W": "md"},
        {"x": "nd", "a": "m"},
    ),
    "quadratic": Known(
        models.quadratic_network, lambda p, z: (z["x"] @ p["W"].T) ** 2 @ p["a"], {"a": "m", "W": "md"}, {"x": "nd"}
    ),
    "attention": Known(
        models.bilinear_attention,
        lambda p, z: e("nc,rc,rd,nd->n", z["x"], p["K"], p["Q"], z["z"]),
        {"K": "rd", "Q": "rd"},
        {"x": "nd", "z": "nd"},
    ),
    "softmax attention": Known(
        models.softmax_attention,
        lambda p, z: e("nt,ntd,d->n", _softmax(e("ntc,rc,rd,nd->nt", z["X"], p["K"], p["Q"], z["q"])), z["X"], p["v"]),
        {"K": "rd", "Q": "rd", "v": "d"},
        {"X": "npd", "q": "nd"},
    ),
    "adaptation": Known(
        models.low_rank_adaptation,
        lambda p, z: z["x"] @ (z["W0"] + p["B"] @ p["A"]).T,
        {"B": "ar", "A": "rd"},
        {"x": "nd", "W0": "ad"},
        "t",
        (("d", 4), ("r", 2)),
    ),
    "CP": Known(
        models.cp_decomposition,
        lambda p, z: e("ar,br,cr->abc", p["U"], p["V"], p["W"]),
        {"U": "ar", "V": "br", "W": "cr"},
        {},
        "T",
        (("a", 3), ("b", 3), ("c", 3), ("r", 2)),
    ),
    "Tucker": Known(
        models.tucker_sensing,
        lambda p, z: e("nab,ak,kl,bl->n", z["A"], p["U"], p["S"], p["V"]),
        {"U": "ar", "S": "rr", "V": "br"},
        {"A": "nab"},
    ),
    "entrywise square": Known(
        models.entrywise_square_sensing,
        lambda p, z: e("nab,ab->n", z["A"], (p["U"] @ p["V"].T) ** 2),
        {"U": "ar", "V": "br"},
        {"A": "nab"},
    ),
    "tied": Known(
        models.tied_linear_network,
        lambda p, z: e("na,ab,bc,cd,nd->n", z["p"], p["W"], p["W"], p["W"], z["q"]),
        {"W": "kk"},
        {"p": "nk", "q": "nk"},
    ),
    "squares": Known(
        models.difference_of_squares,
        lambda p, z: z["z"] @ (p["u"] ** 2 - p["v"] ** 2),
        {"u": "d", "v": "d"},
        {"z": "nd"},
    ),
    "depth 3": Known(
        models.diagonal_network,
        lambda p, z: z["z"] @ (p["u1"] * p["u2"] * p["u3"]),
        {"u1": "d", "u2": "d", "u3": "d"},
        {"z": "nd"},
    ),
    "groups": Known(
        models.group_network, lambda p, z: e("g,gk,ngk->n", p["u"], p["V"], z["Z"]), {"u": "d", "V": "dk"}, {"Z": "ndk"}
    ),
    "weight normalization": Known(
        models.weight_normalization,
        lambda p, z: p["g"] * z["x"] @ p["w"] / jnp.sqrt(p["w"] @ p["w"]),
        {"g": "", "w": "d"},
        {"x": "nd"},
        "y",
        (("d", 4),),
    ),
    "convolution": Known(
        models.circular_convolution,
        lambda p, z: jnp.fft.irfft(jnp.fft.rfft(p["u"]) * jnp.fft.rfft(p["v"]), len(p["u"])),
        {"u": "d", "v": "d"},
        {"S": "ddd"},
        "y",
        (("d", 3),),
    ),
    "softmax regression": Known(
        models.softmax_regression,
        lambda p, z: z["x"] @ (p["W2"] @ p["W1"]).T,
        {"W2": "Cm", "W1": "md"},
        {"x": "nd"},
        "",
        (("d", 4), ("m", 3)),
    ),
}


@dataclass(frozen=True)
class Draw:
    """A member of a model at one random point.

    Args:
        known: the model.
        parameters, data: arrays by name; the data make the point one of Γ.
    """

    known: Known
    parameters: dict[str, np.ndarray]
    data: dict[str, np.ndarray]

    @property
    def x(self):
        """The point as one vector."""
        return np.concatenate([np.ravel(a) for a in self.parameters.values()])

    def unflattened(self, x):
        """The parameters of a vector."""
        found, at = {}, 0
        for name, a in self.parameters.items():
            found[name] = x[at : at + a.size].reshape(a.shape)
            at += a.size
        return found

    def blocks(self, x):
        """The arrays of a vector, or of the rows of a matrix."""
        found, at = [], 0
        for a in self.parameters.values():
            found.append(x[at : at + a.size].reshape((*a.shape, *x.shape[1:])))
            at += a.size
        return found

    def values(self, x):
        """f before what it is compared with."""
        return self.known.residuals(self.unflattened(jnp.asarray(x)), {k: jnp.asarray(a) for k, a in self.data.items()})

    @cached_property
    def targets(self):
        """What the values are on Γ: the softmax of logits, else the values."""
        values = self.values(self.x)
        return np.asarray(values if self.known.target else _softmax(values))

    @property
    def samples(self):
        """n: the number of samples, or of entries where all are seen."""
        return len(next(iter(self.data.values()))) if "x" in self.data else self.targets.size

    def loss(self, x):
        """L."""
        values = self.values(x)
        if not self.known.target:
            return -(self.targets * jnp.log(_softmax(values))).sum() / self.samples
        return ((values - self.targets) ** 2).sum() / (2 * self.samples)

    @property
    def given(self):
        """The data by name, as families take them."""
        return {**self.data, (self.known.target or "targets"): self.targets}


def draw(name: str, seed: int) -> Draw:
    """The model at random sizes: few samples, other sizes of two to four."""
    known, rng = MODELS[name], np.random.default_rng(seed)
    letters = sorted({c for s in (*known.parameters.values(), *known.data.values()) for c in s})
    sizes = {c: int(rng.integers(2, 4)) for c in letters}
    for letter, least in known.least:
        sizes[letter] = max(sizes[letter], least)

    def normal(shape):
        return rng.standard_normal([sizes[c] for c in shape]) + 0.3

    parameters = {p: normal(s) for p, s in known.parameters.items()}
    data = {p: normal(s) for p, s in known.data.items()}
    if name == "convolution":
        data["S"] = _convolution_matrices(sizes["d"])
    if name == "gates":
        data["s"] = (data["x"] @ parameters["W"].T > 0).astype(float)
    if not known.target:  # else a class may have a probability of 10⁻⁸, and the Hessian a condition of 10⁷
        data["x"] = data["x"] * 2 / np.abs(data["x"] @ (parameters["W2"] @ parameters["W1"]).T).max()
    found = Draw(known, parameters, data)
    assert found.targets.size  # computed here: inside of a compilation there are no numbers
    return found
