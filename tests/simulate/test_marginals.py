"""Whole marginals of SGD against those of the limit: Kolmogorov–Smirnov tests of two samples, corrected for their number.

At η = 0.02 the bias O(η) is far below what N = 4000 replicas can see: α = 1e-3 for all coordinates together, and a distance of
0.06 between distribution functions would be seen with probability 0.9. The poster's mixed term is seen at this size.
"""

import pytest
from derived import gallery_sde
from mutants import mutant
from scipy.stats import ks_2samp

from symbolic_sgd import simulate_sde, simulate_sgd

ALPHA, ETA, REPLICAS, TIME = 1e-3, 0.02, 4000, 1.0


def smallest_p_value(sde, start, problem):
    sgd = simulate_sgd(problem, start, learning_rate=ETA, steps=round(TIME / ETA**2), replicas=REPLICAS, rng=1)
    limit = simulate_sde(sde, start, time=TIME, step=TIME / 50, replicas=REPLICAS, rng=2)
    p = [ks_2samp(a, b).pvalue for a, b in zip(sgd.final.T, limit.final.T, strict=True)]
    return min(p) * len(p)


@pytest.mark.parametrize(
    ("name", "start"), [("hyperbola_isotropic", [1.25, 0.8]), ("sphere", [0.6, 0, 0.8]), ("quadric_dense", None)]
)
def test_the_marginals_are_those_of_the_limit(name, start):
    sde = gallery_sde(name)
    start = start or [float(sde.derivation.points[0][s]) for s in sde.problem.parameters]
    assert smallest_p_value(sde, start, sde.problem) > ALPHA


def test_the_posters_mixed_term_has_other_marginals():
    sde = gallery_sde("quadric_dense")
    start = [float(sde.derivation.points[0][s]) for s in sde.problem.parameters]
    wrong = mutant(sde, "mixed: ½ for 1 (the poster)")
    assert smallest_p_value(wrong, start, sde.problem) < ALPHA / 10
