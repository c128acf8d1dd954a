"""What the regularizer of label noise says of each named model, in one line."""

from importlib import import_module

from symbolic_sgd import models
from symbolic_sgd.models import named

MEANINGS: dict[str, str] = {name: import_module(f"{named.__name__}.{name}").MEANING for name in models.__all__}
"""By the name of the model: what its file says."""
