"""PyTorch: pure functions of tensors, for autograd, `torch.func` and torchsde."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]

from symbolic_sgd.errors import BadPoint
from symbolic_sgd.numeric.arrays import ArrayBackend
from symbolic_sgd.numeric.points import real_array

OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "pow": torch.pow,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "Abs": torch.abs,
    "sign": torch.sign,
}


@dataclass(frozen=True)
class Torch(ArrayBackend):
    """Tensors of float64, on whatever device x is."""

    @property
    def operations(self) -> Mapping[str, Callable[..., Any]]:
        return OPERATIONS

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

    def stack(self, values: Sequence[Any], shape: tuple[int, ...], like: Any) -> Any:
        full = [torch.as_tensor(value, dtype=like.dtype, device=like.device).expand(like.shape) for value in values]
        return torch.stack(full, dim=-1).reshape(*like.shape, *shape)
