"""Progress bars: tqdm's where it is installed, a line of a terminal elsewhere, nothing in a pipe; told fractions or words."""

import io
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import sympy as sp

from symbolic_sgd import LabelNoise, Problem, ProgressBar, derive_limiting_sde, simulate_sgd
from symbolic_sgd.errors import BadInput

u, v = sp.symbols("u v")
PROBLEM = Problem.least_squares([u * v - 1], parameters=(u, v), noise=LabelNoise(1))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def bars(monkeypatch) -> list:
    """Bars of a tqdm that writes down what it is told."""
    made: list = []

    def tqdm(**options):
        bar = SimpleNamespace(options=options, n=0, words=[], closed=False)
        bar.update = lambda more: setattr(bar, "n", bar.n + more)
        bar.set_description = lambda words, refresh: bar.words.append(words)
        bar.close = lambda: setattr(bar, "closed", True)
        made.append(bar)
        return bar

    module = ModuleType("tqdm.auto")
    module.tqdm = tqdm  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    return made


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    monkeypatch.setitem(sys.modules, "tqdm", None)  # an import of it fails
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    return _stderr(monkeypatch, Terminal())


def _stderr(monkeypatch, stream):
    """The module's own view of `sys`: pytest puts its capture back into the real one."""
    monkeypatch.setattr("symbolic_sgd.progress.sys", SimpleNamespace(stderr=stream, modules=sys.modules))
    return stream


def test_a_bar_of_tqdm_is_told_fractions_and_ends(bars):
    progress = ProgressBar("SGD")
    for fraction in (0.0, 0.25, 0.2, 1.0):
        progress(fraction)
    (bar,) = bars
    assert bar.n == bar.options["total"] and bar.closed and set(bar.words) == {"SGD"}
    progress(0.5)  # the next run has a bar of its own
    assert len(bars) == 2 and not bars[1].closed
    progress.close()
    assert bars[1].closed


@pytest.mark.parametrize(
    ("stream", "kernel", "seen"), [(Terminal, False, True), (io.StringIO, False, False), (io.StringIO, True, True)]
)
def test_a_bar_of_tqdm_is_drawn_where_somebody_looks(bars, monkeypatch, stream, kernel, seen):
    modules = {name: m for name, m in sys.modules.items() if name != "ipykernel"} | (
        {"ipykernel": ModuleType("ipykernel")} if kernel else {}
    )
    monkeypatch.setattr("symbolic_sgd.progress.sys", SimpleNamespace(stderr=stream(), modules=modules))
    ProgressBar()(0.5)
    assert bars[0].options["disable"] is not seen


def test_a_bar_of_tqdm_says_what_is_being_done(bars):
    with ProgressBar() as progress:
        progress("finding Γ")
        progress("finding R")
        progress("")
    assert bars[0].words == ["finding Γ", "finding R"] and bars[0].closed and len(bars) == 1


def test_a_simulation_tells_it(bars):
    with ProgressBar() as progress:
        run = simulate_sgd(PROBLEM, [2, 0.5], learning_rate=0.05, steps=200, replicas=8, rng=0, progress=progress)
    silent = simulate_sgd(PROBLEM, [2, 0.5], learning_rate=0.05, steps=200, replicas=8, rng=0)
    assert bars and all(bar.closed for bar in bars)
    np.testing.assert_array_equal(run.final, silent.final)


def test_without_tqdm_it_is_a_line_of_a_terminal_that_is_taken_back(terminal):
    with ProgressBar("SGD") as progress:
        progress(0.5)
        progress("the last step")
    assert terminal.getvalue() == "\r\033[KSGD: 50 %\r\033[KSGD: the last step\r\033[K"


def test_a_derivation_tells_it(terminal):
    with ProgressBar() as progress:
        derive_limiting_sde(
            Problem.least_squares([u * v - 7], parameters=(u, v), noise=LabelNoise(1)), progress=progress
        )
    assert terminal.getvalue().endswith("\r\033[K") and "Γ" in terminal.getvalue()


def test_in_a_pipe_it_says_nothing(terminal, monkeypatch):
    pipe = _stderr(monkeypatch, io.StringIO())
    with ProgressBar("SGD") as progress:
        progress(0.5)
        progress(1)
    assert not pipe.getvalue()


@pytest.mark.parametrize("told", [None, True, [0.5], object()])
def test_what_is_neither_a_fraction_nor_words_is_refused(told):
    with pytest.raises(BadInput, match="tell it the fraction"):
        ProgressBar()(told)
    with pytest.raises(BadInput, match="label"):
        ProgressBar(3)  # pyright: ignore[reportArgumentType]
