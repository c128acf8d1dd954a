"""Whether a formula for R has singularities on Γ, where R itself is smooth."""

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.regularizer.one_form import RegularizationForm
from symbolic_sgd.regularizer.scatter import Batch, FloatManifold

FAR, NEWTON_STEPS, VANISHING, CONDITIONED = 20.0, 40, 1e-7, 1e-4
"""A function vanishes on Γ if Newton's method along Γ, so many steps of it and not further than this, makes it so small
where the nonzero eigenvalues of ∇²L do not differ by more than the last."""


def meets_singularities(
    expression: Expression, form: RegularizationForm, manifold: FloatManifold, batch: Batch
) -> bool:
    """Whether the argument of a logarithm, or a denominator, was seen to vanish on Γ (R itself is smooth there)."""
    for argument in _singular_arguments(expression):
        if _is_positive(argument):  # e^f, too, goes to zero, but only far away
            continue
        node = from_sympy(argument, form.graph)
        slope = gradient(node, form.variables)
        program = Program.of({"value": Matrix.column([node]), "slope": Matrix.column(slope)})
        if _descends_to_zero(program, manifold, batch):
            return True
    return False


def _is_positive(argument: Expression) -> bool:
    """Whether it is positive by its form for all real values of its symbols, as sums of exponentials are."""
    real = argument.xreplace({s: sp.Dummy(real=True, positive=s.is_positive) for s in argument.free_symbols})
    return bool(real.is_positive)


def _descends_to_zero(program: Program, manifold: FloatManifold, batch: Batch) -> bool:
    """Newton's method for f = 0 along Γ, from every point of a batch."""
    d, limit = manifold.problem.dimension, FAR * (1 + np.abs(batch.points).max())
    typical = np.median(np.abs(evaluate(program, manifold.problem.symbols, batch.points)["value"]))
    for _ in range(NEWTON_STEPS):
        seen = evaluate(program, manifold.problem.symbols, batch.points)
        along = np.einsum("sd,sdk->sk", seen["slope"], batch.tangent)
        size = np.sum(along**2, axis=1)[:, None] + 1e-300
        step = -np.einsum("sdk,sk->sd", batch.tangent, along * seen["value"] / size)
        longest = 0.3 * (1 + np.abs(batch.points[:, :d]).max(axis=1))[:, None]
        step *= np.minimum(1, longest / (np.linalg.norm(step, axis=1)[:, None] + 1e-300))
        moved = batch.points.copy()
        moved[:, :d] += step
        batch = manifold.settle(moved)
        stiffness = manifold.frame(batch.points)[1]
        # Where the rank drops Γ ends, and |∇²L|₊ goes to zero on the way.
        inside = stiffness[:, 0] > CONDITIONED * stiffness[:, -1]
        batch = batch.take(batch.valid & inside & (np.abs(batch.points).max(axis=1) < limit))
        if not len(batch.points):
            return False
        if np.any(np.abs(evaluate(program, manifold.problem.symbols, batch.points)["value"]) < VANISHING * typical):
            return True
    return False


def _singular_arguments(expression: Expression) -> list[Expression]:
    """The arguments of logarithms and the bases of negative powers."""
    logs = [f.args[0].args[0] if isinstance(f.args[0], sp.Abs) else f.args[0] for f in expression.atoms(sp.log)]
    return list(dict.fromkeys([*logs, *(p.args[0] for p in expression.atoms(sp.Pow) if p.args[1].is_negative)]))
