"""What the theorem needs of a loss ℓ of residuals where they vanish: ℓ″(0), and the variance of its noise."""

from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import BadInput, DegenerateMinimum, ExpressionTooLarge, NoMinimum, SymbolicSGDError, Undecided
from symbolic_sgd.families.noise import Place
from symbolic_sgd.problems.noise import FamilyNoise, LabelLaw, LabelNoise
from symbolic_sgd.theorem.rational_forms import shortest_forms


@dataclass(frozen=True)
class LossAtZero:
    """ℓ near f = 0; where residuals have indices, in data of the sample i.

    Args:
        loss: ℓ.
        noise: what was stated.

    Raises:
        NoMinimum: ℓ′(0) is not zero: f = 0 is no stationary point.
        DegenerateMinimum: ℓ″(0) is not positive.
        BadInput: label noise where ℓ is not quadratic, or probabilities that do not add up.
    """

    loss: sp.Lambda
    noise: FamilyNoise

    def __post_init__(self) -> None:
        slope = derivative_at_zero(self.loss, 1)
        if slope != 0:
            raise NoMinimum(f"loss: ℓ′(0) = {slope} is not zero: f = 0 does not minimise ℓ")
        self._check_probabilities()
        if self.curvature.xreplace(_stand_ins(self.curvature)).is_nonpositive:
            raise DegenerateMinimum(f"loss: ℓ″(0) = {self.curvature} is not positive")
        if isinstance(self.noise, LabelNoise) and not self._is_quadratic:
            raise BadInput(
                "noise: LabelNoise moves labels by ±δ, which leaves the loss as it is for quadratic ℓ only; state the losses "
                "of the labels with RedrawnLabels"
            )

    @cached_property
    def curvature(self) -> Expression:
        """κ_i = ℓ″(0)."""
        return derivative_at_zero(self.loss, 2)

    @cached_property
    def laws(self) -> tuple[LabelLaw, ...] | None:
        """(p_k, ℓ_k) of the labels of a sample, where labels are the only noise."""
        return self.noise.laws_of(self.loss)

    @cached_property
    def variance(self) -> Expression | None:
        """ν_i = Σ_k p_k ℓ_k′(0)², with Σ = Σ_i ν_i ∇f_i∇f_iᵀ/n on Γ, where labels are the only noise."""
        if self.laws is None:
            return None
        slopes = [(p, _derivative(loss, 1)) for p, loss in self.laws]
        return sp.Add(*(p * slope**2 for p, slope in slopes))

    @cached_property
    def proportion(self) -> Expression | None:
        """c with Σ = c∇²L on Γ, where label noise has one: ν_i = cκ_i for all samples."""
        if self.variance is None:
            return None
        ratio = reduced(self.variance / self.curvature)
        return None if ratio.atoms(sp.Indexed) else ratio

    def _check_probabilities(self) -> None:
        if self.laws is None:
            return
        rest = reduced(sp.Add(*(p for p, _ in self.laws)) - 1)
        if rest != 0:
            raise BadInput(f"noise: the probabilities of the labels add up to {rest + 1} instead of 1")

    @property
    def _is_quadratic(self) -> bool:
        (r,) = self.loss.variables
        expression: Expression = self.loss.expr
        return bool(expression.is_polynomial(r) and sp.Poly(expression, r).degree() <= 2)


def derivative_at_zero(loss: sp.Lambda, order: int) -> Expression:
    """ℓ^{(k)}(0), reduced."""
    return reduced(_derivative(loss, order))


def _derivative(loss: sp.Lambda, order: int) -> Expression:
    (r,) = loss.variables
    slope: Expression = sp.diff(loss.expr, r, order)
    return slope.xreplace({r: sp.S.Zero})


def reduced(expression: Expression) -> Expression:
    """A reduced fraction, functions of one variable and data being generators; 0 comes out as 0.

    Raises:
        Undecided: the expression is beyond the exact forms.
    """
    plain = _stand_ins(expression)
    try:
        (form,) = shortest_forms([from_sympy(expression.xreplace(plain), Graph())])
    except ExpressionTooLarge as error:
        raise Undecided(f"{expression} was not reduced exactly: state the loss more simply") from error
    except (SymbolicSGDError, ZeroDivisionError) as error:
        raise Undecided(f"{expression} was not reduced exactly: {error}") from error
    return form.xreplace({s: a for a, s in plain.items()})


def _stand_ins(expression: Expression) -> dict[Place, sp.Dummy]:
    """Real symbols for data."""
    places = sorted(expression.atoms(sp.Indexed), key=str)
    return {a: sp.Dummy(str(a.base.label), real=True, positive=a.base.is_positive) for a in places}
