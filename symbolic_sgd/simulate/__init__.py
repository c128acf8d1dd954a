"""SGD, its canonical SDE and the limit as ensembles of replicas."""
