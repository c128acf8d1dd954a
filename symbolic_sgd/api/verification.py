"""The façade: what verification is told, and what it returns."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from symbolic_sgd.api.family_limit import FamilyLimit
from symbolic_sgd.api.limiting_sde import LimitingSDE
from symbolic_sgd.checks.certificate import Certificate
from symbolic_sgd.checks.family_road import family_certificate
from symbolic_sgd.checks.methods import QUICK, Method
from symbolic_sgd.checks.methods import verify as run_checks
from symbolic_sgd.errors import BadInput


def verify(
    sde: LimitingSDE | FamilyLimit[Any, Any],
    *,
    checks: Sequence[Method] = QUICK,
    rng: np.random.Generator | int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Certificate:
    """Check by computation whether a limiting SDE is right.

    Roads that share nothing with the derivation but the loss: the algebraic identities of the theorem at random points of
    Γ to 60 digits, the integrated gradient flow, exact steps of SGD, averaged over their noise without Monte-Carlo error,
    and the theorem's own words at points far away; the regularizer, the Stratonovich drift, which points the callables
    accept, and the noise that the simulators draw. In the full set also the weak orders of the schemes for the limit, what
    float64 costs, its rigorous enclosure, and ensembles of SGD. For an optimizer other than SGD() its own noiseless iteration, averaged
    over the noise exactly (`OwnIteration`), takes the place of what knows plain SGD only.

    Args:
        sde: the formulas to test.
        checks: the methods: QUICK (default, seconds), FULL, or any objects out of them, e.g. `[Ensembles(alpha=1e-4)]`.
        rng: a NumPy Generator or a seed (default 0); the points depend on it, the verdict should not.
        progress: told in words what is being done, for long runs.

    Returns:
        A certificate; `certificate.passed` is True when nothing failed and nothing is undecided.

    Raises:
        BadInput: something that is no limiting SDE, or checks that are no list of methods.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> certificate = verify(sde, checks=QUICK[:2])
    >>> certificate.passed
    True
    """
    if isinstance(sde, FamilyLimit):
        if checks is not QUICK:
            raise BadInput("checks: a family has one check; leave checks= out, or verify family.problem(…)")
        (progress or (lambda _: None))("entries at small sizes")
        return family_certificate(sde.family, _seed(rng), sde.optimizer)
    if not isinstance(sde, LimitingSDE):
        raise BadInput(f"verify takes a LimitingSDE (from derive_limiting_sde), not a {type(sde).__name__}")
    if isinstance(checks, str) or not isinstance(checks, Sequence) or not checks or not all(map(callable, checks)):
        raise BadInput("checks is no list of checks; give QUICK, FULL, or a list such as [OneStep(), Ensembles()]")
    claimed = lambda: sde.regularizer_evidence  # noqa: E731 (searched for only where a check asks, and only once)
    return run_checks(sde.derivation, tuple(checks), _seed(rng), progress or (lambda _: None), claimed)


def _seed(rng: Any) -> int:
    if isinstance(rng, np.random.Generator):
        return int.from_bytes(rng.bytes(16), "little")
    if rng is None or (isinstance(rng, Integral) and not isinstance(rng, bool) and int(rng) >= 0):
        return 0 if rng is None else int(rng)
    raise BadInput(f"rng is {rng!r}; give a NumPy Generator or a seed (an integer ≥ 0)")
