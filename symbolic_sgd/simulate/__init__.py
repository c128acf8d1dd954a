"""SGD, its canonical SDE and the limit as ensembles of replicas."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
