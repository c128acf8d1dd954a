"""The optimizers by the names that problem files and the command line know: adding one is adding a row."""

from collections.abc import Callable

from symbolic_sgd.optimizers.coloured_noise import ColouredNoise
from symbolic_sgd.optimizers.local_sgd import LocalSGD
from symbolic_sgd.optimizers.mirror_descent import MirrorDescent
from symbolic_sgd.optimizers.momentum import HeavyBall, Nesterov
from symbolic_sgd.optimizers.nonlinear_update import NonlinearUpdate
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.preconditioned import Preconditioned
from symbolic_sgd.optimizers.random_reshuffling import RandomReshuffling
from symbolic_sgd.optimizers.second_moments import Adam, RMSprop
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.optimizers.shampoo import Shampoo
from symbolic_sgd.optimizers.sharpness import SAM, NormalizedGD, RootLoss

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "heavy_ball": HeavyBall,
    "nesterov": Nesterov,
    "local_sgd": LocalSGD,
    "preconditioned": Preconditioned,
    "mirror_descent": MirrorDescent,
    "nonlinear_update": NonlinearUpdate,
    "rmsprop": RMSprop,
    "adam": Adam,
    "random_reshuffling": RandomReshuffling,
    "shampoo": Shampoo,
    "sam": SAM,
    "normalized_gd": NormalizedGD,
    "root_loss": RootLoss,
    "coloured_noise": ColouredNoise,
}
"""Name → constructor, whose keywords are those of the file's table."""
