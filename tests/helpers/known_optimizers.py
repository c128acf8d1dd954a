"""The optimizers whose maps are written out once more in `map_identity`."""

from map_identity import BETA, CORRELATION, RATE, STEPS, WORKERS

from symbolic_sgd import SGD, ColouredNoise, HeavyBall, LocalSGD, Nesterov

OPTIMIZERS = {
    "sgd": SGD(learning_rate=RATE),
    "heavy_ball": HeavyBall(momentum=BETA, learning_rate=RATE),
    "nesterov": Nesterov(momentum=BETA, learning_rate=RATE),
    "coloured_noise": ColouredNoise(correlation=CORRELATION, learning_rate=RATE),
    "local_sgd": LocalSGD(workers=WORKERS, steps=STEPS, learning_rate=RATE),
}
