"""Modules that are loaded when they are first named (PEP 562): `from symbolic_sgd import checks`, and then `checks.methods`."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def door(room: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package: its modules, each loaded when it is first asked for.

    Args:
        room: the package's `__name__`.
    """

    def module(name: str) -> Any:
        inside = f"{room}.{name}"
        try:
            return import_module(inside)
        except ModuleNotFoundError as error:
            if error.name != inside:
                raise
            raise AttributeError(f"module {room!r} has no attribute {name!r}") from None

    return module
