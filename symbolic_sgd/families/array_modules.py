"""Where the arrays of a family live: NumPy, JAX or PyTorch, by one set of products of matrices."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadInput


@dataclass(frozen=True)
class ArrayModule:
    """A module of arrays.

    Args:
        module: numpy, jax.numpy or torch.
        printer: the names by which SymPy knows its functions.
        as_array: float64 arrays of it from any others.
    """

    module: Any = np
    printer: tuple[str, ...] = ("scipy", "numpy")
    as_array: Callable[[Any], Any] = np.asarray


NUMPY = ArrayModule()


def array_module(backend: Any) -> ArrayModule:
    """Of a back end: NumPy(), JAX() or Torch(), whose packages are there once these are.

    Raises:
        BadInput: another back end.
    """
    name = type(backend).__name__
    if backend is None or name == "NumPy":
        return NUMPY
    if name == "JAX":
        jnp = import_module("jax.numpy")
        return ArrayModule(jnp, ("jax",), jnp.asarray)
    if name == "Torch":
        torch = import_module("torch")
        return ArrayModule(torch, ("torch",), lambda a: torch.as_tensor(a, dtype=torch.float64))
    raise BadInput(f"backend is {backend!r}; a family of matrices is evaluated by NumPy(), JAX() or Torch()")
