"""Each optimizer of the catalogue on the hyperbola, as the fields of the page."""

from asking import HYPERBOLA

OPTIMIZER_VALUES = {
    "sgd": {"learning_rate": "1/8", "weight_decay": "1/3", "slow_potential": "u**2/2 + v"},
    "heavy_ball": {"momentum": "9/10", "learning_rate": "1/8"},
    "nesterov": {"momentum": "1/2"},
    "local_sgd": {"workers": "4", "round_time": "1/2"},
    "preconditioned": {"preconditioner": "1 + u**2, 0\n0, 1/2"},
    "mirror_descent": {"potential": "u**4/4 + u**2 + v**2/2"},
    "nonlinear_update": {"function": "tanh(g/2)", "law": "drawn"},
    "rmsprop": {"second_moment_rate": "1/2", "stabilizer": "1/10"},
    "adam": {"beta1": "9/10", "second_moment_rate": "2"},
    "random_reshuffling": {},
    "shampoo": {"matrices": "u, v", "second_moment_rate": "1"},
    "sam": {},
    "normalized_gd": {},
    "root_loss": {},
    "coloured_noise": {"correlation": "1/3"},
}

ON = {
    "random_reshuffling": {"statement": "sample_losses", "formula": "(u*v - 1)**2/2\n(u*v - 1)**4"},
    "nonlinear_update": {
        "statement": "loss",
        "formula": "(u*v - 1)**2/2",
        "noise": "matrix",
        "noise_values": {"sigma": "1, 0\n0, 1"},
    },
}
"""What is not the hyperbola with label noise."""

FIELDS = {
    kind: HYPERBOLA | ON.get(kind, {}) | {"optimizer": kind, "optimizer_values": values}
    for kind, values in OPTIMIZER_VALUES.items()
}
