"""What a person would write, measured: structural formulas against the program, their sizes, and R.

    python benchmarks/structure.py agreement [--losses 100]   # structural form and program on the gallery and on random losses
    python benchmarks/structure.py sizes [--only WORD]        # operations of the drift by entries and in vectors; R, and in which time
    python benchmarks/structure.py expanded                   # losses multiplied out beside the same losses as squares

`agreement` evaluates both at the points of each derivation at 120 digits, and prints the largest difference beside the
largest entry of its term; the random losses are those of tests/helpers/random_losses.py, by seed. `sizes` states R as it is
printed, beside the operations of ¼ tr ∇²L as it comes, and gives each search SECONDS. `expanded` compares the operations of
every term, and R, of L as a sum of squares and as a sum of monomials. Each takes a few minutes.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sympy as sp

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from random_losses import random_loss  # noqa: E402

from symbolic_sgd import IsotropicNoise, LabelNoise, Problem, derive_limiting_sde  # noqa: E402
from symbolic_sgd.algebra.as_read import ReadersText  # noqa: E402
from symbolic_sgd.algebra.graph import Graph  # noqa: E402
from symbolic_sgd.algebra.precision import mp  # noqa: E402
from symbolic_sgd.api.limiting_sde import LimitingSDE  # noqa: E402
from symbolic_sgd.errors import ExpressionTooLarge, SymbolicSGDError, Undecided  # noqa: E402
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint  # noqa: E402
from symbolic_sgd.problems.problem_file import read_problem  # noqa: E402
from symbolic_sgd.theorem.canonical import shared_operations, shortest_program, written  # noqa: E402

SECONDS = 5.0
"""Processor seconds within which R is asked for."""

DIGITS = 50

SHOWN = 300
"""Characters of R that are printed."""


# --- structural form and program ---------------------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """Of one problem.

    Args:
        by_functions: whether the lines are those in f_i, not the theorem's own in ∇²L.
        error: the largest difference of an entry of a term, beside the largest entry of that term.
        seconds: of processor time for the structural form.
    """

    by_functions: bool
    error: Any
    seconds: float


def agreement_of(sde: LimitingSDE) -> Agreement:
    """The structural form beside the program, at every point of the derivation."""
    start = time.process_time()
    formulas = sde.structure
    seconds = time.process_time() - start
    terms = {line.name.name: line.term for line in formulas.lines if line.term is not None}
    program = sde.program.on(Graph())
    error = mp.mpf(0)
    for assignment in sde.derivation.points:
        point = PrecisePoint(assignment)
        with mp.workdps(HIGH):
            values = formulas.evaluate({s: mp.mpf(a) for s, a in assignment.items()})
            for name, term in terms.items():
                true = point.high(program[term].entries)
                size = max(map(abs, true))
                differs = max(abs(a - b) for a, b in zip(values[name], true, strict=True))
                error = max(error, differs / size if size > mp.mpf(10) ** -DIGITS else differs)
    return Agreement(formulas.hessian is not None, error, seconds)


def problems_of_agreement(losses: int) -> Iterator[tuple[str, Callable[[], Problem]]]:
    """The gallery's problems, and random losses."""
    for file in sorted((ROOT / "derivations").glob("*.toml")):
        yield file.stem, lambda file=file: read_problem(file)
    for seed in range(losses):
        yield f"random loss {seed}", lambda seed=seed: stated(seed)


def stated(seed: int) -> Problem:
    """A random loss; one of two without its equations, so that Γ has to be found."""
    drawn = random_loss(seed)
    known = {} if drawn.hidden else {"manifold": drawn.equations}
    return Problem(loss=drawn.loss, parameters=drawn.parameters, noise=drawn.sigma, near=drawn.near, **known)


