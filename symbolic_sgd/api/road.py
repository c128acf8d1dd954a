"""Which road a derivation took, in words."""

from symbolic_sgd.algebra.program import EXPANSION_BUDGET
from symbolic_sgd.api.term_sizes import written_or_none
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.stability import never_at_the_edge


def road(derivation: Derivation) -> tuple[str, ...]:
    """A sentence each: Γ, its normal space, where the formulas hold, the structure of the noise, the edge of stability."""
    m, d = derivation.codimension, derivation.stated.dimension
    return (
        f"Γ has codimension M = {m} and dimension D - M = {d - m}; "
        f"it was examined at {len(derivation.points)} points, to 50 digits.",
        f"The normal space is spanned by {derivation.frame_origin}.",
        f"The formulas hold {_where(derivation)}.",
        f"{derivation.structure}.",
        *derivation.optimizer.pace_words,
        *_edge(derivation),
    )


def _where(derivation: Derivation) -> str:
    component = derivation.component
    rank = f"all of Γ (the minimizers where ∇²L has rank {derivation.codimension})"
    on = rank if component is None else str(component)
    shown, further = derivation.conditions_within(EXPANSION_BUDGET)
    conditions = "; ".join([*map(str, shown), *further])
    if not conditions:
        return f"on {on}"
    return f"where {conditions}" + ("" if component is None else f", on {on}")


def _edge(derivation: Derivation) -> tuple[str, ...]:
    """What is known of the edge of stability, where the optimizer has one."""
    optimizer = derivation.optimizer.stated
    if derivation.stable is None or (optimizer.in_metric and optimizer.edge is None):
        return ()
    noise, drift = written_or_none(derivation, "tangent_noise"), written_or_none(derivation, "drift")
    still = noise is not None and noise.is_zero_matrix
    if still and drift is not None and drift.is_zero_matrix:
        return ()
    if still and never_at_the_edge(derivation.optimizer, derivation.response, derivation.proportion):
        return ("Y never reaches the edge of stability: R decreases along Y, and is infinite there.",)
    return ("Where Y comes to the edge of stability it ends: beyond it the theorem says nothing.",)
