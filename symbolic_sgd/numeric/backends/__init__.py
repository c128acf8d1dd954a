"""The back ends, one row each; a row's module imports its package at the top and is loaded when it is asked for."""

import importlib
from dataclasses import dataclass
from typing import Any

from symbolic_sgd.errors import MissingExtra


@dataclass(frozen=True)
class Row:
    """Where a back end lives.

    Args:
        module: in this package; it defines the class.
        package: what has to be installed, "" if nothing beside the package itself.
        extra: the extra that installs it.
    """

    module: str
    package: str = ""
    extra: str = ""


BACKENDS: dict[str, Row] = {
    "NumPy": Row("register_machine"),
    "LLVM": Row("llvm", "llvmlite", "fast"),
    "JAX": Row("jax_functions", "jax", "jax"),
    "Torch": Row("torch_functions", "torch", "torch"),
    "MPMath": Row("exact_numbers"),
    "Exact": Row("exact_numbers"),
}

ADAPTERS: dict[str, Row] = {
    "diffrax_terms": Row("diffrax_adapter", "diffrax", "solvers"),
    "TorchSDE": Row("torchsde_adapter", "torch", "solvers"),
}
"""What hands the SDE to solvers of other packages, loaded in the same way."""


def __getattr__(name: str) -> Any:
    """`from symbolic_sgd.numeric.backends import LLVM` loads llvmlite, or says how to install it.

    Raises:
        MissingExtra: the package that the back end needs is not installed.
    """
    row = BACKENDS.get(name) or ADAPTERS.get(name)
    if row is None:
        raise AttributeError(f"there is no back end {name!r}; there are {', '.join((*BACKENDS, *ADAPTERS))}")
    try:
        module = importlib.import_module(f"{__name__}.{row.module}")
    except ModuleNotFoundError as error:
        if not row.package or (error.name or "").partition(".")[0] != row.package:
            raise
        raise MissingExtra(
            f"the back end {name} needs {row.package}, which is not installed: "
            f"pip install 'symbolic-sgd[{row.extra}]' (in a clone: pip install '.[{row.extra}]')"
        ) from error
    return getattr(module, name)
