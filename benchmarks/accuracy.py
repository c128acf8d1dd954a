"""Every back end against 50 digits, at 2,000 points of each problem of the gallery.

    python benchmarks/accuracy.py [points, default 2000]

The error of a value is its largest entry's, relative to the largest entry of the true value, or to that of the median point
where it is smaller (beside a fixed point of the drift, say); the program is run on the same float64 points with 50 digits.
Terms that vanish identically are left out. Prints the largest and the median error in units of 2⁻⁵³, and the ratio of each
largest error to NumPy's.
"""

import importlib.util
import sys
from pathlib import Path

import mpmath
import numpy as np
import sympy as sp

import symbolic_sgd
from symbolic_sgd import LimitingSDE, derive_limiting_sde
from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.numeric.backends import BACKENDS
from symbolic_sgd.numeric.guard import check_points
from symbolic_sgd.problems.problem_file import read_problem

POINTS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
UNIT = 2.0**-53
GALLERY = Path(__file__).parents[1] / "derivations"


def points_of(sde: LimitingSDE, count: int) -> np.ndarray:
    """Random points of Γ that the functions accept (in the domain, not singular)."""
    rng, found = np.random.default_rng(0), np.empty((0, len(sde.problem.symbols)))
    while len(found) < count:
        found = np.concatenate([found, [row for row in near_known_points(sde, count, rng) if accepted(sde, row)]])
    return found[:count]


def accepted(sde: LimitingSDE, row: np.ndarray) -> bool:
    try:
        check_points(sde.derivation, row[None])
    except SymbolicSGDError:
        return False
    return True


def near_known_points(sde: LimitingSDE, count: int, rng: np.random.Generator) -> np.ndarray:
    """Newton's steps −H†∇L from beside the known points of Γ."""
    symbols, d, m = sde.problem.symbols, sde.problem.dimension, sde.manifold.codimension
    known = np.array([[float(p[symbol]) for symbol in symbols] for p in sde.derivation.points])
    x = known[rng.integers(len(known), size=count)]
    x[:, :d] += 0.1 * rng.standard_normal((count, d))
    guard = sde.derivation.guard.select("gradient", "hessian")
    for _ in range(60):
        x[~np.isfinite(x).all(axis=1)] = known[0]  # a step too far: begun again
        values = {name: np.nan_to_num(value, posinf=0, neginf=0) for name, value in evaluate(guard, symbols, x).items()}
        curvature, axes = np.linalg.eigh(values["hessian"].reshape(count, d, d))
        along = np.einsum("bij,bi->bj", axes[:, :, -m:], values["gradient"]) / (curvature[:, -m:] + 1e-300)
        x[:, :d] -= np.einsum("bij,bj->bi", axes[:, :, -m:], along)
    return x


def errors(truth: list[list[mpmath.mpf]], ours: np.ndarray) -> np.ndarray:
    with mpmath.workdps(50), mp.workdps(50):
        typical = sorted(max(map(abs, row)) for row in truth)[len(truth) // 2]
        return np.array(
            [
                float(
                    max(abs(t - mpmath.mpf(float(o))) for t, o in zip(row, values, strict=True))
                    / max(typical, *map(abs, row))
                )
                for row, values in zip(truth, ours, strict=True)
            ]
        )


def main() -> None:
    names = [name for name in ("NumPy", "LLVM", "JAX", "Torch") if _installed(name)]
    if "JAX" in names:
        importlib.import_module("jax").config.update("jax_enable_x64", True)
    print(f"{POINTS} points; largest / median error in units of 2^-53, largest beside NumPy's")
    for path in sorted(GALLERY.glob("*.toml")):
        sde = derive_limiting_sde(read_problem(path))
        rows, d = points_of(sde, POINTS), sde.problem.dimension
        constants = {c.name: rows[:, d + k].copy() for k, c in enumerate(sde.problem.constants)}
        for term in ("drift", "tangent_noise"):
            truth = [_precise(sde, term, row) for row in rows]
            if not any(any(row) for row in truth):
                continue
            table = {}
            for name in names:
                f = sde.lambdify(backend=getattr(symbolic_sgd, name)())
                values = np.asarray(f.term(term, rows[:, :d].copy(), **constants)).reshape(POINTS, -1)
                table[name] = errors(truth, values) / UNIT
            print(
                f"{path.stem}, {term}: "
                + "; ".join(
                    f"{name} {e.max():.1f} / {np.median(e):.2f} ({e.max() / table['NumPy'].max():.2f})"
                    for name, e in table.items()
                ),
                flush=True,
            )


def _installed(name: str) -> bool:
    return importlib.util.find_spec(BACKENDS[name].package or "numpy") is not None


def _precise(sde: LimitingSDE, term: str, row: np.ndarray) -> list[mpmath.mpf]:
    point: dict[sp.Symbol, mpmath.mpf] = {}
    with mpmath.workdps(50), mp.workdps(50):
        for symbol, value in zip(sde.problem.symbols, row, strict=True):
            point[symbol] = mpmath.mpf(float(value))
        return sde.program.select(term).run(PRECISE, point)[term]


if __name__ == "__main__":
    main()
