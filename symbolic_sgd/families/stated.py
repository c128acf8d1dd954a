"""What the theorem asks of a family of either kind: residuals as forms, a loss of a residual, and noise."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import sympy as sp

from symbolic_sgd import families
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput, BadSymbol
from symbolic_sgd.families.batches import batch_of, of_one_sample
from symbolic_sgd.families.cross_entropy import CrossEntropy, RedrawnClasses
from symbolic_sgd.families.loss_at_zero import LossAtZero
from symbolic_sgd.families.noise import SQUARES, Place, RedrawnLabels, loss_of_residual
from symbolic_sgd.families.tensor_model import Blocks, TensorModel
from symbolic_sgd.problems.noise import FamilyNoise
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.tensors.forms import Form, Index, Tensor

TARGETS = "targets"
"""The name of the data that outputs= are compared with."""

RESERVED = frozenset({"self", "check", "sigma", "sizes", "backend", TARGETS, "λ", "τ", "ζ", "ω", "κ", "G†"})
"""Names that data cannot have: keyword arguments beside them have some, arrays of the theorem the others."""


class StatedFamily(ABC):
    """L = (1/n) Σ_L ℓ(f_L) with residuals f of any size.

    A family states `parameters`, `noise`, `loss`, `constants`, and residuals, or outputs that are compared with targets.

    >>> from symbolic_sgd import models
    >>> family = models.matrix_sensing()
    >>> family.curvature, family.proportion, family.draws_samples
    (1, 1, True)
    """

    parameters: tuple[Any, ...]
    noise: FamilyNoise
    loss: Any
    constants: tuple[Any, ...]
    residual: Any
    outputs: Any = None

    independent: ClassVar[bool] = False
    """Whether the gradients of all residuals have to be independent."""

    @property
    def carries_samples(self) -> bool:
        """Whether the first axis of data is the index of the sample, the only one."""
        return True

    # --- the residuals ----------------------------------------------------------------------

    @cached_property
    @abstractmethod
    def model(self) -> TensorModel:
        """f as a form, with its derivatives."""

    @property
    @abstractmethod
    def labels(self) -> tuple[Index, ...]:
        """The indices of a sample."""

    @property
    def indices(self) -> tuple[sp.Symbol, ...]:
        """The same as symbols, where residuals are written with `Indexed` quantities; else ()."""
        return ()

    @property
    @abstractmethod
    def tensors(self) -> Mapping[str, Tensor]:
        """What arrays are given for, by name."""

    @property
    @abstractmethod
    def symbols(self) -> Mapping[str, Any]:
        """Parameters, data and constants as they were stated, by name."""

    @property
    @abstractmethod
    def sizes(self) -> frozenset[sp.Symbol]:
        """The symbols of sizes."""

    @property
    @abstractmethod
    def numbers(self) -> frozenset[sp.Symbol]:
        """Scalar constants."""

    @property
    def sample_places(self) -> tuple[Place, ...]:
        """The data of a sample that loss and noise may hold."""
        return ()

    def per_sample(self, expression: Any) -> Form:
        """What loss or noise say of a sample, as a form."""
        return Form.constant(sp.sympify(expression))

    def common(self, expression: Any) -> Form:
        """A scalar that all samples have in common, as a form.

        Raises:
            BadInput: and its subclasses: it is none.
        """
        form = self._scalar(expression)
        if form is None or form.free:
            raise BadInput(
                f"{expression} is no scalar that all samples have in common: give a function of the parameters, such as {self._example}, "
                "and of what is named in constants="
            )
        return form

    @abstractmethod
    def _scalar(self, expression: Any) -> Form | None:
        """An expression that is a scalar, as a form; None for a matrix."""

    @property
    @abstractmethod
    def _example(self) -> str:
        """A scalar in the parameters."""

    # --- loss and noise ---------------------------------------------------------------------

    @cached_property
    def at_zero(self) -> LossAtZero | None:
        """ℓ and the noise of one sample where f = 0; None for the cross-entropy."""
        return None if isinstance(self.loss, CrossEntropy) else LossAtZero(self.loss, of_one_sample(self.noise))

    @property
    def curvature(self) -> Any:
        """κ_i = ℓ″(0); None for the cross-entropy, whose curvature is a matrix."""
        return None if self.at_zero is None else self.at_zero.curvature

    @property
    def is_uniform(self) -> bool:
        """Whether κ is a number, the same for all samples."""
        return self.curvature is not None and not self.curvature.atoms(sp.Indexed)

    @cached_property
    def proportion(self) -> Expression | None:
        """c with Σ = c∇²L on Γ, where labels are the only noise and there is one."""
        if self.at_zero is None:
            return sp.S.One if isinstance(self.noise, RedrawnClasses) else None
        of_one = self.at_zero.proportion
        return None if of_one is None else of_one / batch_of(self.noise)

    @cached_property
    def variance(self) -> Expression | None:
        """ν_i with Σ = (1/n) Σ_i ν_i ∇f_i∇f_iᵀ on Γ, where labels are the only noise."""
        of_one = None if self.at_zero is None else self.at_zero.variance
        return None if of_one is None else of_one / batch_of(self.noise)

    @property
    def draws_samples(self) -> bool:
        """Whether a step draws some of the samples, in place of the full gradient."""
        of_labels = self.variance is not None or isinstance(self.noise, RedrawnClasses)
        return of_labels and batch_of(self.noise) != self.model.samples

    @cached_property
    def trace(self) -> Form:
        """tr ∇²L = (1/n) Σ_L κ_L‖∇f_L‖² on Γ, or (1/n) Σ_i tr(κ_i J_iJ_iᵀ) for classes."""
        model = self.model
        if self.is_uniform:
            return model.total_square.scaled(self.curvature / model.samples)
        if self.curvature is not None:
            return (model.squares * self.per_sample(self.curvature)).summed(*model.labels).scaled(1 / model.samples)
        own, other = model.labels[-1], model.primed()[model.labels[-1]]
        blocks = model.gram.renamed({b: a for a, b in model.primed().items() if a != own})
        count = len(model.labels) - 1
        swaps = ((*range(count + 2),), (*range(count), count + 1, count))
        k = Tensor("κ", tuple(i.size for i in (*model.labels, other)), labels=count, swaps=swaps)
        return (blocks * k.entry(*model.labels, other)).summed(*model.labels, other).scaled(1 / model.samples)

    @cached_property
    def trace_gradient(self) -> Blocks | None:
        """∇ tr ∇²L with the curvatures κ of Γ; None for classes, whose κ is no data."""
        return None if self.curvature is None else self.model.gradient_of(self.trace)

    # --- one member -------------------------------------------------------------------------

    def problem(self, *, sizes: Mapping[Any, int] | None = None, sigma: Any = None, **data: Any) -> Problem:
        """The member of the family with these data, in the symbols u_1, u_2, … or U_1_1, U_1_2, … of the entries of its parameters.

        Args:
            sizes: of what no array tells, by symbol.
            sigma: for `AnyNoise`, σ as a D×Ξ SymPy matrix, with a row for each entry of the parameters.
            data: every array and every constant by its name, as exact numbers; `targets=` for outputs.

        Raises:
            BadInput: and its subclasses.

        >>> from symbolic_sgd import models
        >>> models.difference_of_squares().problem(z=[[1, 2]], y=[3]).loss
        (u_1**2 + 2*u_2**2 - v_1**2 - 2*v_2**2 - 3)**2/2
        """
        return families.member.member(self, data, sizes or {}, sigma)

    # --- checks -----------------------------------------------------------------------------

    def _checked_loss(self) -> sp.Lambda:
        """ℓ, r²/2 where none is given, or what RedrawnLabels implies."""
        if isinstance(self.noise, RedrawnLabels):
            if self.loss not in (None, SQUARES, self.noise.loss):
                raise BadInput("loss: RedrawnLabels states the loss already; leave loss= out")
            return self.noise.loss
        return SQUARES if self.loss is None else loss_of_residual(self.loss, "loss")

    @staticmethod
    def _check_distinct(given: Sequence[str], others: Sequence[str]) -> None:
        """Names of parameters, data and constants, and of sizes and indices."""
        names = [*given, *others]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise BadSymbol(f"two different quantities are named {repeated[0]!r}: rename one")
        taken = sorted(RESERVED & set(given))
        if taken:
            raise BadSymbol(
                f"data and constants are given by name, and {taken[0]!r} means something else there: rename it"
            )
