"""Writes docs/models.md: the named models with their residuals, R, and what it means, `python docs/models.py`.

A further model is a further file of `symbolic_sgd.models.named`. Every formula is printed by the derived SDE.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix

from symbolic_sgd import derive_limiting_sde, models
from symbolic_sgd.api.matrix_family_sde import MatrixFamilySDE
from symbolic_sgd.models.meanings import MEANINGS
from symbolic_sgd.tensors.formula import MatrixFormula

PAGE = Path(__file__).with_suffix(".md")


def _product(*factors: Any) -> Any:
    return sp.MatMul(*factors)


def _decomposition(u: Any, v: Any, w: Any) -> Any:
    a, b, c, q = sp.symbols("a b c q", integer=True)
    return sp.Sum(u[a, q] * v[b, q] * w[c, q], (q, 1, u.shape[1]))


PREDICTORS: dict[str, Callable[..., Any]] = {
    "matrix_sensing": lambda u, v: u * v.T,
    "matrix_completion": lambda u, v: u * v.T,
    "full_factorization": lambda u, v: u * v.T,
    "symmetric_sensing": lambda x: x * x.T,
    "low_rank_adaptation": _product,
    "deep_linear_network": _product,
    "gated_network": lambda a, w: DiagMatrix(a) * w,
    "bilinear_attention": lambda k, q: k.T * q,
    "cp_decomposition": _decomposition,
    "difference_of_squares": lambda u, v: sp.HadamardProduct(u, u) - sp.HadamardProduct(v, v),
    "diagonal_network": sp.HadamardProduct,
    "group_network": lambda u, v: DiagMatrix(u) * v,
    "softmax_regression": _product,
}
"""F of the parameters, for the models whose least R on the fibres of F is known for every size."""

LEAST = {
    "matrix_sensing": "a nuclear norm, weighted on both sides by what the measurements see",
    "matrix_completion": "the weighted trace norm: with unit vectors $C$ and $B$ hold the counts of rows and columns",
    "full_factorization": "the nuclear norm",
    "symmetric_sensing": "linear, since $R$ is constant on the fibres",
    "low_rank_adaptation": "the nuclear norm of what is added, along the inputs",
    "deep_linear_network": "a power of a nuclear norm, and no Schatten quasi-norm",
    "gated_network": "a path norm, weighted by the inputs that a unit is active for",
    "bilinear_attention": "a nuclear norm of the product of keys and queries",
    "cp_decomposition": "a sum of powers of the weights of its terms",
    "difference_of_squares": "a weighted $\\ell_1$ norm",
    "diagonal_network": "a sum of powers $4/3$",
    "group_network": "the group lasso, in the metric of each group",
    "softmax_regression": "a nuclear norm in metrics that the predicted classes make",
}
"""What R̂ is, in a few words."""


def page() -> str:
    """The page as it is written."""
    return "\n".join([*_head(), *(line for name in MEANINGS for line in _section(name))])


def _head() -> Iterator[str]:
    yield """# Models of every size

What label noise regularizes in models as papers write them, for any number of samples and any widths. Each is a function of
`symbolic_sgd.models`; below it stand its residual and $R = \\frac14\\,\\mathrm{tr}\\,\\nabla^2L$ (for labels $\\pm1$; for the last
model for classes that are drawn anew). The limit is $\\dot\\theta = -\\nabla R + \\sum_i\\lambda_i\\nabla f_i$, with the multipliers
that keep it on $\\Gamma$.

`symbolic-sgd gallery --models` prints the same on a terminal. All formulas are printed by `python docs/models.py`. The tests read
them back, compare them with array code, and that with the theorem by automatic differentiation.

```python
import numpy as np
import sympy as sp
from symbolic_sgd import LabelNoise, MatrixFamily, derive_limiting_sde, verify

n, d1, d2, r = sp.symbols("n d1 d2 r", integer=True, positive=True)
U, V, A = sp.MatrixSymbol("U", d1, r), sp.MatrixSymbol("V", d2, r), sp.MatrixSymbol("A", d1, d2)
y = sp.Symbol("y")
family = MatrixFamily(residual=sp.Trace(A.T*U*V.T) - y, parameters=(U, V), data=(A, y), samples=n, noise=LabelNoise(1))
sde = derive_limiting_sde(family)
print(sde.regularizer)                  # 1/(4 n) Σ_i (‖A_i V‖² + ‖A_iᵀ U‖²)
print(sde.drift[U])                     # Σ_i λ_i A_i V − 1/(2 n) Σ_i A_i A_iᵀ U
print(sde.definitions[0])               # λ = G†J∇R, G = JJᵀ
print(verify(sde).passed)               # True

data = np.eye(3)[None] + np.arange(18).reshape(2, 3, 3) % 4
left, right = np.ones((3, 1)), np.array([[1.0], [0], [2]])
functions = sde.lambdify(A=data, y=np.einsum("iab,ak,bk->i", data, left, right))
print(functions.regularizer(left, right))   # 45.25
```

