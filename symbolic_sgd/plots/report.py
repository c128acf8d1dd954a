"""Pictures for documents: SVG that follows the page's colours, the same bytes for the same picture."""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]
import numpy as np

from symbolic_sgd.errors import Undecided
from symbolic_sgd.export.document import Figure
from symbolic_sgd.limiting_sde import LimitingSDE
from symbolic_sgd.plots.ensembles import plot_ensemble, plot_weak_error
from symbolic_sgd.plots.manifold import GRID, plot_manifold
from symbolic_sgd.simulation import Run, simulate_sde, simulate_sgd
from symbolic_sgd.verify.ensembles import LEVELS, Ensembles
from symbolic_sgd.verify.witness import Witness

REPLICAS = 2**14
CELLS = 50
"""Steps of the limit."""

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
    svg = re.sub(r"#000000|\bblack\b", "currentColor", svg)
    return Figure(title, description, re.sub(r"<text\b", '<text fill="currentColor"', svg).strip())


def report_figures(sde: LimitingSDE) -> tuple[Figure, ...]:
    """Γ in two or three dimensions; SGD at η beside its limit; the distance of the two over η. Seconds.

    Everything starts at a point of Γ, with a learning rate at which SGD is stable there; the seed is fixed. Where SGD
    relaxes too slowly for an ensemble, Γ alone is drawn.
    """
    try:
        runs, limit = _simulated(sde)
    except Undecided:  # SGD is too slow for an ensemble
        return tuple(_manifold(sde))
    names = ", ".join(map(str, sde.problem.parameters))
    rate, replicas = max(runs), len(runs[max(runs)].final)
    ensemble = plot_ensemble({f"SGD, η = {rate:.3g}": runs[rate], "limit": limit}, sde.problem.parameters)
    weak = plot_weak_error(runs, limit, names=[f"E {x}" for x in sde.problem.parameters])
    figures = [
        *_manifold(sde),
        figure_of(
            ensemble,
            "SGD beside its limit",
            f"Means and standard deviations of {names} over t = kη²: {replicas} runs of SGD with η = {rate:.3g}, and the limit.",
        ),
        figure_of(
            weak,
            "The distance of SGD from its limit over the learning rate",
            f"|E x − E Y| at t = {limit.times[-1]:.3g} for {len(runs)} learning rates, with standard errors: where they "
            "let it be seen, a right limit has slope one.",
        ),
    ]
    plt.close(ensemble.figure)
    plt.close(weak.figure)
    return tuple(figures)


def _manifold(sde: LimitingSDE) -> Sequence[Figure]:
    if sde.problem.dimension not in GRID or sde.problem.constants:
        return ()
    axes = plot_manifold(sde)
    plt.close(axes.figure)
    shown = "Γ with the drift ½∂²Φ[Σ] as arrows, and the noise σ and its part along Γ as ellipses (segments in one dimension)."
    return [figure_of(axes, "The manifold of minimizers", shown)]


def _simulated(sde: LimitingSDE) -> tuple[dict[float, Run], Run]:
    witness = Witness.of(sde.derivation, np.random.default_rng(0), 1)
    point = witness.points[0]
    rate, steps = Ensembles().horizon(witness, point, STIFFNESS)
    start = [float(point[s]) for s in sde.problem.parameters]
    constants: dict[str, Any] = {s.name: float(point[s]) for s in sde.problem.constants}
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
    time = steps * rate**2
    limit = simulate_sde(sde, start, time=time, step=time / CELLS, replicas=REPLICAS, rng=1, **constants)
    return runs, limit
