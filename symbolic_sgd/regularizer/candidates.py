"""The functions among whose linear combinations R is sought, the simplest first.

Adding a kind of function means adding a row to `FAMILIES`. Every candidate is f or ln|f| with an f that is meromorphic
wherever the loss and the noise are analytic. That is what makes an R found among them single-valued: where such a
combination has a bounded derivative on Γ, its singularities there are removable (no pole, no logarithm and no jump is left).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement, product

import sympy as sp

from symbolic_sgd.algebra.graph import Node, reachable
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.multiplied_out import multiplied_out
from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix
from symbolic_sgd.regularizer.one_form import RegularizationForm
from symbolic_sgd.regularizer.up_to_constant import positive_by_form
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.normal_space import ComposedFrame, Framed, Frameless

SHORT = 80
"""Operations of a natural quantity that is used in an ansatz."""

LARGEST_FAMILY = 160
"""Candidates of one family: monomials of high degree are left out where there are more."""

MOST_DENOMINATORS = 3
"""Denominators that quotients are made with, the shortest first."""

MOST_FUNCTIONS = 8
"""Functions of the loss and of the noise that are taken as letters."""

LARGEST_MINOR = 3
"""Rows of determinants that are written out."""

DEGREE = 6
"""Highest degree of a monomial."""

POWERS = (0, 1, 2, -1, -2, 4, 3, -3, -4)
"""Powers of a constant with which a term is multiplied, the first ones where there are several constants."""

LARGEST_FACTORS = 36
"""Monomials of the constants that multiply each term."""

NOT_ANALYTIC = (sp.Abs, sp.sign, sp.Max, sp.Min, sp.Heaviside)


@dataclass(frozen=True)
class Ingredients:
    """What the candidates are made from.

    Args:
        derivation: the finished derivation.
        form: the regularization, whose denominators are natural ones for R too.
    """

    derivation: Derivation
    form: RegularizationForm

    @cached_property
    def letters(self) -> tuple[Expression, ...]:
        """The parameters, and the functions of them that the loss and the noise are written with."""
        problem = self.derivation.problem
        stated = sp.Tuple(problem.loss, *problem.noise.expressions)
        found = {f for f in stated.atoms(sp.Function, sp.Pow) if _is_letter(f, set(problem.parameters))}
        partners = {g(f.args[0]) for f in found for g in _PARTNERS.get(type(f), ())}
        functions = sorted(found | partners, key=lambda f: (operations(f), sp.default_sort_key(f)))
        return (*problem.parameters, *functions[:MOST_FUNCTIONS])

    @cached_property
    def natural(self) -> tuple[Expression, ...]:
        """Where they are short: tr ∇²L, the diagonal of ∇²L, the curvatures, the minors of FᵀF (without a frame, e_1 … e_M),
        tr Σ and tr ∇²LΣ."""
        blocks = self.derivation.blocks
        hessian, factor = _expanded(blocks, "hessian"), _expanded(blocks, "noise_factor")
        diagonal = [] if hessian is None else [hessian[i, i] for i in range(hessian.rows)]
        noise = [] if factor is None else [sum(e**2 for e in factor)]
        if hessian is not None and factor is not None:
            noise.append(sum(e for k in range(factor.cols) for e in factor[:, k].T * hessian * factor[:, k]))
        space = self.derivation.normal_space
        known = _expanded(space.curvature, "curvature") if isinstance(space, ComposedFrame) else None
        curvatures = () if known is None else known.diagonal()
        return self._distinct([sum(diagonal), *diagonal, *curvatures, *self._minors(), *noise])

    def _minors(self) -> Iterator[Expression]:
        space = self.derivation.normal_space
        if isinstance(space, Frameless):
            yield from _expanded(space.symmetric, "symmetric") or ()
        frame = self._frame
        if frame is not None:
            gram = (frame.T * frame).applyfunc(multiplied_out)
            for n in range(1, min(frame.cols, LARGEST_MINOR) + 1):
                yield gram[:n, :n].det(method="berkowitz")
            yield from (gram[i, i] for i in range(1, frame.cols))

    @cached_property
    def _frame(self) -> SymbolicMatrix | None:
        """F, where there is one and it is short."""
        space = self.derivation.normal_space
        return _expanded(space.frame, "frame") if isinstance(space, Framed) else None

    @cached_property
    def normal_variance(self) -> tuple[Expression, ...]:
        """tr Σ_⊥ = tr(adj(FᵀF) FᵀΣF)/det FᵀF, where it is short."""
        frame, factor = self._frame, _expanded(self.derivation.blocks, "noise_factor")
        if frame is None or factor is None or frame.cols > LARGEST_MINOR:
            return ()
        gram = (frame.T * frame).applyfunc(multiplied_out)
        across = frame.T * factor
        top = multiplied_out((gram.adjugate() * across * across.T).trace())
        bottom = multiplied_out(gram.det(method="berkowitz"))
        size = operations(top) + operations(bottom)
        if size > 8 * SHORT:
            return ()
        return (sp.cancel(top / bottom),) if size <= 2 * SHORT else (_factored(top) / _factored(bottom),)

    @cached_property
    def denominators(self) -> tuple[Expression, ...]:
        """What the regularization is divided by, where it is short."""
        found = dict.fromkeys(n.args[1] for n in reachable(self.form.field.entries) if n.op == "div")
        return self._distinct([e for n in found for e in _factors(n)])

    def _distinct(self, expressions: Sequence[Expression]) -> tuple[Expression, ...]:
        """Those that are short and depend on the parameters, without numeric factors, the shortest first."""
        short = [_factored(multiplied_out(e)) for e in map(sp.sympify, expressions) if operations(e) <= 3 * SHORT]
        primitive = dict.fromkeys(e.as_coeff_Mul()[1] for e in short if operations(e) <= SHORT)
        trained = set(self.derivation.problem.parameters)
        return tuple(sorted((e for e in primitive if e.free_symbols & trained), key=operations))

    def monomials(self, degree: int, *, room: int = LARGEST_FAMILY) -> list[Expression]:
        """The monomials of the letters up to a degree, the lower degrees first, as far as there is room."""
        found: list[Expression] = []
        for n in range(1, degree + 1):
            more = [sp.Mul(*chosen) for chosen in combinations_with_replacement(self.letters, n)]
            if len(found) + len(more) > room:
                break
            found.extend(more)
        return found


def _factored(expression: Expression) -> Expression:
    """Without repeated factors: (x + 2y)² for x² + 4xy + 4y²; of what is not short only the content is taken out."""
    symbols = sorted(expression.free_symbols, key=str)
    if not symbols or not expression.is_polynomial(*symbols):
        return sp.factor_terms(expression) if operations(expression) <= SHORT else expression
    if operations(expression) > SHORT:
        content, primitive = sp.Poly(expression, *symbols).primitive()
        return content * primitive.as_expr()
    coefficient, factors = sp.Poly(expression, *symbols).sqf_list()
    if coefficient < 0 and any(k % 2 for _, k in factors):  # 4 − x², and not x² − 4: quantities are positive on Γ
        odd = next(i for i, (_, k) in enumerate(factors) if k % 2)
        coefficient, factors[odd] = -coefficient, (-factors[odd][0], factors[odd][1])
    return sp.Mul(coefficient, *[sp.factor_terms(f.as_expr()) ** k for f, k in factors])


_PARTNERS = {sp.sin: (sp.cos,), sp.cos: (sp.sin,), sp.sinh: (sp.cosh,), sp.cosh: (sp.sinh,)}


def _is_letter(f: sp.Basic, trained: set[sp.Symbol]) -> bool:
    if not f.free_symbols & trained or f.has(*NOT_ANALYTIC) or operations(f) > SHORT:
        return False
    if isinstance(f, sp.Pow):
        return not f.args[1].is_Integer
    # Where an argument has a pole, arctan jumps, and exp is not meromorphic.
    return not any(p.args[1].is_negative and p.free_symbols & trained for p in f.args[0].atoms(sp.Pow)) and not f.args[
        0
    ].has(sp.tan)


def _expanded(program: Program, name: str) -> SymbolicMatrix | None:
    if name not in program.names:
        return None
    return program.expand(name) if program.expanded_size(name) <= 40 * SHORT else None


def _factors(node: Node) -> list[Expression]:
    """The factors of a node as expressions, if it is short."""
    program = Program.of({"value": Matrix.column([node])})
    if program.expanded_size("value") > 3 * SHORT:
        return []
    value: Expression = program.expand("value")[0, 0]
    return [base for factor in sp.Mul.make_args(value) for base in (factor.as_base_exp()[0],)]


# --- the families ---------------------------------------------------------------------------


def _natural(given: Ingredients) -> Iterator[Expression]:
    trained = given.derivation.problem.parameters
    quantities = (*given.natural, *given.normal_variance)
    whole = (multiplied_out(f) if f.is_polynomial(*trained) else f for f in quantities)
    yield from (f.as_independent(*trained, as_Add=True)[1] for f in whole)
    # Those that are no products are positive on all of Γ, where ∇²L ≥ 0 has rank M: no modulus is needed.
    arguments = {f: sp.log(f) for f in given.natural if f.is_Add}
    for f in (*given.natural, *given.denominators):
        for base in (factor.as_base_exp()[0] for factor in sp.Mul.make_args(f)):
            arguments.setdefault(base, logarithm(base))
    yield from arguments.values()


def _quadratic(given: Ingredients) -> Iterator[Expression]:
    yield from given.monomials(2)
    yield from (logarithm(x) for x in given.letters)


def _powers(given: Ingredients) -> Iterator[Expression]:
    yield from (x**k for k in (3, 4, -1, -2) for x in given.derivation.problem.parameters)
    yield from given.monomials(4)


def _reciprocals(given: Ingredients) -> Iterator[Expression]:
    quantities = list(dict.fromkeys([*given.denominators, *given.natural]))[: 2 * MOST_DENOMINATORS]
    yield from (q**-k for k in (1, 2) for q in quantities)


def _quotients(given: Ingredients) -> Iterator[Expression]:
    quantities = [q for q in dict.fromkeys([*given.denominators, *given.natural]) if q.is_Add][:MOST_DENOMINATORS]
    squares = [x**k for k in (2, 4) for x in given.derivation.problem.parameters]
    numerators = [*given.natural, *given.monomials(4, room=LARGEST_FAMILY // 6), *squares]
    for q in quantities:
        for k in (1, 2):
            yield from (m / q**k for m in numerators if m != q)


def _arctangents(given: Ingredients) -> Iterator[Expression]:
    yield from (sp.atan(x) for x in given.letters)


def _high(given: Ingredients) -> Iterator[Expression]:
    yield from given.monomials(DEGREE)


FAMILIES = {
    "natural": _natural,
    "quadratic": _quadratic,
    "powers": _powers,
    "reciprocals": _reciprocals,
    "quotients": _quotients,
    "arctangents": _arctangents,
    "high": _high,
}
"""Kinds of candidates, in the order in which they are preferred."""


def logarithm(f: Expression) -> Expression:
    """ln f where f is positive by its form, else ln|f|."""
    return sp.log(f) if positive_by_form(f) else sp.log(sp.Abs(f))


def constant_factors(derivation: Derivation) -> list[Expression]:
    """Monomials of the constants, negative powers included, as many as there is room for."""
    constants = derivation.problem.constants
    if not constants:
        return [sp.S.One]
    room = max(k for k in range(2, len(POWERS) + 1) if k ** len(constants) <= LARGEST_FACTORS or k == 2)
    chosen = product(POWERS[:room], repeat=len(constants))
    return [sp.Mul(*[c**k for c, k in zip(constants, powers, strict=True)]) for powers in chosen]
