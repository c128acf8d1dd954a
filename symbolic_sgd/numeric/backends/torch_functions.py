"""PyTorch: pure functions of tensors, for autograd, `torch.func` and torchsde."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]

from symbolic_sgd.algebra.arithmetic import BY_OPERATORS
from symbolic_sgd.algebra.functions import in_library
from symbolic_sgd.errors import BadPoint
from symbolic_sgd.numeric.arrays import ArrayBackend
from symbolic_sgd.numeric.points import real_array

ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    **BY_OPERATORS,
    "pow": torch.pow,
}


@dataclass(frozen=True)
class Torch(ArrayBackend):
    """Tensors of float64, on whatever device x is.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> sde.lambdify(backend=Torch()).drift(torch.tensor([2.0, 0.5])).shape
    torch.Size([2])
    """

    @property
    def operations(self) -> Mapping[str, Callable[..., Any]]:
        return {**ARITHMETIC, **{name: operator.attrgetter(path)(torch) for name, path in in_library("torch").items()}}

    def array(self, x: Any) -> Any:
        tensor = x if isinstance(x, torch.Tensor) else torch.from_numpy(real_array(x, "x", BadPoint).copy())
        if tensor.is_complex() or tensor.dtype == torch.bool:
            raise BadPoint(f"x has entries of type {tensor.dtype}; the parameters are real numbers")
        return tensor.to(torch.float64)

    def concrete(self, x: Any) -> np.ndarray | None:
        try:
            return x.detach().cpu().numpy()
        except RuntimeError:  # inside torch.func's transformations
            return None

    def cholesky(self, matrix: Any) -> Any:
        return torch.linalg.cholesky(matrix)

    def solve_triangular(self, matrix: Any, right: Any, *, lower: bool) -> Any:
        return torch.linalg.solve_triangular(matrix, right, upper=not lower)

    def eigh(self, matrix: Any) -> Any:
        return torch.linalg.eigh(matrix)

    def stack(self, values: Sequence[Any], shape: tuple[int, ...], like: Any) -> Any:
        full = [torch.as_tensor(value, dtype=like.dtype, device=like.device).expand(like.shape) for value in values]
        return torch.stack(full, dim=-1).reshape(*like.shape, *shape)
