"""Pictures of a limiting SDE and of simulations, with matplotlib (the extra `plot`).

Raises:
    ImportError: matplotlib is missing; the message has the line that installs it.
"""

try:
    import matplotlib.pyplot  # noqa: F401  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise ImportError("plots need matplotlib: pip install 'symbolic-sgd[plot]'") from error

from symbolic_sgd.plots.ensembles import plot_ensemble, plot_weak_error
from symbolic_sgd.plots.manifold import plot_manifold
from symbolic_sgd.plots.report import figure_of, report_figures

__all__ = ["figure_of", "plot_ensemble", "plot_manifold", "plot_weak_error", "report_figures"]
