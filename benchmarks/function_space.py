"""R̂ of the models of the literature, found by derive_limiting_sde(…).induced_regularizer(…), beside numeric minima on fibres.

    python benchmarks/function_space.py [NAME …] [--values 10] [--starts 8]

A row a model and a size: seconds of the derivation and of R̂, the formula, its evidence, and the largest relative difference from the
least of so many descents at random β. Where the infimum is not attained, descents do not end, and the difference is that of where they
stopped.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, RMSprop, SymbolicSGDError, derive_limiting_sde

Symbols = Sequence[sp.Symbol]


@dataclass(frozen=True)
class Row:
    """A model: its predictor, what its samples see of it, and how it is trained."""

    name: str
    predictor: Any
    outputs: Sequence[Any]
    parameters: Symbols
    noise: Any = field(default_factory=lambda: LabelNoise(1))
    optimizer: Any = None
    domain: tuple[Any, ...] = ()

    def problem(self) -> Problem:
        """Least squares with labels that a random rational point fits."""
        rng = np.random.default_rng(0)
        positive = {next(iter(c.free_symbols)) for c in self.domain}
        at: dict[Any, Any] = {}
        for p in self.parameters:
            size = sp.Rational(int(rng.integers(3, 9)), 4)
            at[p] = size if p in positive else size * int(rng.choice([-1, 1]))
        residuals = [sp.sympify(o) - sp.sympify(o).xreplace(at) for o in self.outputs]
        return Problem.least_squares(
            residuals, parameters=tuple(self.parameters), noise=self.noise, near=at, domain=self.domain
        )


def letters(name: str, count: int) -> Symbols:
    return sp.symbols(f"{name}1:{count + 1}")


def matrix_of(name: str, rows: int, cols: int) -> Any:
    return sp.Matrix(rows, cols, letters(name, rows * cols))


def data(rng: np.random.Generator, *shape: int) -> Any:
    """Small whole numbers without zeros, so that no entry is unseen."""
    entries = rng.choice([-2, -1, 1, 2], size=shape)
    return sp.Matrix(*shape, [int(e) for e in entries.ravel()])


def mixed(weights: Any, predictor: Sequence[Any]) -> list[Any]:
    return list(weights * sp.Matrix(list(predictor)))


def coordinates() -> Iterator[Row]:
    """Models coordinate by coordinate."""
    rng = np.random.default_rng(3)
    for count, samples in ((2, 1), (4, 3)):
        u, v, w = letters("u", count), letters("v", count), letters("w", count)
        z = data(rng, samples, count)
        products = [a * b for a, b in zip(u, v, strict=True)]
        triples = [a * b * c for a, b, c in zip(u, v, w, strict=True)]
        settled = RMSprop(second_moment_rate=1)
        yield Row(f"u∘v, {count}", products, mixed(z, products), (*u, *v))
        yield Row(
            f"u∘v under settled second moments, {count}", products, mixed(z, products), (*u, *v), optimizer=settled
        )
        yield Row(f"u∘v, isotropic, {count}", products, mixed(z, products), (*u, *v), IsotropicNoise(1))
        yield Row(f"u∘v∘w, {count}", triples, mixed(z, triples), (*u, *v, *w))
        yield Row(
            f"u∘v∘w under settled second moments, {count}", triples, mixed(z, triples), (*u, *v, *w), optimizer=settled
        )
        squares = [a**2 - b**2 for a, b in zip(u, v, strict=True)]
        yield Row(f"u² − v², {count}", squares, mixed(z, squares), (*u, *v))
        powers = [a**2 * b for a, b in zip(u, v, strict=True)]
        yield Row(f"u²v, {count}", powers, mixed(z, powers), (*u, *v))
    u, v, w = sp.symbols("u v w")
    yield Row("u³ − v³, signs free", [u**3 - v**3], [u**3 - v**3], (u, v))
    yield Row("u³ − v³, u, v > 0", [u**3 - v**3], [u**3 - v**3], (u, v), domain=(u > 0, v > 0))
    yield Row("uv + w³", [u * v + w**3], [u * v + w**3], (u, v, w))
    for copies in (1, 3):
        x = letters("x", 3 * copies)
        output = sp.Add(*[sp.Mul(*x[3 * k : 3 * k + 3]) for k in range(copies)])
        yield Row(f"copies of uvw, {copies}", [output], [output], x)


def matrices() -> Iterator[Row]:
    """Products of matrices."""
    rng = np.random.default_rng(4)
    for d1, d2 in ((2, 2), (3, 2)):
        u, v = matrix_of("u", d1, 2), matrix_of("v", d2, 2)
        product, both = u * v.T, (*u, *v)
        yield Row(f"UVᵀ in full, {d1}×{d2}", product, list(product), both)
        yield Row(
            f"UVᵀ in full under settled second moments, {d1}×{d2}",
            product,
            list(product),
            both,
            optimizer=RMSprop(second_moment_rate=1),
        )
        yield Row(f"UVᵀ sensed, {d1}×{d2}", product, [(data(rng, d1, d2).T * product).trace() for _ in range(3)], both)
        seen = [product[i, j] for i in range(d1) for j in range(d2) if (i, j) != (0, 1)]
        yield Row(f"completion, {d1}×{d2}", product, seen, both)
        inputs = [data(rng, d2, 1) for _ in range(2)]
        yield Row(f"LoRA, {d1}×{d2}", product, [e for x in inputs for e in product * x], both)
        pairs = [(data(rng, 1, d1), data(rng, d2, 1)) for _ in range(3)]
        yield Row(f"KᵀQ, {d1}×{d2}", product, [(a * product * b)[0, 0] for a, b in pairs], both)
    for count in (2, 3):
        x = matrix_of("x", 2, count)
        output = x * x.T
        yield Row(f"XXᵀ, {count}", output, [(data(rng, 2, 2) * output).trace()], tuple(x))
    for count in (2, 4):
        x = matrix_of("x", count, 2)
        output = x.T * sp.diag(*[(-1) ** k for k in range(count)]) * x
        inputs = [data(rng, 2, 1) for _ in range(2)]
        yield Row(f"WᵀDW, {count}", output, [(z.T * output * z)[0, 0] for z in inputs], tuple(x))
    for depth in (3, 4):
        factors = [matrix_of(name, 2, 2) for name in "abcd"[:depth]]
        product = sp.eye(2)
        for factor in factors:
            product = factor * product
        entries = tuple(e for factor in factors for e in factor)
        yield Row(f"{depth} factors in full", product, list(product), entries)
        if depth == 3:
            inputs = [data(rng, 2, 1) for _ in range(2)]
            yield Row("3 factors on inputs", product, [e for x in inputs for e in product * x], entries)


def others() -> Iterator[Row]:
    """Tensors, groups, neurons, convolutions, normalised weights."""
    rng = np.random.default_rng(5)
    for sizes in ((2, 2, 2), (2, 2, 3)):
        a, b, c = (letters(name, size) for name, size in zip("abc", sizes, strict=True))
        tensor = [x * y * z for x in a for y in b for z in c]
        yield Row(f"a⊗b⊗c in full, {sizes}", tensor, tensor, (*a, *b, *c))
    for groups in (1, 2):
        u, v = letters("u", groups), matrix_of("v", groups, 2)
        entries = [u[g] * v[g, j] for g in range(groups) for j in range(2)]
        yield Row(f"groups, {groups}", entries, mixed(data(rng, 2, 2 * groups), entries), (*u, *v))
    for count in (2, 3):
        a, w = letters("a", count), matrix_of("w", count, 2)
        entries = [a[k] * w[k, j] for k in range(count) for j in range(2)]
        active = [[k != i % count or count == 1 for k in range(count)] for i in range(2)]
        inputs = [data(rng, 2, 1) for _ in range(2)]
        outputs = [
            sum(a[k] * (w[k, :] * x)[0, 0] for k in range(count) if on[k]) for x, on in zip(inputs, active, strict=True)
        ]
        yield Row(f"ReLU neurons in a cell, {count}", entries, outputs, (*a, *w))
    for d in (2, 3):
        w, a = letters("w", d), sp.Symbol("a")
        entries = [a * w[i] * w[j] for i in range(d) for j in range(i, d)]
        inputs = [data(rng, 1, d) for _ in range(2)]
        yield Row(f"a(w·x)², {d}", entries, [a * (x * sp.Matrix(w))[0, 0] ** 2 for x in inputs], (a, *w))
        u, v = sp.symbols(f"u0:{d}"), sp.symbols(f"v0:{d}")
        circular = [sum(u[i] * v[(k - i) % d] for i in range(d)) for k in range(d)]
        yield Row(f"circular convolution, {d}", circular, circular, (*u, *v))
        g, norm = sp.Symbol("g"), sp.sqrt(sp.Add(*[x**2 for x in w]))
        direction = [g * x / norm for x in w]
        yield Row(f"weight normalisation, {d}", direction, mixed(data(rng, 1, d), direction), (g, *w))
    u, v = letters("u", 5), letters("v", 3)
    outer = [a * b for a in u for b in v]
    yield Row("rank one 5×3, isotropic", outer, outer, (*u, *v), IsotropicNoise(1))


def measured(row: Row, values: int, starts: int) -> str:
    """What is found of a model, in lines."""
    begin = time.process_time()
    sde = (
        derive_limiting_sde(row.problem(), optimizer=row.optimizer)
        if row.optimizer
        else derive_limiting_sde(row.problem())
    )
    derived = time.process_time()
    found = sde.induced_regularizer(row.predictor)
    seconds = f"{derived - begin:.1f} + {time.process_time() - derived:.1f} s"
    head = f"{row.name}: {found.expression if found.expression is not None else 'no closed form'}"
    lines = [head, f"    {found.evidence}; {found.attainment.kind}; {seconds}"]
    if found.expression is not None and found.expression != -sp.oo:
        rng = np.random.default_rng(5)
        worst = 0.0
        for _ in range(values):
            point = {p: rng.standard_normal() for p in row.parameters}
            point |= {p: sign * abs(point[p]) for p, sign in found.fibres.signs.items()}
            beta = [float(sp.sympify(f).xreplace(point)) for f in found.predictor]
            closed = float(found.value(beta))
            numeric = found.numeric(beta, starts=starts, rng=1).value
            worst = max(worst, abs(numeric - closed) / abs(closed))
        lines.append(f"    numeric minima differ by {worst:.1e} at most, at {values} β")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of the names of the rows that are wanted")
    parser.add_argument("--values", type=int, default=10)
    parser.add_argument("--starts", type=int, default=8)
    options = parser.parse_args()
    for rows in (coordinates(), matrices(), others()):
        for row in rows:
            if not options.names or any(name in row.name for name in options.names):
                try:
                    print(measured(row, options.values, options.starts), flush=True)
                except SymbolicSGDError as error:
                    print(f"{row.name}: {type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    main()