def agreement(losses: int) -> None:
    found: list[Agreement] = []
    worst: list[str] = []
    refused: list[str] = []
    for name, problem in problems_of_agreement(losses):
        try:
            sde = derive_limiting_sde(problem())
        except SymbolicSGDError as error:
            refused.append(f"{name}: {type(error).__name__}")
            continue
        found.append(agreement_of(sde))
        if found[-1].error > mp.mpf(10) ** -DIGITS:
            worst.append(f"{name}: {mp.nstr(found[-1].error, 3)}")
    seconds = sorted(one.seconds for one in found)
    print(f"{len(found)} problems derived, {len(refused)} refused {refused or ''}")
    print(f"in f_i: {sum(one.by_functions for one in found)}; in ∇²L: {sum(not one.by_functions for one in found)}")
    print(f"agree to {DIGITS} digits: {len(found) - len(worst)}; do not: {worst or 'none'}")
    print(f"largest difference {mp.nstr(max(one.error for one in found), 3)}")
    print(f"processor seconds: median {statistics.median(seconds):.2f}, largest {seconds[-1]:.2f}")


# --- sizes, and R ------------------------------------------------------------------------------


def softmax(classes: int) -> Problem:
    """Logits u_k v_k; labels are redrawn with probabilities proportional to 1, 2, …"""
    us, vs = sp.symbols(f"u1:{classes + 1}"), sp.symbols(f"v1:{classes + 1}")
    logits = [a * b for a, b in zip(us, vs, strict=True)]
    total = sp.log(sum(map(sp.exp, logits)))
    weights = [sp.Rational(2 * k, classes * (classes + 1)) for k in range(1, classes + 1)]
    return Problem.from_sample_losses([total - f for f in logits], parameters=(*us, *vs), weights=weights)


def poisson() -> Problem:
    """Log-rates u ⊙ v on two samples of three features, and counts redrawn."""
    us, vs = sp.symbols("u1:4"), sp.symbols("v1:4")
    counts, samples = (2, 3), ((1, -1, 1), (1, 1, 2))
    rates = [sum(z * a * b for z, a, b in zip(row, us, vs, strict=True)) for row in samples]
    loss = sum(sp.exp(f) - y * f for f, y in zip(rates, counts, strict=True))
    sigma = sp.Matrix(6, 2, lambda i, j: sp.sqrt(counts[j]) * sp.diff(rates[j], (*us, *vs)[i]))
    return Problem(loss=loss, parameters=(*us, *vs), noise=sigma)


def two_linear_neurons(noise: Any) -> Problem:
    """a_1 w_1ᵀz + a_2 w_2ᵀz on four samples of the function z_1 + 2z_2."""
    a1, a2, b1, b2, c1, c2 = names = sp.symbols("a1 a2 b1 b2 c1 c2")
    samples = ((1, 0), (0, 1), (1, 1), (1, -1))
    residuals = [(a1 * b1 + a2 * b2) * z + (a1 * c1 + a2 * c2) * w - (z + 2 * w) for z, w in samples]
    return Problem.least_squares(residuals, parameters=names, noise=noise)


def bernoulli_mixture() -> Problem:
    """Two coins, tossed twice: πB(2, p) + (1 − π)B(2, q), and outcomes redrawn with probabilities 3/8, 1/4, 3/8."""
    share, p, q = names = sp.symbols("pi p q")
    heads = [
        sp.binomial(2, k) * (share * p**k * (1 - p) ** (2 - k) + (1 - share) * q**k * (1 - q) ** (2 - k))
        for k in range(3)
    ]
    weights = [sp.Rational(3, 8), sp.Rational(1, 4), sp.Rational(3, 8)]
    inside = [bound for x in names for bound in (x > 0, x < 1)]
    near = {share: sp.Rational(1, 2), p: sp.Rational(3, 4), q: sp.Rational(1, 4)}
    return Problem.from_sample_losses(
        [-sp.log(h) for h in heads], parameters=names, weights=weights, domain=inside, near=near
    )


