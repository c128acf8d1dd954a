"""How far long work is: a bar by tqdm where that is installed, a line of a terminal elsewhere, and nothing in a pipe."""

import sys
from contextlib import suppress
from importlib import import_module
from types import TracebackType
from typing import Any, TextIO

from symbolic_sgd.errors import BadInput

PARTS = 1000
"""What the fraction that is done is counted in."""


class ProgressBar:
    """A bar for `progress=` of anything that takes time: it is told the fraction that is done, or in words what is being done.

    With tqdm (`pip install tqdm`) it has an estimate of what is left, and is a widget in a notebook; without, it is one line of a
    terminal, on standard error. Where standard error is no terminal and there is no notebook, it says nothing. It ends when it is
    told 1, or "", or with its `with` block.

    Args:
        label: words before the bar.

    Raises:
        BadInput: the label is no text; it is told what is neither a fraction nor words.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, ProgressBar, simulate_sgd
    >>> u, v = sp.symbols("u v")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> with ProgressBar("SGD") as bar:
    ...     run = simulate_sgd(problem, [2, 0.5], learning_rate=0.1, steps=100, replicas=4, rng=0, progress=bar)
    >>> run.final.shape
    (4, 2)
    """

    def __init__(self, label: str = ""):
        if not isinstance(label, str):
            raise BadInput(f"the label of a progress bar is {label!r}; give words, or nothing")
        self.label = label
        self._bar: Any = None
        self._shown = False

    def __call__(self, told: float | str) -> None:
        """Show the fraction that is done, between 0 and 1, or what is being done."""
        if isinstance(told, str):
            self._show(0.0, told) if told else self.close()
        elif isinstance(told, bool) or not isinstance(told, int | float):
            raise BadInput(f"a progress bar was told {told!r}; tell it the fraction that is done, or words")
        else:
            self._show(min(max(float(told), 0.0), 1.0), "")
            if told >= 1:
                self.close()

    def close(self) -> None:
        """Leave a bar of tqdm as it is, and take a line back; the next thing that is told begins anew."""
        if self._bar is not None:
            self._bar.close()
        elif self._shown:
            _write(sys.stderr, "\r\033[K")
        self._bar, self._shown = None, False

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _show(self, fraction: float, words: str) -> None:
        if self._bar is None and not self._shown:
            self._bar = _tqdm(self.label)
        if self._bar is not None:
            self._bar.bar_format = OF_WORDS if words else OF_FRACTIONS
            self._bar.set_description(": ".join(filter(None, (self.label, words))) or None, refresh=bool(words))
            self._bar.update(max(0, round(PARTS * fraction) - self._bar.n))
        elif sys.stderr is not None and sys.stderr.isatty():
            self._shown = True
            done = words or f"{100 * fraction:.0f} %"
            _write(sys.stderr, f"\r\033[K{': '.join(filter(None, (self.label, done)))}")


def _tqdm(label: str) -> Any:
    """A bar of tqdm, which is told nothing where nobody looks; None without it."""
    try:
        module = import_module("tqdm.auto")
    except ImportError:
        return None
    watched = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
    return module.tqdm(total=PARTS, desc=label or None, disable=not watched, bar_format=OF_FRACTIONS)


OF_FRACTIONS, OF_WORDS = "{desc}{percentage:3.0f} %|{bar}| {elapsed} < {remaining}", "{desc}{elapsed}"
"""What a bar of tqdm shows."""


def _write(stream: TextIO, text: str) -> None:
    with suppress(OSError):
        print(text, end="", file=stream, flush=True)
