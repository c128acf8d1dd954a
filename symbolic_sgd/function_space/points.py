"""As many parameters as entries of F: fibres are points, and R̂ is the least R there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.function_space.closed_form import Attainment, ClosedForm
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.section import Section, section_of


def by_points(fibres: Fibres) -> ClosedForm | None:
    """R at the solutions of F(x) = β, where these are found one unknown after the other and have one R."""
    if len(fibres.parameters) > len(fibres.predictor):
        return None
    section = section_of(fibres, sp.ImmutableDenseMatrix.zeros(0, len(fibres.parameters)))
    expression = None if section is None else section.inserted(fibres.total)
    if section is None or expression is None:
        return None
    count = len(section.branches)
    points = "a point" if count == 1 else f"{count} points"
    bound = (f"almost every fibre that is not empty is {points}{section.generic}: {section.words}",)
    return ClosedForm(
        fibres.outside(expression),
        "solving for x",
        bound,
        _Point(section),
        Attainment("attained", "attained where F(x) = β"),
        section.condition,
    )


@dataclass(frozen=True)
class _Point:
    section: Section

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        return self.section.point(beta)
