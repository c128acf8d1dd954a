"""Families of every kind, and members of them at one size with a point of Γ."""

import itertools

import numpy as np
import sympy as sp

from symbolic_sgd import AnyNoise, Family, IsotropicNoise, LabelNoise, RedrawnLabels, derive_limiting_sde

i, j = sp.symbols("i j", integer=True)
n, d = sp.symbols("n d", integer=True, positive=True)
u, v, y, z, q = map(sp.IndexedBase, "uvyzq")
up, vp = sp.IndexedBase("u", positive=True), sp.IndexedBase("v", positive=True)
r, p = sp.symbols("r p")

OLM = sp.Sum(z[i, j] * (u[j] ** 2 - v[j] ** 2), (j, 1, d)) - y[i]
PRINTED = sp.Lambda(r, r**2)
HALF = sp.Rational(1, 2)

ODDS = q[i] / (1 - q[i])
LOGISTIC = RedrawnLabels(
    (
        (q[i], sp.Lambda(r, sp.log(1 + sp.exp(-r) / ODDS))),
        (1 - q[i], sp.Lambda(r, sp.log(1 + sp.exp(r) * ODDS))),
    )
)
UNEVEN = sp.Lambda(r, q[i] * r**2)
SKEWED = RedrawnLabels(((HALF, sp.Lambda(r, (r - q[i]) ** 2)), (HALF, sp.Lambda(r, (r + q[i]) ** 2))))


def family(residual=OLM, parameters=(u, v), noise=None, **further):
    return Family(residual=residual, sample=(i, 1, n), parameters=parameters, noise=noise or LabelNoise(), **further)


def of_depth(power, noise):
    """u^p − v^p with a symbolic p."""
    residual = sp.Sum(z[i, j] * (up[j] ** p - vp[j] ** p), (j, 1, d)) - y[i]
    return family(residual, (up, vp), noise, constants=(p,)), {"p": power}


CASES = {
    **{
        f"OLM {name} {loss_name}": (family(noise=noise, loss=loss), {})
        for (name, noise), (loss_name, loss) in itertools.product(
            {"label": LabelNoise(HALF), "isotropic": IsotropicNoise(HALF), "dense": AnyNoise()}.items(),
            {"as printed": PRINTED, "halved": sp.Lambda(r, r**2 / 2)}.items(),
        )
    },
    "depth 3 label": of_depth(3, LabelNoise()),
    "depth 3 isotropic": of_depth(3, IsotropicNoise()),
    "depth 4 dense": of_depth(4, AnyNoise()),
    "v∘v label": (family(sp.Sum(z[i, j] * v[j] ** 2, (j, 1, d)) - y[i], (v,)), {}),
    "logistic redrawn": (
        family(sp.Sum(z[i, j] * (u[j] ** 2 - v[j] ** 2), (j, 1, d)) - sp.log(ODDS), noise=LOGISTIC),
        {},
    ),
    "labels of unequal variance": (family(noise=SKEWED), {}),
    "amplitudes of unequal size": (family(noise=LabelNoise(q[i])), {}),
    "losses of unequal curvature": (family(loss=UNEVEN, noise=LabelNoise(HALF)), {}),
    "losses of unequal curvature, isotropic": (family(loss=UNEVEN, noise=IsotropicNoise(HALF)), {}),
    "weights of coordinates, dense": (
        family(sp.Sum(q[j] * z[i, j] * v[j] ** 3, (j, 1, d)) - y[i], (v,), AnyNoise()),
        {},
    ),
    "tanh, data inside, label": (family(sp.Sum(v[j] * sp.tanh(z[i, j] * u[j]), (j, 1, d)) - y[i]), {}),
    "tanh, data inside, isotropic": (
        family(sp.Sum(v[j] * sp.tanh(z[i, j] * u[j]), (j, 1, d)) - y[i], noise=IsotropicNoise(2)),
        {},
    ),
    "tanh, data inside, dense": (
        family(sp.Sum(v[j] * sp.tanh(z[i, j] * u[j]), (j, 1, d)) - y[i], noise=AnyNoise()),
        {},
    ),
    "z tanh(uv), dense": (family(sp.Sum(z[i, j] * sp.tanh(u[j] * v[j]), (j, 1, d)) - y[i], noise=AnyNoise()), {}),
}


class Member:
    """A family at one size, with a point of Γ: y is what the sum is at rational parameters, or Newton steps lead there."""

    def __init__(self, stated, constants, size, seed=0):
        self.family, self.size = stated, size
        rng = np.random.default_rng([seed, *size])
        samples, coordinates = size
        self.x = [rng.integers(3, 12, coordinates) / 8 for _ in stated.parameters]
        names = {str(a.base.label) for a in stated.data}
        matrix = rng.integers(-4, 5, size)
        while np.linalg.matrix_rank(matrix) < min(size):
            matrix = rng.integers(-4, 5, size)
        self.constants = constants
        self.data = {"z": matrix / 2}
        if "q" in names:
            places = {a.indices for a in stated.data if str(a.base.label) == "q"}
            self.data["q"] = rng.integers(1, 8, coordinates if (j,) in places else samples) / 8
        if "y" in names:
            self.data["y"] = self.plain_sum()
        functions = self.arrays()
        for _ in range(12):
            self.x = list(functions.corrected(*self.x))
        self.sigma = (
            rng.integers(-3, 4, (coordinates * len(stated.parameters), 3))
            if isinstance(stated.noise, AnyNoise)
            else None
        )

    def plain_sum(self):
        """Σ_j φ at the point, in float64; residuals are what is left of it."""
        symbols = [*(base[j] for base in self.family.parameters), z[i, j], q[j], *self.family.constants]
        values = [*self.x, self.data["z"], self.data.get("q", 0), *self.constants.values()]
        stand_ins = [sp.Dummy() for _ in symbols]
        phi = self.family.summand.xreplace(dict(zip(symbols, stand_ins, strict=True)))
        return sp.lambdify(stand_ins, phi)(*values).sum(axis=1)

    @property
    def rows(self):
        if self.sigma is None:
            return {}
        blocks = np.split(self.sigma.astype(float), len(self.x))
        return {"sigma": blocks}

    def arrays(self):
        return derive_limiting_sde(self.family).lambdify(**self.data, **self.constants)

    def problem(self):
        """The explicit problem."""
        exact = {
            name: np.vectorize(lambda a: sp.Rational(float(a)), otypes=[object])(array)
            for name, array in self.data.items()
        }
        sigma = None if self.sigma is None else sp.Matrix(self.sigma.tolist())
        return self.family.problem(**exact, **{k: sp.Integer(c) for k, c in self.constants.items()}, sigma=sigma)

    def explicit(self):
        return derive_limiting_sde(self.problem())
