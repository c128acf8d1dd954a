"""How the tests are run: exact arithmetic by Python's own integers, whatever is installed; on all cores; samples of campaigns.

Without arguments, `python -m pytest` shares the tests among as many processes as there are cores where pytest-xdist is
installed (`-n 0`: one process). Campaigns (`-m campaign`) hold what takes longer; `--sample N` runs N cases of each.
"""

import os
import random
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import pytest

os.environ.setdefault("SYMPY_GROUND_TYPES", "python")
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # the matrices here are small: further threads would only wait for each other

CAMPAIGN = "campaign"


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