def factorisation(noise: Any, *, squared: bool) -> Problem:
    """u_i v_j = y_ij of rank one, 2×3, or u_i²v_j² = y_ij, in which factors are not negative."""
    us, vs = sp.symbols("u1:3"), sp.symbols("v1:4")
    power = 2 if squared else 1
    residuals = [a**power * b**power - (i + 1) * (j + 1) for i, a in enumerate(us) for j, b in enumerate(vs)]
    return Problem.least_squares(residuals, parameters=(*us, *vs), noise=noise)


def autoencoder(noise: Any) -> Problem:
    """w vᵀ on data along one direction z: w (vᵀz) = z."""
    ws, vs, z = sp.symbols("w1:4"), sp.symbols("v1:4"), (1, 2, 2)
    code = sum(a * b for a, b in zip(vs, z, strict=True))
    return Problem.least_squares([w * code - b for w, b in zip(ws, z, strict=True)], parameters=(*ws, *vs), noise=noise)


def tied_autoencoder(size: int, noise: Any) -> Problem:
    """WWᵀ = I: the orbit of I under rotations and a reflection."""
    w = sp.Matrix(size, size, sp.symbols(f"w1:{size * size + 1}"))
    gap = w * w.T - sp.eye(size)
    residuals = [gap[i, j] for i in range(size) for j in range(i + 1)]
    return Problem.least_squares(residuals, parameters=tuple(w), noise=noise)


def swish_network(noise: Any) -> Problem:
    """a·s(wz) + b·s(vz) for s(x) = x/(1 + e⁻ˣ), on two samples."""
    a, w, b, v = names = sp.symbols("a w b v")
    swish = lambda x: x / (1 + sp.exp(-x))  # noqa: E731
    residuals = [a * swish(z * w) + b * swish(z * v) - y for z, y in ((1, 1), (2, sp.Rational(3, 2)))]
    return Problem.least_squares(residuals, parameters=names, noise=noise)


def attention(noise: Any) -> Problem:
    """Softmax attention with one query on two tokens: scores q·k_j, values c_j."""
    q1, q2, k1, k2, c1, c2 = names = sp.symbols("q1 q2 k1 k2 c1 c2")
    first, second = sp.exp(q1 * k1), sp.exp(q2 * k2)
    output = (c1 * first + c2 * second) / (first + second)
    near = {q1: 1, q2: sp.Rational(1, 2), k1: 0, k2: 0, c1: 0, c2: 2}
    return Problem.least_squares([output - 1], parameters=names, noise=noise, near=near)


def weight_normalisation(noise: Any) -> Problem:
    """g·vᵀz/‖v‖, on two samples."""
    g, v1, v2 = names = sp.symbols("g v1 v2")
    residuals = [g * (x * v1 + y * v2) / sp.sqrt(v1**2 + v2**2) - t for x, y, t in ((1, 0, 3), (0, 1, 4))]
    return Problem.least_squares(residuals, parameters=names, noise=noise)


def batch_normalisation(noise: Any) -> Problem:
    """γ(wᵀz_i − mean)/deviation + β, on a batch of four."""
    gamma, beta, w1, w2 = names = sp.symbols("gamma beta w1 w2")
    outputs = [w1 * x + w2 * y for x, y in ((1, 2), (1, -2), (-1, 1), (-1, -1))]
    mean = sp.expand(sum(outputs) / 4)
    deviation = sp.sqrt(sp.expand(sum((z - mean) ** 2 for z in outputs) / 4))
    residuals = [gamma * (z - mean) / deviation + beta - y for z, y in zip(outputs, (2, 2, 0, 0), strict=True)]
    near = {gamma: 1, beta: 1, w1: 1, w2: 0}
    return Problem.least_squares(residuals, parameters=names, noise=noise, near=near)


LABEL, ISOTROPIC = LabelNoise(1), IsotropicNoise(1)


