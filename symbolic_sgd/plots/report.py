"""Pictures for documents: SVG that follows the page's colours, the same bytes for the same picture."""

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]
import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import PreciseNumber
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.api.simulation import Run, simulate_sde, simulate_sgd
from symbolic_sgd.checks.ensembles import ATTEMPTS, LEVELS, Ensembles
from symbolic_sgd.checks.witness import Witness
from symbolic_sgd.documents.document import Figure
from symbolic_sgd.errors import Diverged, Undecided
from symbolic_sgd.plots.ensembles import plot_ensemble, plot_weak_error
from symbolic_sgd.plots.manifold import plot_manifold
from symbolic_sgd.theorem.derivation import PLAIN

REPLICAS = 2**14
CELLS = 50
"""Steps of the limit."""

WIDTH = 4.8
"""Inches of a picture on a page."""

MOST_PARAMETERS = 6
"""With which Γ is drawn, projected on three of them at most."""

STILL = 1e-9
"""Distances below are rounding."""

STIFFNESS = 0.1
"""The largest η, relative to the stability bound of single samples."""

MOST_DOTS = 1000
"""A cloud of more dots is drawn as pixels within the picture."""

SETTINGS = {"savefig.dpi": 150, "svg.hashsalt": "symbolic_sgd", "svg.fonttype": "none", "font.family": "sans-serif"}
"""Identifiers that do not change from run to run, and text that stays text."""


def figure_of(axes: Any, title: str, description: str) -> Figure:
    """What was drawn on these axes as a picture for a document; black becomes the colour of the page's text.

    Args:
        axes: as the plots return them.
        title: what it shows, in a few words.
        description: the same for readers who cannot see it.
    """
    legend = axes.get_legend()
    if legend is not None:
        legend.set_frame_on(False)
    for dots in axes.collections if axes.name == "rectilinear" else ():
        dots.set_rasterized(len(dots.get_offsets()) > MOST_DOTS)
    page = io.StringIO()
    with plt.rc_context(SETTINGS):
        axes.figure.savefig(
            page, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = page.getvalue()[page.getvalue().index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\b((?:fill|stroke): ?)(?:#000000|black)\b", r"\1currentColor", svg)
    return Figure(title, description, re.sub(r"<text\b", '<text fill="currentColor"', svg).strip())


def report_figures(sde: LimitingSDE) -> tuple[Figure, ...]:
    """Γ, of up to six parameters; SGD at η beside its limit; the distance of the two over η. Seconds to a minute.

    SGD starts at a random point of Γ (fixed seed). Where it relaxes too slowly for an ensemble, or diverges at every learning rate
    that is tried, Γ alone is drawn, and so for another optimizer than SGD(); the distance is left out where nothing moves.
    """
    drawn = list(_manifold(sde))
    if sde.optimizer != PLAIN:
        return tuple(drawn)
    for attempt in range(ATTEMPTS):
        with suppress(Diverged, Undecided):
            return (*drawn, *_ensembles(sde, STIFFNESS / 4**attempt))
    return tuple(drawn)


def _ensembles(sde: LimitingSDE, stiffness: float) -> Sequence[Figure]:
    point = Witness.of(sde.derivation, np.random.default_rng(0), 1).points[0]
    runs, limit = _simulated(sde, point, stiffness)
    parameters, rate = sde.problem.parameters, max(runs)
    begun = ", ".join(f"{s} = {float(point[s]):.3g}" for s in sde.problem.symbols)
    ensemble = plot_ensemble({f"SGD, η = {rate:.3g}": runs[rate], "limit": limit}, parameters, width=WIDTH)
    words = f"Means and standard deviations over t = kη²: {REPLICAS} runs of SGD with η = {rate:.3g}, and the limit, from {begun}."
    figures = [figure_of(ensemble, "SGD beside its limit", words)]
    plt.close(ensemble.figure)
    if max(float(np.abs(run.final.mean(axis=0) - limit.final.mean(axis=0)).max()) for run in runs.values()) < STILL:
        return figures
    weak = plot_weak_error(runs, limit, names=[f"E ${sp.latex(x)}$" for x in parameters], width=WIDTH)
    words = (
        f"|E x − E Y| at t = {limit.times[-1]:.3g} for {len(runs)} learning rates, with standard errors where it exceeds two of them, else "
        "upper limits. A right limit has slope one."
    )
    figures.append(figure_of(weak, "The distance of SGD from its limit over the learning rate", words))
    plt.close(weak.figure)
    return figures


def _manifold(sde: LimitingSDE) -> Sequence[Figure]:
    if sde.problem.dimension > MOST_PARAMETERS or sde.problem.constants:
        return ()
    ax = plot_manifold(sde, width=WIDTH)
    plt.close(ax.figure)
    shown = (
        "Γ, in the colours of the regularizer where it is known, with the direction of the drift along it, a path of the optimizer and "
        "of its limit where they can be run, and zeros of the drift where no noise along Γ was met."
    )
    return [figure_of(ax, "The manifold of minimizers", shown)]


def _simulated(
    sde: LimitingSDE, point: Mapping[sp.Symbol, PreciseNumber], stiffness: float
) -> tuple[dict[float, Run], Run]:
    witness = Witness.of(sde.derivation, np.random.default_rng(0), 1)
    rate, steps = Ensembles().horizon(witness, point, stiffness)
    start = [float(point[s]) for s in sde.problem.parameters]
    constants: dict[str, Any] = {s.name: float(point[s]) for s in sde.problem.constants}
    time = steps * rate**2
    limit = simulate_sde(sde, start, time=time, step=time / CELLS, replicas=REPLICAS, rng=1, **constants)
    runs = {
        rate / level: simulate_sgd(
            sde.problem,
            start,
            learning_rate=rate / level,
            steps=steps * level**2,
            replicas=REPLICAS,
            rng=0,
            **constants,
        )
        for level in LEVELS
    }
    return runs, limit
