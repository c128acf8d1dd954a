"""Ensembles over time, and the weak error of SGD over its learning rate."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symbolic_sgd.api.simulation import Run
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.plots import style

BAND = 0.13
"""How much of its colour a band has: what is behind it stays visible."""

LENGTH = 0.4
"""Of the arrow of an upper limit, beside it."""

SEEN = 2.0
"""Standard errors by which a distance has to exceed 0 to be drawn as one; below that it has an upper limit."""


@style.drawn
def plot_ensemble(
    runs: Run | Mapping[str, Run],
    parameters: Sequence[Any],
    *,
    shown: Sequence[Any] | None = None,
    band: float = 1.0,
    width: str | float = "column",
    ax: Any = None,
) -> Any:
    """E x over t with a band of so many standard deviations: a colour for each parameter, a line style for each run.

    Args:
        runs: a run, or some by name, {"SGD": …, "limit": …}.
        parameters: x_1 … x_D, as the problem has them.
        shown: those of them that are drawn (default: all).
        band: half the width of the band in standard deviations; 0 for none. A single replica has none.
        width: of a new figure: "column", "page" or inches.
        ax: where to draw (default: a new figure).

    Returns:
        The axes.

    Raises:
        BadShape: a run has another number of parameters.
        BadInput: no run; a parameter that is none; a band that is no number ≥ 0.
    """
    named = {"": runs} if isinstance(runs, Run) else dict(runs)
    _check_runs(named, len(parameters))
    if not (isinstance(band, (int, float)) and 0 <= band < np.inf):
        raise BadInput(f"band is {band!r}; give a number of standard deviations ≥ 0")
    own, ax = ax is None, ax or style.new_axes(width, 0.7)
    for color, k in enumerate(_indices(parameters, parameters if shown is None else shown)):
        for line, (name, run) in enumerate(named.items()):
            colour = style.LINES[color % len(style.LINES)]
            mean, spread = run.mean[:, k], band * np.sqrt(run.covariance[:, k, k])
            label = ", ".join(filter(None, (f"E {style.math(parameters[k])}", name)))
            ax.plot(run.times, mean, label=label, color=colour, linestyle=style.STYLES[line % len(style.STYLES)])
            if band and np.isfinite(spread).all() and spread.any():
                ax.fill_between(run.times, mean - spread, mean + spread, color=colour, alpha=BAND, linewidth=0)
    ax.set(xlabel="$t$", ylabel=f"mean ± {band:g} s.d." if band else "mean")
    style.legend(ax, own=own)
    return ax


@style.drawn
def plot_weak_error(
    runs: Mapping[float, Run],
    limit: Run,
    *,
    observable: Callable[[np.ndarray], np.ndarray] | None = None,
    names: Sequence[str] | None = None,
    width: str | float = "column",
    ax: Any = None,
) -> Any:
    """The distance of E f(x_η(T)) from E f(Y(T)) over η, on logarithmic scales with standard errors, beside a line of slope one.

    Only what exceeds two standard errors is seen, and drawn as a point. Of anything else no more is known than that it is below an upper
    limit, the distance and two standard errors: an arrow down from there.

    Args:
        runs: runs of SGD to the same time T, by learning rate η.
        limit: the limit to time T.
        observable: f of the positions R×D, (R,) or R×F (default: the positions themselves).
        names: of the F functions, for the legend.
        width: of a new figure: "column", "page" or inches.
        ax: where to draw (default: a new figure).

    Returns:
        The axes.

    Raises:
        BadInput: fewer than two learning rates, or ones that are not the runs' own; runs that end at different times.
        BadShape: runs of different dimensions; an observable or names of another length.
    """
    if len(runs) < 2 or not all(isinstance(eta, (int, float)) and eta > 0 for eta in runs):
        raise BadInput("runs has to hold at least two runs by their learning rates, {η: run, …} with η > 0")
    _check_runs({f"η = {eta}": run for eta, run in runs.items()}, limit.final.shape[1])
    for eta, run in runs.items():
        made = float(np.sqrt(run.times[-1] / run.steps))
        if abs(eta - made) > 1e-6 * made:
            raise BadInput(
                f"a run by the learning rate {eta} was made with η = {made:.6g} (t = kη²): give each by its own"
            )
        if abs(run.times[-1] - limit.times[-1]) > eta**2:
            raise BadInput(
                f"the run with η = {eta} ends at t = {run.times[-1]:.6g} and the limit at t = {limit.times[-1]:.6g}: "
                "compare them at the same time"
            )
    rates = np.array(sorted(runs))
    theory, slack = _average(observable, limit.final)
    means, errors = map(np.array, zip(*(_average(observable, runs[eta].final) for eta in rates), strict=True))
    gaps, errors = np.abs(means - theory), np.hypot(errors, slack)
    if names is not None and len(names) != gaps.shape[1]:
        raise BadShape(f"names has {len(names)} entries, and the observable {gaps.shape[1]}")
    own, ax = ax is None, ax or style.new_axes(width, 0.75)
    for k, (gap, error) in enumerate(zip(gaps.T, errors.T, strict=True)):
        _distance(ax, rates, gap, error, style.LINES[k % len(style.LINES)], None if names is None else names[k])
    seen = np.where(gaps > SEEN * errors, gaps, 0.0).max(axis=1)
    if seen.any():
        last = int(np.flatnonzero(seen)[-1])
        ax.plot(rates, seen[last] * rates / rates[last], ":", color=style.GREY, label="slope one")
    ax.set(xscale="log", yscale="log", xlabel="learning rate $η$", ylabel="$|E f(x) - E f(Y)|$")
    ax.set_xticks(rates, [f"{rate:.3g}" for rate in rates])
    ax.set_xticks([], minor=True)
    style.legend(ax, own=own)
    return ax


def _distance(ax: Any, rates: np.ndarray, gap: np.ndarray, error: np.ndarray, colour: str, name: str | None) -> None:
    """What is seen with its standard error, and upper limits of what is not."""
    seen = gap > SEEN * error
    if seen.any():
        ax.errorbar(rates[seen], gap[seen], error[seen], fmt="o-", color=colour, markersize=4, capsize=2.5, label=name)
    if not seen.all():
        limits = (gap + SEEN * error)[~seen]
        label = f"{name}: an upper limit" if name is not None else "an upper limit"
        how = {"uplims": True, "capsize": 2.5, "linestyle": "none", "elinewidth": 0.9}
        ax.errorbar(rates[~seen], limits, LENGTH * limits, color=colour, label=label, **how)


def _average(observable: Callable[[np.ndarray], np.ndarray] | None, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of f over the replicas and its standard error (0 of a single replica), (F,) each."""
    values = np.asarray(x if observable is None else observable(x), dtype=float)
    if values.ndim not in (1, 2) or len(values) != len(x):
        raise BadShape(f"observable gave the shape {values.shape} for {len(x)} replicas; it has to be (R,) or (R, F)")
    values = values.reshape(len(x), -1)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.zeros(values.shape[1])
    return values.mean(axis=0), error


def _check_runs(runs: Mapping[str, Run], dimension: int) -> None:
    if not runs:
        raise BadInput("there is no run to draw")
    for name, run in runs.items():
        if run.final.shape[1] != dimension:
            raise BadShape(f"the run {name!r} has {run.final.shape[1]} parameters, and {dimension} were expected")


def _indices(parameters: Sequence[Any], shown: Sequence[Any]) -> list[int]:
    names = [str(x) for x in parameters]
    unknown = [str(x) for x in shown if str(x) not in names]
    if unknown:
        raise BadInput(f"shown has {', '.join(unknown)}; the parameters are {', '.join(names)}")
    return [names.index(str(x)) for x in shown]