def dense(dimension: int) -> sp.Matrix:
    return sp.Matrix(dimension, 2, lambda i, j: sp.Rational((3 * i + 2 * j) % 7 - 3, 2))


SIZED: dict[str, Callable[[], Problem]] = {
    "softmax, 2 classes": lambda: softmax(2),
    "softmax, 3 classes": lambda: softmax(3),
    "softmax, 4 classes": lambda: softmax(4),
    "Poisson": poisson,
    "two linear neurons, label": lambda: two_linear_neurons(LABEL),
    "two linear neurons, isotropic": lambda: two_linear_neurons(ISOTROPIC),
    "Bernoulli mixture": bernoulli_mixture,
    "rank one, label": lambda: factorisation(LABEL, squared=False),
    "rank one, isotropic": lambda: factorisation(ISOTROPIC, squared=False),
    "rank one, dense": lambda: factorisation(dense(5), squared=False),
    "rank-one NMF, label": lambda: factorisation(LABEL, squared=True),
    "rank-one NMF, isotropic": lambda: factorisation(ISOTROPIC, squared=True),
    "autoencoder, label": lambda: autoencoder(LABEL),
    "autoencoder, isotropic": lambda: autoencoder(ISOTROPIC),
    "tied autoencoder 2, label": lambda: tied_autoencoder(2, LABEL),
    "tied autoencoder 2, isotropic": lambda: tied_autoencoder(2, ISOTROPIC),
    "tied autoencoder 2, dense": lambda: tied_autoencoder(2, dense(4)),
    "swish network, label": lambda: swish_network(LABEL),
    "attention, label": lambda: attention(LABEL),
    "weight normalisation, label": lambda: weight_normalisation(LABEL),
    "weight normalisation, isotropic": lambda: weight_normalisation(ISOTROPIC),
    "batch normalisation, label": lambda: batch_normalisation(LABEL),
    "batch normalisation, isotropic": lambda: batch_normalisation(ISOTROPIC),
    "tied autoencoder 3, isotropic": lambda: tied_autoencoder(3, ISOTROPIC),
}


def size_by_entries(sde: LimitingSDE) -> str:
    """Operations of the drift, written out; in a program (with ~) where it is too large for that."""
    try:
        return str(written(sde.derivation, "drift").operations)
    except ExpressionTooLarge:
        return f"~{shortest_program(sde.derivation, 'drift').operations}"


def size_in_vectors(sde: LimitingSDE) -> tuple[int, int]:
    """Operations of the vectors and matrices that the lines are made of, and the lines."""
    entries = [e for name in sde.structure.entries.names for e in sde.structure.entries.expand(name)]
    return shared_operations(entries), len(sde.structure.lines)


def trace_as_it_comes(sde: LimitingSDE) -> str:
    """Operations of ¼ tr ∇²L, differentiated entry by entry, for label noise; nothing is known to vanish."""
    if sde.derivation.proportion is None:
        return "-"
    problem = sde.problem
    trace = sp.Add(*(sp.diff(problem.loss, x, 2) for x in problem.parameters)) / 4
    return str(shared_operations([trace]))


def regularizer_of(sde: LimitingSDE) -> tuple[str, str]:
    """R in words, and operations."""
    try:
        found = sde.find_regularizer(seconds=SECONDS)
    except (Undecided, ExpressionTooLarge) as error:
        return type(error).__name__, "-"
    if found.expression is None:
        return "none", "-"
    text = ReadersText().written(found.expression)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …", str(shared_operations([found.expression]))


