"""Preconditioned SGD: the noisy gradient is multiplied by a matrix, which may depend on where it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, nodes_of
from symbolic_sgd.errors import BadInput, BadShape
from symbolic_sgd.optimizers.kernel import Kernel
from symbolic_sgd.optimizers.optimizer import Forces, Iteration, Optimizer, stated_number, stated_rate
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.symbols import check_expression

if TYPE_CHECKING:
    from symbolic_sgd.problems.problem import Problem


@dataclass(frozen=True)
class Preconditioned(Optimizer):
    """x⁺ = x − ηS(x)(∇L + noise) for a symmetric positive definite S(x): preconditioned SGD, natural gradient descent.

    The fast field is F = S∇L. With A = SH, the projection P on ker A along its range (which is oblique), W = SΣS, the kernel of SGD in
    the eigenvectors of A, and F″[B] = S T[B] + 2Σ_i (∂_iS)HBe_i:

        drift = −½A^#F″[PWPᵀ] − PF″[A^#(I−P)WPᵀ] − ½PF″[C],   AC + CAᵀ − ηACAᵀ = (I−P)W(I−P)ᵀ,   diffusion PSσ,

    per t = kη² (kη²ε² where the learning rate stays). PS∇R is the gradient of R on Γ in the metric S⁻¹, and `sde.regularizer` is that R:
    mixed + normal regularization = −PS∇R.

    Args:
        preconditioner: S, D×D, in the parameters and the constants of the problem.
        learning_rate: η, a number or a positive symbol; None where it tends to 0.
        weight_decay: w, outside of S: x⁺ has −ηw·ηε²x besides (−ηw·ηx where η tends to 0), so that −wPx is added to the drift.

    Raises:
        BadInput: something that is no matrix, or none that is symmetric; a number that makes no sense.

    >>> Preconditioned(sp.diag(2, 1), learning_rate=0.25).time_unit
    epsilon**2/16
    """

    label: ClassVar[str] = "preconditioned SGD"
    in_metric: ClassVar[bool] = True

    preconditioner: Any
    learning_rate: Any = None
    weight_decay: Any = 0

    def __post_init__(self) -> None:
        own = object.__setattr__
        own(self, "preconditioner", stated_matrix(self.preconditioner, "the preconditioner"))
        own(self, "learning_rate", stated_rate(self.learning_rate))
        own(self, "weight_decay", stated_number(self.weight_decay, "weight_decay"))

    @property
    def kernel(self) -> Kernel:
        return SGD(self.learning_rate).kernel

    @property
    def edge(self) -> Expression | None:
        return SGD(self.learning_rate).edge

    @property
    def decay(self) -> Expression:
        return self.weight_decay

    @property
    def equation(self) -> str:
        return r"x_{k+1} = x_k - \eta\,S_{\!P}(x_k)\,(\nabla L(x_k) + \text{noise})"

    @property
    def stated_equation(self) -> str:
        rate, unit = sp.latex(self.rate), sp.latex(self.time_unit)
        slow = rf" - {unit}\,g(x_k)" if self.has_slow_field else ""
        numbers = [r", \quad \eta = " + rate] if self.is_finite and rate != r"\eta" else []
        return "".join([self.equation, slow, *numbers, r", \quad S_{\!P} = ", sp.latex(self.preconditioner)])

    @property
    def iteration(self) -> Iteration:
        raise NotImplementedError("the preconditioner is written in the parameters of a problem")

    @property
    def local_steps(self) -> int:
        return 1

    def metric(self, problem: "Problem") -> SymbolicMatrix:
        return self.preconditioner

    def check(self, problem: "Problem") -> None:
        d = problem.dimension
        if self.preconditioner.shape != (d, d):
            rows, columns = self.preconditioner.shape
            raise BadShape(
                f"the preconditioner is {rows}×{columns}, and the problem has {d} parameters: give a {d}×{d} Matrix"
            )
        known = (*problem.symbols, *self.own_symbols)
        for i in range(d):
            for j in range(d):
                check_expression(self.preconditioner[i, j], known, where=f"the preconditioner, entry ({i}, {j})")

    def iteration_of(self, problem: "Problem") -> Iteration:
        def update(state: Sequence[Matrix], forces: Forces, rate: Node) -> Sequence[Matrix]:
            (x,) = state
            here = dict(zip((rate.graph.symbol(s) for s in problem.parameters), x.entries, strict=True))
            s = nodes_of(self.preconditioner, rate.graph).replace(here)
            return (x - (s @ forces.drawn(x, 0) + forces.slow(x)).scaled(rate),)

        return Iteration(0, 1, 1, update)


def stated_matrix(value: Any, name: str) -> SymbolicMatrix:
    """A symmetric matrix of exact expressions.

    Raises:
        BadShape: it is not square.
        BadInput: it is no SymPy matrix, or not symmetric.
    """
    if not isinstance(value, sp.MatrixBase):
        raise BadInput(f"{name} is a {type(value).__name__}; give a SymPy Matrix, D×D")
    if value.rows != value.cols or not value.rows:
        raise BadShape(f"{name} is {value.rows}×{value.cols}; it has to be square, one row for each parameter")
    for i, entry in enumerate(value.flat()):
        check_expression(entry, tuple(entry.free_symbols), where=f"{name}, entry ({i // value.cols}, {i % value.cols})")
    unlike = [(i, j) for i in range(value.rows) for j in range(i) if sp.simplify(value[i, j] - value[j, i]) != 0]
    if unlike:
        i, j = unlike[0]
        raise BadInput(f"{name} is not symmetric: its entries ({i}, {j}) and ({j}, {i}) differ")
    matrix: Any = sp.ImmutableDenseMatrix(value)
    return matrix
