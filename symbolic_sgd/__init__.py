"""Derive, print, compile and verify the SDE that SGD follows along a manifold of minimizers."""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

from symbolic_sgd.numeric.backends import ADAPTERS, BACKENDS

_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_HOMES: dict[str, str] = {
    name.name: str(line.module) for line in _STUB.body if isinstance(line, ast.ImportFrom) for name in line.names
}
"""Where each public name lives: `__init__.pyi` says it, and is what type checkers read."""

_EXTRAS = {name for name, row in (BACKENDS | ADAPTERS).items() if row.package}

# What `import *` takes: nothing that an extra has to be installed for.
__all__ = sorted(set(_HOMES) - _EXTRAS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """A public name, its module loaded when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
