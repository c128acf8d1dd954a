"""JAX: pure functions that `jit`, `vmap` and `grad` accept, and what diffrax takes."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax  # pyright: ignore[reportMissingImports]
import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
import jax.scipy.linalg  # pyright: ignore[reportMissingImports]
import jax.scipy.special  # pyright: ignore[reportMissingImports]
import numpy as np
from jax.core import Tracer  # pyright: ignore[reportMissingImports]

from symbolic_sgd.algebra.arithmetic import BY_OPERATORS
from symbolic_sgd.algebra.functions import in_library
from symbolic_sgd.errors import BadInput, BadPoint
from symbolic_sgd.numeric.arrays import ArrayBackend
from symbolic_sgd.numeric.backend import Evaluation, Part
from symbolic_sgd.numeric.lowering import Lowered
from symbolic_sgd.theorem.matrix_stages import MatrixStages

ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    **BY_OPERATORS,
    "pow": jnp.power,
}


COMPILED = 4000
"""Operations of a scalar program up to which XLA compiles it as a whole; step by step, longer ones are done sooner."""


@dataclass(frozen=True)
class JAX(ArrayBackend):
    """jax.numpy arrays of float64 (`jax.config.update("jax_enable_x64", True)` first).

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> jax.config.update("jax_enable_x64", True)
    >>> jax.jit(sde.lambdify(backend=JAX(), check=False).drift)(jnp.array([2.0, 0.5])).shape
    (2,)
    """

    @property
    def operations(self) -> Mapping[str, Callable[..., Any]]:
        return {**ARITHMETIC, **{name: operator.attrgetter(path)(jax) for name, path in in_library("jax").items()}}

    def compile(self, part: Part) -> Evaluation:
        _check_precision()
        return super().compile(part)

    def compile_matrices(self, stages: MatrixStages, name: str, check: bool) -> Evaluation | None:
        _check_precision()
        return super().compile_matrices(stages, name, check)

    def array(self, x: Any) -> Any:
        try:
            array = jnp.asarray(x)
        except (TypeError, ValueError) as error:
            raise BadPoint(f"x is no array of numbers: {error}") from error
        if array.dtype.kind not in "fiu":
            raise BadPoint(f"x has entries of type {array.dtype}; the parameters are real numbers")
        return array.astype(jnp.float64)

    def concrete(self, x: Any) -> np.ndarray | None:
        return None if isinstance(x, Tracer) else np.asarray(x)

    def run(self, lowered: Lowered, columns: Sequence[Any], shape: tuple[int, ...]) -> Any:
        if lowered.operations > COMPILED:
            return super().run(lowered, columns, shape)
        return _compiled(self, lowered, shape)(*columns)

    def cholesky(self, matrix: Any) -> Any:
        return jnp.linalg.cholesky(matrix)

    def solve_triangular(self, matrix: Any, right: Any, *, lower: bool) -> Any:
        return jax.scipy.linalg.solve_triangular(matrix, right, lower=lower)

    def eigh(self, matrix: Any) -> Any:
        return jnp.linalg.eigh(matrix)

    def stack(self, values: Sequence[Any], shape: tuple[int, ...], like: Any) -> Any:
        full = [jnp.broadcast_to(jnp.asarray(value, dtype=like.dtype), like.shape) for value in values]
        return jnp.stack(full, axis=-1).reshape(*like.shape, *shape)


@lru_cache(maxsize=64)
def _compiled(backend: JAX, lowered: Lowered, shape: tuple[int, ...]) -> Callable[..., Any]:
    return jax.jit(lambda *columns: ArrayBackend.run(backend, lowered, columns, shape))


def _check_precision() -> None:
    if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise BadInput(
            "JAX computes in float32 at present, which has not the digits that a point of Γ needs: "
            'call jax.config.update("jax_enable_x64", True) before anything else'
        )