Vectors are columns `MatrixSymbol("x", d, 1)`; data carry the index of the sample as their first axis; `outputs=` takes the place of
`residual=` where targets are compared with, and `loss=CrossEntropy()` makes classes of them. What has three indices is written with
`Sum` and `Indexed` (see `cp_decomposition`). Inverses, determinants and eigenvalues are refused; a ReLU is stated in one cell of its
activations, with its slopes as data.

Where a limit without noise ends depends on the function that is learnt: `sde.induced_regularizer(F)` is
$\\hat R(\\beta) = \\inf\\{R(\\theta): F(\\theta) = \\beta\\}$ in closed form, for every size, where it is recognised and proved; the
letters that stand for data are in `.quantities`.

```python
found = sde.induced_regularizer(U*V.T)
print(found.expression)                 # ‖C^½ beta B^½‖_*/(2*n)
print(found.quantities[0])              # C = Σ_i A_i A_iᵀ
print(found.attainment.kind)            # conditional
print(found.value(left @ right.T, A=data).n(6))   # 45.1144
```

Other optimizers have other limits: `optimizer=` takes SGD, HeavyBall, Nesterov, LocalSGD and ColouredNoise, with weight decay, batches,
and at a learning rate that stays (SGD also on batches, whose second moments are those of a random map). RMSprop and Adam are there with second moments that have
settled. `simulate_family_sgd` runs SGD itself on the same arrays.

```python
from symbolic_sgd import SGD, HeavyBall, RMSprop, simulate_family_sgd

ball = derive_limiting_sde(family, optimizer=HeavyBall(momentum=0.5, weight_decay=2))
print(ball.time_unit)                   # 4*eta**2
print(ball.drift[U])                    # Σ_i λ_i A_i V − 1/(2 n) Σ_i A_i A_iᵀ U − 2 U
full = MatrixFamily(residual=family.residual, parameters=(U, V), data=(A, y), samples=n, noise=LabelNoise(1, batch_size=n))
stays = derive_limiting_sde(full, optimizer=SGD(learning_rate=sp.Rational(1, 4)))
print(stays.where[1])                   # ζ = (1/n)K h(GK), h(μ) = 4/(8 - μ) for the eigenvalues μ > 0, K = 1/n
draws = derive_limiting_sde(family, optimizer=SGD(learning_rate=sp.Rational(1, 4)))
print(draws.where[1].text.partition(", ")[2].partition(", D")[0])     # KGZ + ZGK − ηK(α n D + (1 − α) GZG)K = K
print(sde.settled_moments(RMSprop(second_moment_rate=1)).drift[U])   # Σ_i λ_i S_U ∘ A_i V − 1/(2 n) Σ_i S_U ∘ A_i (S_V ∘ A_iᵀ U)
run = simulate_family_sgd(functions, (left, right), learning_rate=0.001, steps=200, replicas=5, rng=0)
print(run.final[0].shape)               # (5, 3, 1)
```

Where an index of a parameter is summed with one of another parameter only, differences such as $U^\\top U - V^\\top V$ are conserved
by the gradient flow;
`sde.charges` has their laws in the limit:

```python
print(sde.charges[0])                   # q = Uᵀ U − Vᵀ V,  drift 1/n Σ_i (Vᵀ A_iᵀ A_i V − Uᵀ A_i A_iᵀ U)
```"""


def _section(name: str) -> Iterator[str]:
    sde = derived(name)
    residual = sde.residual.latex()
    yield f"\n## `{name}`\n"
    yield MEANINGS[name]
    yield f"\n$$f = {residual}$$\n"
    yield f"$$R = {sde.regularizer.latex()}$$"
    if name in PREDICTORS:
        predictor = PREDICTORS[name](*sde.family.parameters)
        written = MatrixFormula(*sde.family.read(predictor, ("a", "b"))).latex()
        yield f"\nThe least $R$ for $\\beta = {written}$ is {LEAST[name]}:\n"
        yield f"$$\n{sde.induced_regularizer(predictor).latex()}\n$$"


def derived(name: str) -> MatrixFamilySDE:
    """The SDE of a model with its own noise."""
    return derive_limiting_sde(getattr(models, name)())


if __name__ == "__main__":
    PAGE.write_text(page() + "\n", encoding="utf-8")