def sizes(only: str) -> None:
    print(
        f"{'problem':<31}{'D':>3}{'M':>3}{'derived s':>10}{'entries':>10}{'vectors':>8}{'lines':>6}{'R s':>7}{'¼tr∇²L':>8}{'R ops':>6}  R"
    )
    for name, problem in SIZED.items():
        if only not in name:
            continue
        start = time.process_time()
        try:
            sde = derive_limiting_sde(problem())
        except SymbolicSGDError as error:
            print(f"{name:<31} {type(error).__name__}: {error}", flush=True)
            continue
        derived = time.process_time() - start
        start = time.process_time()
        text, count = regularizer_of(sde)
        seconds = time.process_time() - start
        d, m = sde.problem.dimension, sde.derivation.codimension
        vectors, lines = size_in_vectors(sde)
        sizes_of = (
            f"{size_by_entries(sde):>10}{vectors:>8}{lines:>6}{seconds:>7.1f}{trace_as_it_comes(sde):>8}{count:>6}"
        )
        print(f"{name:<31}{d:>3}{m:>3}{derived:>10.1f}{sizes_of}  {text}", flush=True)


# --- losses that are multiplied out --------------------------------------------------------------


def squares() -> Iterator[tuple[str, Sequence[Any], Sequence[sp.Symbol], Any]]:
    """Ten sums of squares, with their noise."""
    u, v, w, x, y = sp.symbols("u v w x y")
    half = sp.Rational(1, 2)
    yield "hyperbola, isotropic", [u * v - half], (u, v), ISOTROPIC
    yield "hyperbola, label", [u * v - 1], (u, v), sp.Matrix([v, u])
    yield "ellipse, dense", [u**2 + 3 * v**2 - 4], (u, v), dense(2)
    yield "quadric, dense", [u * v + w**2 - 1], (u, v, w), sp.Matrix(3, 2, [1, u, v, 2, w, 1])
    yield "product of three, isotropic", [u * v * w - 1], (u, v, w), ISOTROPIC
    yield "two squares, isotropic", [u * v - 1, w * x - 2], (u, v, w, x), ISOTROPIC
    yield "two linked squares, dense", [u * v - 1, v * w - 2], (u, v, w), dense(3)
    yield "cubic, label", [u**2 * v - 1], (u, v), sp.Matrix([2 * u * v, u**2])
    yield "linear model, isotropic", [u**2 - v**2 + w**2 - x**2 - 1], (u, v, w, x), ISOTROPIC
    yield "rank one, isotropic", [u * x - 1, u * y - 2, v * x - 2, v * y - 4], (u, v, x, y), ISOTROPIC


TERMS = ("tangent_projection", "hessian_pinv", "lyapunov_solution", "tangent_noise", "drift")


def shown(problem: Problem) -> tuple[dict[str, Any], int]:
    """What is printed of a problem, and its size."""
    sde = derive_limiting_sde(problem)
    matrices = {}
    for term in TERMS:
        try:
            matrices[term] = sde.term(term)
        except ExpressionTooLarge:
            matrices[term] = None
    try:
        matrices["R"] = sde.find_regularizer(seconds=SECONDS).expression
    except (Undecided, ExpressionTooLarge) as error:
        matrices["R"] = type(error).__name__
    matrices["lines"] = str(sde.structure).splitlines()[-3:]
    return matrices, shared_operations([e for m in matrices.values() if isinstance(m, sp.MatrixBase) for e in m])


def expanded() -> None:
    print(f"{'loss':<31}{'squares':>9}{'expanded':>9}  what differs")
    for name, residuals, parameters, noise in squares():
        loss = sum(r**2 for r in residuals) / 2
        first, operations_first = shown(Problem(loss=loss, parameters=tuple(parameters), noise=noise))
        second, operations_second = shown(Problem(loss=sp.expand(loss), parameters=tuple(parameters), noise=noise))
        differs = [key for key in first if first[key] != second[key]]
        print(f"{name:<31}{operations_first:>9}{operations_second:>9}  {', '.join(differs) or 'nothing'}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("agreement", "sizes", "expanded"))
    parser.add_argument("--losses", type=int, default=100)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if options.part == "agreement":
        agreement(options.losses)
    elif options.part == "sizes":
        sizes(options.only)
    else:
        expanded()


if __name__ == "__main__":
    main()
