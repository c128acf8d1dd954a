"""Pictures of a limiting SDE, of its regularizer and of simulations, with matplotlib (the extra `plot`).

Every function returns the axes on which it has drawn, takes `ax=` for axes of the user's own, and leaves matplotlib's settings as they are.

Raises:
    ImportError: matplotlib is missing; the message has the line that installs it.
"""

try:
    import matplotlib.pyplot  # noqa: F401  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise ImportError("plots need matplotlib: pip install 'symbolic-sgd[plot]'") from error

from symbolic_sgd.plots.animation import animate_drift
from symbolic_sgd.plots.charts import plot_chart
from symbolic_sgd.plots.ensembles import plot_ensemble, plot_weak_error
from symbolic_sgd.plots.manifold import plot_manifold, plot_optimizers
from symbolic_sgd.plots.regularizers import plot_induced_regularizer, plot_regularizer
from symbolic_sgd.plots.report import figure_of, report_figures

__all__ = [
    "animate_drift",
    "figure_of",
    "plot_chart",
    "plot_ensemble",
    "plot_induced_regularizer",
    "plot_manifold",
    "plot_optimizers",
    "plot_regularizer",
    "plot_weak_error",
    "report_figures",
]
