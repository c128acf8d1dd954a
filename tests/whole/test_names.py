"""Public names: where they live, what loads them, and what `import symbolic_sgd` does not load."""

import ast
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import symbolic_sgd
from symbolic_sgd.errors import MissingExtra
from symbolic_sgd.numeric.backends import ADAPTERS, BACKENDS

STUB = ast.parse(Path(symbolic_sgd.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
NAMES = [alias.asname for line in STUB.body if isinstance(line, ast.ImportFrom) for alias in line.names]


def fresh(code):
    """What a new process prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_found_or_names_its_extra(name):
    row = (BACKENDS | ADAPTERS).get(name)
    try:
        assert getattr(symbolic_sgd, name) is not None
    except MissingExtra as missing:
        assert row is not None and f"[{row.extra}]" in str(missing)


def test_names_are_sorted_and_stated_once():
    assert len(set(NAMES)) == len(NAMES) and set(NAMES) <= set(dir(symbolic_sgd))


def test_import_star_takes_only_what_needs_no_extra():
    extras = {name for name, row in (BACKENDS | ADAPTERS).items() if row.package}
    assert set(symbolic_sgd.__all__) == set(NAMES) - extras and {"LLVM", "JAX", "Torch"} <= extras
    taken = fresh(
        "from symbolic_sgd import *; import sys; print({'jax', 'torch', 'llvmlite', 'matplotlib'} & {*sys.modules})"
    )
    assert taken == "set()"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'derive'"):
        _ = symbolic_sgd.derive
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = symbolic_sgd.checks.absent


def test_importing_loads_nothing_that_is_not_asked_for():
    assert fresh("import symbolic_sgd, sys; print({'sympy', 'numpy', 'scipy', 'mpmath'} & {*sys.modules})") == "set()"
    derive = "from symbolic_sgd import Problem, LabelNoise, derive_limiting_sde; import sys"
    assert (
        fresh(f"{derive}; print('scipy.stats' in sys.modules, 'symbolic_sgd.checks.methods' in sys.modules)")
        == "False False"
    )


def test_no_room_is_called_like_a_public_name():
    """After its first import, a sub-package of that name would hide the name."""
    rooms = {module.name for module in pkgutil.iter_modules(symbolic_sgd.__path__)}
    assert not rooms & {*NAMES, *symbolic_sgd.__all__}
    assert import_module("symbolic_sgd.checks") is symbolic_sgd.checks
