"""How the tests are run: exact arithmetic by Python's own integers, whatever is installed; on all cores; samples of campaigns.

Without arguments, `python -m pytest` shares the tests among as many processes as there are cores where pytest-xdist is
installed (`-n 0`: one process). Campaigns (`-m campaign`) hold what takes longer; `--sample N` runs N cases of each.
"""

import ast
import os
import random
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("SYMPY_GROUND_TYPES", "python")
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # the matrices here are small: further threads would only wait for each other

CAMPAIGN = "campaign"
PACKAGE = Path(__file__).parent / "symbolic_sgd"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sample", type=int, metavar="N", help="of each campaign N cases, drawn by --sample-seed")
    parser.addoption("--sample-seed", default="0", metavar="WORD", help="what the sample is drawn by (0)")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """All cores for the whole suite, unless -n, -s or --pdb is given: what is named on the command line stays in one process."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    quiet = config.option.capture != "no" and not config.option.usepdb
    asked = getattr(config.option, "numprocesses", 0)  # None: pytest-xdist is there, and -n is not given
    if whole and quiet and asked is None and not hasattr(config, "workerinput"):
        config.option.numprocesses = (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        )
        config.option.dist = "worksteal"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Modules of the package that import an extra which is not installed are left out; a test that cannot be imported fails."""
    if collection_path.suffix != ".py" or PACKAGE not in collection_path.parents:
        return None
    body = ast.parse(collection_path.read_text()).body
    plain = [name.name for line in body if isinstance(line, ast.Import) for name in line.names]
    named = [line.module for line in body if isinstance(line, ast.ImportFrom) and line.module]
    missing = any(find_spec(name.partition(".")[0]) is None for name in (*plain, *named))
    return True if missing else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --sample N: of every campaign whose cases are tests of their own, N of them."""
    count, seed = config.option.sample, config.option.sample_seed
    if count is None:
        return
    left_out: set[pytest.Item] = set()
    campaigns = [item for item in items if item.get_closest_marker(CAMPAIGN)]
    for function, cases in groupby(campaigns, key=lambda item: f"{item.path.name} {getattr(item, 'originalname', '')}"):
        every = list(cases)
        left_out |= {*every} - {*_drawn(every, count, f"{seed} {function}")}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def sampled(request: pytest.FixtureRequest) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """All cases of a campaign that is one test; N of them, in their order, with --sample N."""
    count, seed = request.config.option.sample, request.config.option.sample_seed
    return lambda cases: cases if count is None else _drawn(cases, count, f"{seed} {request.node.name}")


def _drawn(cases: Sequence[Any], count: int, seed: str) -> list[Any]:
    places = range(len(cases))
    return [cases[k] for k in sorted(random.Random(seed).sample(places, min(count, len(cases))))]
