"""What the noiseless iteration of an optimizer conserves, and how strong its noise is there.

Where I∘Φ = I for the limit Φ of that iteration, two derivatives of it give on Γ, for every noise,

    dI = √τ ∇Iᵀσ dW + (τ/2 ⟨∇²I, Σ⟩ − ∇I·g) dt,

without ∂Φ, ∇²L and its derivatives: ∇I·∂Φ = ∇I, and ∇I·∂²Φ[Σ] + ⟨∇²I, ∂ΦΣ∂Φ⟩ = ⟨∇²I, Σ⟩.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from weakref import WeakKeyDictionary

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.combinations import rank_of, vanishing_combinations
from symbolic_sgd.algebra.differentiate import gradient
from symbolic_sgd.algebra.graph import Graph, replace_nodes
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.errors import NoCharges, ProblemTooLarge
from symbolic_sgd.flow.ansatz import ansatz
from symbolic_sgd.flow.dual_coordinates import find_dual_coordinates
from symbolic_sgd.flow.first_integrals import IntegralSearch, without_moduli
from symbolic_sgd.flow.limit import SEED, linear_forms
from symbolic_sgd.manifold.manifold import find_manifold
from symbolic_sgd.optimizers.kernel import A, B
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.optimizers.sgd import SGD
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.rational.linear_algebra import independent, primitive
from symbolic_sgd.symmetries.symmetries import find_symmetries
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.response import KernelResponse


@dataclass(frozen=True)
class Conserved:
    """A function I that the noiseless iteration conserves.

    Args:
        expression: I.
        generator: S with I = ½xᵀSx, where it belongs to a linear symmetry of what the loss is composed of; else None.
        proof: how it is known, in words.
    """

    expression: Expression
    generator: SymbolicMatrix | None
    proof: str


def conserved(derivation: Derivation, *, further: bool = True) -> tuple[Conserved, ...]:
    """Functions that the optimizer's own noiseless iteration conserves: all that were found, independent of each other.

    SGD, momentum at a fixed β and coloured noise, as the learning rate tends to 0, follow the gradient flow: its first integrals. At a
    learning rate that stays: those that the steps themselves conserve, which are the linear ones, and of SGD others that are proved.

    Args:
        derivation: whose optimizer.
        further: whether the flow's first integrals that belong to no linear symmetry are sought, too (seconds).

    Raises:
        NoCharges: no such function is known for this optimizer; why, and what to change.
    """
    known = _FOUND.setdefault(derivation.stated, {})
    asked = derivation.optimizer, further and derivation.in_matrices is None
    if asked not in known:
        known[asked] = _searched(derivation, asked[1])
    return known[asked]


_FOUND: WeakKeyDictionary[Problem, dict[tuple[Optimizer, bool], tuple[Conserved, ...]]] = WeakKeyDictionary()
"""Kept while their problem lives: charges and the check of them ask for the same."""


def noise_strength(derivation: Derivation) -> Expression:
    """τ: how many times the covariance of the noise on Γ is that of one draw."""
    return derivation.optimizer.tangent_factor


def slow_fields(derivation: Derivation) -> list[tuple[Expression, ...]]:
    """g of every drift −∂Φg that is not the noise's own."""
    return list(derivation.optimizer.drift_fields(derivation.problem).values())


def follows_flow(derivation: Derivation) -> bool:
    """Whether the limit is that of the gradient flow with noise τΣ: k(a, b) = τ/(a + b)."""
    kernel = derivation.response.kernel
    if kernel is None or not derivation.response.in_parameters or derivation.response.is_still:
        return False
    gap = kernel.function(A, B) * (A + B) - noise_strength(derivation)
    return sp.cancel(gap) == 0 if kernel.by_polynomials else False


def _searched(derivation: Derivation, further: bool) -> tuple[Conserved, ...]:
    optimizer = derivation.optimizer
    if not derivation.response.in_parameters or optimizer.curves_noise or not optimizer.uses_noise:
        raise NoCharges(
            f"what the noiseless iteration of {optimizer.label} conserves is not known here: charges are known of optimizers that step "
            "along the gradient with additive noise. Derive the limit of SGD(), HeavyBall(momentum=…) or Nesterov(momentum=…) for them"
        )
    if follows_flow(derivation):
        return tuple(_of_flow(derivation, further))
    found = _of_steps(derivation)
    if not found:
        raise NoCharges(
            f"no function was found that the steps of {optimizer.label} conserve without noise: they need not conserve what the gradient "
            "flow does. All first integrals of the flow are charges where the learning rate tends to 0 in SGD(), HeavyBall(momentum=…), "
            "Nesterov(momentum=…) or ColouredNoise(…): leave out what keeps it (learning_rate=, friction=, round_time=)"
        )
    return tuple(found)


def _of_flow(derivation: Derivation, further: bool) -> list[Conserved]:
    """Linear integrals; those of symmetric generators that are no products of linear ones; and others, independent of all these."""
    quadratic, integrals = list(_of_symmetries(derivation, further)), _integrals(derivation) if further else []
    linear = [c for c in integrals if _is_linear(c.expression, derivation)]
    slopes = [sp.Matrix([sp.diff(c.expression, x) for x in derivation.problem.parameters]) for c in linear]
    products = [list(a * b.T + b * a.T) for a, b in combinations_with_replacement(slopes, 2)]
    own = independent([*products, *(list(c.generator) for c in quadratic if c.generator is not None)])
    kept = [quadratic[k - len(products)] for k in own if k >= len(products)]
    return _independent(derivation, [*linear, *kept], integrals)


