"""RMSprop and Adam on a family with label noise, where the second moments have settled: tr Diag(∇²L)^{1/2} and its like.

With Σ = c∇²L, S(v) = 1/(vᵖ + e) = ω′(v) for each entry and v⁺ = v + (1 − β₂)(g² − v), the slow system of (x, v) descends a joint
potential as η → 0. As the rate of v grows v settles at c Diag ∇²L, and dx = −∂Φ_S S∇R dt with R = ¼ Σ_k ω(c(∇²L)_kk): the sum is over
all entries of all parameters, S is that of the settled v, and ∂Φ_S = I − SJᵀG_S†J, G_S = JSJᵀ.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import BadInput, SingularPoint, Undecided
from symbolic_sgd.families.arrays import FamilyArrays
from symbolic_sgd.families.curvature_letters import CurvatureLetters
from symbolic_sgd.families.matrix_definitions import Definition
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.families.tensor_model import Blocks, TensorModel
from symbolic_sgd.families.tensor_point import TensorPoint, Vector
from symbolic_sgd.optimizers.kernel import A
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.second_moments import EachByItself
from symbolic_sgd.tensors.entrywise import Entrywise, X
from symbolic_sgd.tensors.forms import Form, Tensor, added, applied
from symbolic_sgd.tensors.formula import MatrixFormula

MULTIPLIERS = "λ = G_S†J S∇R, G_S = JSJᵀ", r"\lambda = G_S^{\dagger}J\,S\nabla R,\qquad G_S = J S J^{\top}"
"""Text and LaTeX of the multipliers of the drift S(Σ λ_L∇f_L − ∇R)."""


@dataclass(frozen=True)
class SettledMoments:
    """R = ¼ Σ ω(c Diag ∇²L) and what descends it, for every size.

    Args:
        family: with Σ = c∇²L on Γ.
        optimizer: RMSprop or Adam, η → 0, without weight decay.

    Raises:
        BadInput: another optimizer.
        Undecided: other noise, a learning rate that stays, or weight decay: no potential is known there.

    >>> from symbolic_sgd import RMSprop, models
    >>> print(SettledMoments(models.full_factorization(), RMSprop(second_moment_rate=1)).regularizer)
    sqrt(d2)/(2 sqrt(d1)) ⟨𝟏, diag(Uᵀ U)^∘(1/2)⟩ + sqrt(d1)/(2 sqrt(d2)) ⟨𝟏, diag(Vᵀ V)^∘(1/2)⟩
    """

    family: StatedFamily
    optimizer: Optimizer

    def __post_init__(self) -> None:
        stated = self.optimizer
        if not isinstance(stated, EachByItself):
            raise BadInput(
                f"{stated.label} has no second moment for each entry by itself: give RMSprop(second_moment_rate=c) or Adam(…); one member "
                "of the family is derived for every optimizer by derive_limiting_sde(family.problem(…), optimizer=…)"
            )
        reasons = (
            (self.family.proportion is None, "the noise is no multiple of ∇²L on Γ"),
            (self.family.curvature is None, "the curvature of a cross-entropy is no number"),
            (stated.is_finite, "where η stays v settles at a solution of an equation that is not written out"),
            (stated.weight_decay != 0, "weight decay beside the scaled step is no gradient in the metric of S"),
        )
        for holds, reason in reasons:
            if holds:
                raise Undecided(
                    f"no regularizer of settled second moments is known: {reason}; it is known for label noise without weight decay as the "
                    "learning rate tends to 0"
                )

    @property
    def model(self) -> TensorModel:
        """f and its derivatives."""
        return self.family.model

    @property
    def regularizer(self) -> MatrixFormula:
        """R = ¼ Σ ω(c Diag ∇²L), up to a constant."""
        return MatrixFormula(self._potential, (), self._functions)

    @property
    def moments(self) -> dict[Any, MatrixFormula]:
        """v = c Diag ∇²L, by parameter."""
        return self._formulas({p.name: self._diagonal(p) for p in self.model.parameters})

    @property
    def drift(self) -> dict[Any, MatrixFormula]:
        """S(Jᵀλ − ∇R), by parameter, in the entries of S."""
        parts = {name: added([self.model.back[name], slope.scaled(-1)]) for name, slope in self.slopes.items()}
        return self._formulas({p.name: self._named(p) * parts[p.name] for p in self.model.parameters})

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """What the drift names."""
        stated: Any = self.optimizer
        found = [Definition("λ", *MULTIPLIERS), self._scaling_of(stated)]
        if not self._is_power:
            letters = CurvatureLetters.of(self.family)
            (e, tex), omega = letters.first, stated.primitive([self._scale * A])
            found.append(Definition("ω", f"ω({e}) = {letters.text(omega)}", rf"\omega({tex}) = {letters.latex(omega)}"))
        return tuple(found)

    def _scaling_of(self, stated: Any) -> Definition:
        power = rf"v^{{{sp.latex(stated.exponent)}}}", f"v^({stated.exponent})"
        further = (
            ("", "") if stated.stabilizer == 0 else (f" + {sp.latex(stated.stabilizer)}", f" + {stated.stabilizer}")
        )
        text = f"S = 1/({power[1]}{further[1]}) entry by entry, v = c Diag ∇²L"
        return Definition(
            "S",
            text,
            rf"S = \frac{{1}}{{{power[0]}{further[0]}}}\ \text{{entry by entry}},\qquad v = c\,\mathrm{{Diag}}\,\nabla^2L",
        )

    def on(self, arrays: FamilyArrays) -> "SettledArrays":
        """The same as array code."""
        return SettledArrays(self, arrays)

    # --- forms ------------------------------------------------------------------------------

    @property
    def _scale(self) -> Any:
        """cκ/n; c/n where κ is data of the samples."""
        family: Any = self.family
        return family.proportion * (family.curvature if family.is_uniform else 1) / self.model.samples

    def _squares(self, p: Tensor) -> Form:
        """Σ_L (∂f_L)², entry by entry; each times κ_L where that is data."""
        slope = self.model.gradient[p.name]
        weight = Form.constant(sp.S.One) if self.family.is_uniform else self.family.per_sample(self.family.curvature)
        return (slope * slope * weight).summed(*self.model.labels)

    def _named(self, p: Tensor) -> Form:
        """S of a parameter, by its name."""
        return Tensor(f"S:{p.name}", p.shape).entry(*self.model.slots(p))

    def _diagonal(self, p: Tensor) -> Form:
        return self._squares(p).scaled(self._scale)

    def _scaling(self, p: Tensor) -> Form:
        stated: Any = self.optimizer
        if stated.stabilizer == 0:
            return applied(Entrywise(X**-stated.exponent), self._squares(p)).scaled(self._scale**-stated.exponent)
        return applied(Entrywise(1 / ((self._scale * X) ** stated.exponent + stated.stabilizer)), self._squares(p))

    @cached_property
    def _potential(self) -> Form:
        stated: Any = self.optimizer
        power = 1 - stated.exponent
        if self._is_power:
            function, factor = Entrywise(X**power), self._scale**power / power
        else:
            function, factor = Entrywise(stated.primitive([self._scale * X])), 1
        parts = [applied(function, self._squares(p)).summed(*self.model.slots(p)) for p in self.model.parameters]
        return added(parts).scaled(sp.sympify(factor) / 4)

    @property
    def _functions(self) -> tuple[tuple[Any, str], ...]:
        """ω(cκ/n ·), where it is no power."""
        stated: Any = self.optimizer
        return () if self._is_power else ((stated.primitive([self._scale * X]), "ω"),)

    @property
    def _is_power(self) -> bool:
        stated: Any = self.optimizer
        return stated.stabilizer == 0 and stated.exponent != 1

    @cached_property
    def slopes(self) -> Blocks:
        """∇R = ¼∇⟨S, c Diag ∇²L⟩ with S frozen, since S = ω′(v), in the entries of S."""
        parts = [(self._named(p) * self._squares(p)).summed(*self.model.slots(p)) for p in self.model.parameters]
        return self.model.gradient_of(added(parts).scaled(self._scale / 4))

    @cached_property
    def scalings(self) -> Blocks:
        """S = 1/(vᵖ + e) at the settled v, by parameter."""
        return {p.name: self._scaling(p) for p in self.model.parameters}

    @cached_property
    def gram(self) -> Form:
        """G_S, in the entries of S."""
        model, once = self.model, self.model.primed()
        parts = []
        for p in model.parameters:
            slope = model.gradient[p.name]
            parts.append((slope * self._named(p) * slope.renamed(once)).summed(*model.slots(p)))
        return added(parts)

    def _formulas(self, blocks: Blocks) -> dict[Any, MatrixFormula]:
        return {
            symbol: MatrixFormula(blocks[p.name], self.model.slots(p))
            for symbol, p in zip(self.family.parameters, self.model.parameters, strict=True)
        }

    def __repr__(self) -> str:
        lines = [f"dx = −∂Φ_S S∇R dt, R = {self.regularizer}"]
        lines += [f"  v_{symbol} = {block}" for symbol, block in self.moments.items()]
        return "\n".join([*lines, *(f"  {d}" for d in self.definitions)])


@dataclass(frozen=True)
class _ScaledPoint(TensorPoint):
    """With G_S in the place of G.

    Args:
        settled: S, as forms.
    """

    settled: SettledMoments | None = None

    @cached_property
    def scaling(self) -> Vector:
        """S, entry by entry.

        Raises:
            SingularPoint: an entry that no residual depends on.
        """
        assert self.settled is not None
        with np.errstate(divide="ignore"):  # an infinite scaling is told below
            found = self._vector(self.settled.scalings, {})
        if not all(bool(self.arrays.module.isfinite(a).all()) for a in found):
            raise SingularPoint(
                "no residual depends on an entry of the parameters there, and its second moment is 0: give a stabilizer"
            )
        return found

    @property
    def _weights(self) -> dict[str, Any]:
        return {f"S:{p.name}": s for p, s in zip(self.model.parameters, self.scaling, strict=True)}

    def scaled(self, vector: Vector) -> Vector:
        """Sv."""
        return Vector(s * v for s, v in zip(self.scaling, vector, strict=True))

    @cached_property
    def gram(self) -> Any:
        assert self.settled is not None
        found = self._with(self._weights, self.settled.gram).reshape((self.count, self.count))
        return self.rooted(self.rooted(found).T)

    @property
    def drift(self) -> Vector:
        """−∂Φ_S S∇R."""
        assert self.settled is not None
        steepest = self.scaled(self._vector(self.settled.slopes, self._weights))
        return self.scaled(self.back(self.solve(self.along(steepest)))) - steepest


@dataclass(frozen=True)
class SettledArrays:
    """R, v and the drift on arrays, at a single point.

    Args:
        settled: the formulas.
        arrays: the data.

    >>> from symbolic_sgd import RMSprop, derive_limiting_sde, models
    >>> sde = derive_limiting_sde(models.full_factorization())
    >>> arrays = sde.lambdify(Y=np.array([[2.0, 4]]))
    >>> settled = sde.settled_moments(RMSprop(second_moment_rate=1)).on(arrays)
    >>> round(settled.regularizer(np.array([[2.0]]), np.array([[1.0], [2]])), 6)
    2.204783
    """

    settled: SettledMoments
    arrays: FamilyArrays

    def regularizer(self, *x: Any) -> float:
        """R = ¼ Σ ω(c Diag ∇²L), up to a constant.

        Args:
            x: an array for each parameter, of its shape.
        """
        return float(np.asarray(self._at(*x).arrays.value(self.settled.regularizer.form)))

    def moments(self, *x: Any) -> tuple[Any, ...]:
        """v = c Diag ∇²L, an array for each parameter.

        Args:
            x: an array for each parameter, of its shape.
        """
        at = self._at(*x).arrays
        return tuple(at.value(block.form) for block in self.settled.moments.values())

    def drift(self, *x: Any) -> tuple[Any, ...]:
        """−∂Φ_S S∇R, an array for each parameter.

        Args:
            x: an array for each parameter, of its shape.
        """
        point = self._at(*x)
        scaled = _ScaledPoint(point.model, point.arrays, point.samples, root=point.root, settled=self.settled)
        return tuple(scaled.drift)

    def _at(self, *x: Any) -> TensorPoint:
        return self.arrays.checked(*x)
