"""The picture of the experiment: recovery against n, and thresholds against κ ln d and d (needs the extra `plot`)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]
import numpy as np
from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

from symbolic_sgd.experiments.thresholds import Threshold, fit, measured


def recovery_figure(found: Sequence[Threshold], data: str) -> Figure:
    """Left: the fraction of trials that recover w*, over n, for each d and κ; right: n at one half, with error bars.

    Args:
        found: thresholds.
        data: the law of the data that is shown.
    """
    shown = [t for t in found if t.data == data]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.4), layout="constrained")
    colors = {d: plt.get_cmap("viridis")(x) for d, x in _spread(sorted({t.coordinates for t in shown}))}
    for t in shown:
        n, wins, trials = (np.array(column, dtype=float) for column in zip(*t.probabilities, strict=True))
        style = ("-o" if t.sparsity == min(s.sparsity for s in shown) else "--s") if t.method == "limit" else ":"
        name = f"d = {t.coordinates}, κ = {t.sparsity}" if t.method == "limit" else None
        left.plot(n, wins / trials, style, color=colors[t.coordinates], label=name, markersize=3, linewidth=1)
    left.set(xscale="log", xlabel="samples n", ylabel="fraction of trials that recover w*", title=f"data: {data}")
    left.plot([], [], ":", color="gray", label="gradient flow without noise")
    left.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    for kappa, marker in zip(sorted({t.sparsity for t in shown}), "osD^v", strict=False):
        for method, color in (("limit", "C0"), ("kernel", "C3")):
            points = [t for t in shown if t.sparsity == kappa and t.method == method and np.isfinite(t.samples)]
            right.errorbar(
                [t.coordinates for t in points],
                [t.samples for t in points],
                [t.error for t in points],
                fmt=marker,
                color=color,
                capsize=3,
                label=f"{'label-noise limit' if method == 'limit' else 'gradient flow'}, κ = {kappa}",
            )
    _curves(right, shown)
    if not any(np.isfinite(t.samples) for t in shown):
        right.set(ylim=(1, max(t.coordinates for t in shown) + 1))  # a logarithmic axis needs a range above 0
    right.set(xscale="log", yscale="log", xlabel="dimension d", ylabel="n at 50 % recovery")
    dimensions = sorted({t.coordinates for t in shown})
    right.set_xticks(dimensions, [str(d) for d in dimensions])
    right.minorticks_off()
    right.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return figure


def _curves(axes, shown: Sequence[Threshold]) -> None:
    d = np.geomspace(min(t.coordinates for t in shown), max(t.coordinates for t in shown), 100)
    limit, kernel = (measured(t for t in shown if t.method == method) for method in ("limit", "kernel"))
    for kappa in sorted({t.sparsity for t in limit}):
        points = [t for t in limit if t.sparsity == kappa]
        if len(points) > 2:
            curve = fit(points, intercept=True)
            label = f"{curve.slope:.2f} κ ln d {curve.intercept:+.1f}, κ = {kappa}"
            axes.plot(d, curve.slope * kappa * np.log(d) + curve.intercept, "C0", linewidth=0.8, label=label)
    if kernel:
        line = fit(kernel, intercept=False)
        axes.plot(d, line.slope * d, "C3", linewidth=0.8, label=f"{line.slope:.3f} d")


def _spread(values: Sequence[int]) -> list[tuple[int, float]]:
    return [(v, k / max(1, len(values) - 1) * 0.9) for k, v in enumerate(values)]