def _of_symmetries(derivation: Derivation, further: bool) -> Iterator[Conserved]:
    """½xᵀSx for the symmetric generators S.

    Raises:
        ProblemTooLarge: they were not found, and nothing `further` is sought that would make up for them.
    """
    try:
        found = find_symmetries(derivation)
    except ProblemTooLarge:
        if further:
            return
        raise
    parameters = derivation.problem.parameters
    for generator in found.symmetric:
        places = [(i, j) for i, j in product(range(generator.rows), repeat=2) if generator[i, j] != 0]
        expression = _primitive(
            sp.Add(*(generator[i, j] * parameters[i] * parameters[j] for i, j in places)), derivation
        )
        bends = {(i, j): sp.diff(expression, parameters[i], parameters[j]) for i, j in places}
        hessian = sp.ImmutableDenseMatrix(
            *generator.shape, lambda i, j, bends=bends: bends.get((int(i), int(j)), sp.S.Zero)
        )
        proof = "∇f·Xx is identically zero for a symmetric X and all functions f that the loss is composed of"
        yield Conserved(expression, hessian, proof)


def _primitive(form: Expression, derivation: Derivation) -> Expression:
    """The multiple of a form without common factors in its coefficients."""
    polynomial = sp.Poly(form, *derivation.problem.parameters)
    monomials = [sp.Mul(*(x**e for x, e in zip(polynomial.gens, m, strict=True))) for m in polynomial.monoms()]
    return sp.Add(*(c * m for c, m in zip(primitive(polynomial.coeffs()), monomials, strict=True)))


def _integrals(derivation: Derivation) -> list[Conserved]:
    """First integrals of the gradient flow of the loss, in the cell in which it is smooth."""
    manifold = find_manifold(derivation.stated)
    search = IntegralSearch(manifold.problem, manifold.landscape, np.random.default_rng(SEED))
    found = search.find(ansatz(manifold.problem, linear_forms(manifold.problem)))
    if len(found) < manifold.dimension:
        dual = find_dual_coordinates(manifold, search)
        found += [] if dual is None else list(dual.integrals)
    return [Conserved(integral.expression, None, integral.proof) for integral in found]


def _independent(derivation: Derivation, kept: Sequence[Conserved], further: Sequence[Conserved]) -> list[Conserved]:
    """The first ones, and those of the others whose gradients are independent of the gradients before them at general points."""
    graph, found = Graph(), list(kept)
    variables = [graph.symbol(s) for s in derivation.problem.parameters]
    slope = lambda c: gradient(from_sympy(without_moduli(c.expression), graph), variables)  # noqa: E731
    slopes = [slope(c) for c in found]
    rank = rank_of(slopes) if slopes else 0
    for candidate in further:
        extended = [*slopes, slope(candidate)]
        if rank_of(extended) > rank:
            found, slopes, rank = [*found, candidate], extended, rank + 1
    return found


def _of_steps(derivation: Derivation) -> list[Conserved]:
    """What the steps conserve: linear integrals, for steps and their noise add up; for SGD on the full gradient also any other I with
    I(x − η∇L) ≡ I(x)."""
    found = _integrals(derivation)
    linear = [c for c in found if _is_linear(c.expression, derivation)]
    proof = "a·∇L is identically zero, so that a·x moves by its noise alone"
    steps = [Conserved(c.expression, None, proof) for c in linear]
    if isinstance(derivation.optimizer, SGD) and isinstance(derivation.response, KernelResponse):
        steps += _of_map(derivation, [c for c in found if c not in linear])
    return _independent(derivation, [], steps)


def _is_linear(expression: Expression, derivation: Derivation) -> bool:
    parameters = derivation.problem.parameters
    return bool(expression.is_polynomial(*parameters)) and sp.Poly(expression, *parameters).total_degree() == 1


def _of_map(derivation: Derivation, candidates: Sequence[Conserved]) -> list[Conserved]:
    """First integrals of the flow, and combinations of them, with I(x − η∇L) ≡ I(x)."""
    landscape = derivation.problem.landscape()
    graph = landscape.graph
    rate = from_sympy(derivation.optimizer.rate, graph)
    moved = {x: x - rate * slope for x, slope in zip(landscape.variables, landscape.gradient.entries, strict=True)}
    products = {c: e for c in candidates if (e := _exponential(c.expression)) is not None}
    others = [c for c in candidates if c not in products]
    before = [from_sympy(e, graph) for e in (*products.values(), *(c.expression for c in others))]
    gaps = [a - b for a, b in zip(replace_nodes(before, moved), before, strict=True)]
    proof = "I(x − η∇L) − I(x) is identically zero"
    known = zip(products, zero_functions(gaps[: len(products)]), strict=True)
    found = [Conserved(c.expression, None, proof) for c, zero in known if zero]
    for row in vanishing_combinations([[gap] for gap in gaps[len(products) :]]).basis:
        parts = (sp.Rational(a.numerator, a.denominator) * c.expression for a, c in zip(row, others, strict=True))
        found.append(Conserved(sp.Add(*parts), None, proof))
    return found


def _exponential(expression: Expression) -> Expression | None:
    """Π ℓ_j^{k_j} of Σ k_j ln|ℓ_j| with integers k_j, which is conserved if and only if it is; None for what is no such sum."""
    powers = []
    for term in sp.Add.make_args(without_moduli(expression)):
        factor, logarithm = term.as_coeff_Mul()
        if not factor.is_Integer or not isinstance(logarithm, sp.log):
            return None
        powers.append(logarithm.args[0] ** factor)
    return sp.Mul(*powers)
