"""How a point stands to Γ: a regular point of it, one where rank ∇²L drops, or none of it."""

from enum import Enum
from functools import cached_property

from symbolic_sgd.algebra.arithmetic import PRECISE
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.charts.embedding import Requirements
from symbolic_sgd.charts.rest_points import regular_points
from symbolic_sgd.errors import ComplexValue, NotSmooth
from symbolic_sgd.manifold.interpolation import Residuals
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint, matrix_rank
from symbolic_sgd.regular_point import inertia
from symbolic_sgd.theorem.derivation import Derivation


class Standing(Enum):
    """What a point is."""

    REGULAR = "a regular point of Γ"
    SINGULAR = "a minimizer where ∇²L has another rank, or is not smooth"
    OUTSIDE = "no point of Γ, outside of the domain, or one where the optimizer is unstable"
    UNDECIDED = "not decided"


def meant(derivation: Derivation) -> str:
    """The part of Γ that is meant, in words."""
    whole = "Γ" if derivation.component is None else str(derivation.component)
    return whole if not derivation.cell else f"{whole} where {' and '.join(map(str, derivation.cell))}"


class Ground:
    """Γ of a derivation.

    Args:
        derivation: where Γ is, and what holds on the part of it that is meant.
    """

    def __init__(self, derivation: Derivation):
        self.derivation = derivation

    def standing(self, point: PrecisePoint) -> Standing:
        """Decided to 55 digits and more."""
        by_matrices = self.derivation.in_matrices is not None
        try:
            return self._of_residuals(point) if by_matrices else self._by_requirements(point)
        except (NotSmooth, ComplexValue, ZeroDivisionError, OverflowError):
            return Standing.SINGULAR

    @cached_property
    def _requirements(self) -> Requirements:
        return regular_points(self.derivation)

    @cached_property
    def _residuals(self) -> Residuals:
        return Residuals.of(self.derivation.problem)

    def _of_residuals(self, point: PrecisePoint) -> Standing:
        apart = PrecisePoint(point.assignment)
        if not all(apart.zeros(self._residuals.levels)):
            return Standing.OUTSIDE
        full = matrix_rank(apart.matrix(self._residuals.slopes)) == self.derivation.codimension
        return Standing.REGULAR if full else Standing.SINGULAR

    def _is_stable(self, point: PrecisePoint) -> bool:
        """Whether the optimizer stays near Γ there: beyond its edge no formula holds."""
        if self.derivation.stable is None:
            return True
        with mp.workdps(HIGH):
            return all(a > 0 for a in self.derivation.stable.run(PRECISE, point.assignment)["positive"])

    def _by_requirements(self, point: PrecisePoint) -> Standing:
        apart, needed = PrecisePoint(point.assignment), self._requirements
        if not needed.admissible(apart) or any(apart.zeros(needed.conditions)) or not self._is_stable(apart):
            return Standing.OUTSIDE
        if not all(all(apart.zeros(nodes)) for nodes in needed.vanishing.values()):
            return Standing.OUTSIDE
        curvature = inertia(apart.matrix(needed.hessian))
        if not curvature.decided:
            return Standing.UNDECIDED
        if not curvature.positive:
            return Standing.OUTSIDE
        return Standing.REGULAR if curvature.rank == self.derivation.codimension else Standing.SINGULAR
