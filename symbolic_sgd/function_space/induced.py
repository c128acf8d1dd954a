"""R̂(β) = inf {R(x) : F(x) = β}: found by the tiers below, verified at fresh β, and minimised by numbers wherever it is asked for."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.errors import BadInput
from symbolic_sgd.function_space.balance import by_balance
from symbolic_sgd.function_space.closed_form import Attain, Attainment, ClosedForm, NoPointHere, NotAttainedHere
from symbolic_sgd.function_space.convolution import by_frequencies
from symbolic_sgd.function_space.fibre import Fibres
from symbolic_sgd.function_space.matrix_norms import NotANumber, number_at
from symbolic_sgd.function_space.minimum import FibreMinimum, FibreSearch
from symbolic_sgd.function_space.of_predictor import by_constancy
from symbolic_sgd.function_space.one_constraint import by_eigenvalues
from symbolic_sgd.function_space.points import by_points
from symbolic_sgd.function_space.power_laws import by_shares
from symbolic_sgd.function_space.products import by_factorisation
from symbolic_sgd.function_space.torus import by_scaling
from symbolic_sgd.numeric.seeds import generator_of

TIERS: tuple[Callable[[Fibres], ClosedForm | None], ...] = (
    by_points,
    by_constancy,
    by_scaling,
    by_factorisation,
    by_frequencies,
    by_balance,
    by_eigenvalues,
)
"""Adding a kind of argument means adding a row: the first that answers is believed, and verified."""

VERIFIED = 24
"""β at which a closed form is verified."""

DIGITS = 50

NEAR = 1e-8
"""Error of F(x) beside β up to which x is on its fibre: entries of β that depend on each other come as floats."""

CHECKED = 20
"""Digits beside those asked for with which a point is checked to be on its fibre."""

SEED = 2311


@dataclass(frozen=True)
class Evidence:
    """What R̂ rests on.

    Args:
        status: "proved" (a lower bound by the statements, attained or approached as they say), "along orbits" (proved to be the infimum
            along the orbits of the group only, of which a fibre may hold more than one), or "numeric" (no formula).
        tier: the kind of argument; "" for none.
        statements: the steps of the proof.
        verified: fresh β at which F(x*) = β and R(x*) = R̂(β) held.
        digits: to how many digits.

    >>> import sympy as sp
    >>> from symbolic_sgd import induced_regularizer
    >>> u, v, b = sp.symbols("u v b")
    >>> found = induced_regularizer([u*v], (u**2 + v**2)/4, parameters=(u, v), symbols=(b,))
    >>> found.evidence.status
    'proved'
    """

    status: str
    tier: str
    statements: tuple[str, ...]
    verified: int
    digits: int

    def __str__(self) -> str:
        if self.status == "numeric":
            return "numeric: no closed form was found; .numeric([…]) minimises R on the fibre of a β"
        if self.status == "along orbits":
            return (
                "the infimum along each orbit of the scalings that leave F alone, of which a fibre may hold more than one; .numeric([…]) "
                "searches all of it"
            )
        checked = f"; attained at {self.verified} random β, to {self.digits} digits" if self.verified else ""
        return f"{self.status} by {self.tier}{checked}"


@dataclass(frozen=True)
class InducedRegularizer:
    """R̂(β) = inf {R(x) : F(x) = β}, what R says of the function that is learnt.

    Args:
        fibres: F and R.
        expression: R̂ in β (a `Piecewise` where branches meet, ∞ where a condition in β says that no x predicts it), or None; `value`
            also looks whether the point of the proof predicts β.
        invariant: the same value in x, on whose orbits it is constant; None where R̂ is not found by orbits.
        attainment: whether the infimum is attained, and where.
        evidence: what it rests on.
        caveats: what has to be said with it.

    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v, b = sp.symbols("u v b")
    >>> problem = Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1))
    >>> found = derive_limiting_sde(problem).induced_regularizer([u*v], symbols=(b,))
    >>> found.expression
    Abs(b)/2
    >>> print(found.attainment)
    attained where u**2 = v**2
    """

    fibres: Fibres
    expression: Any
    invariant: Any
    attainment: Attainment
    evidence: Evidence
    caveats: tuple[str, ...] = ()
    _attain: Any = field(default=None, repr=False, compare=False)

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """β."""
        return self.fibres.symbols

    @property
    def predictor(self) -> tuple[Any, ...]:
        """F(x)."""
        return self.fibres.predictor

    @property
    def regularizer(self) -> Any:
        """R(x), as it was minimised."""
        return self.fibres.regularizer

    @property
    def minimizer(self) -> "Minimizer":
        """Where R is least on a fibre: its conditions as text, and a point of it, when called with numbers β.

        >>> u, v, b = sp.symbols("u v b")
        >>> from symbolic_sgd import induced_regularizer
        >>> found = induced_regularizer([u*v], u**2 + v**2, (u, v), symbols=(b,))
        >>> print(found.minimizer)
        attained where u**2 = v**2
        >>> found.minimizer([4])
        {u: 2.000000000000000, v: 2.000000000000000}
        """
        return Minimizer(self)

    def value(self, values: Sequence[Any], *, digits: int = 16) -> sp.Expr:
        """R̂ at numbers β by the closed form, to so many digits.

        Raises:
            BadInput: there is no closed form, or the values are not k numbers.
        """
        if self.expression is None:
            raise BadInput("there is no closed form in β; .numeric(values) minimises R on the fibre")
        beta = dict(zip(self.symbols, self._numbers(values), strict=True))
        value = _evaluated(self.expression, beta, _checked_digits(digits))
        if value is None:
            raise BadInput(
                f"the formula has no finite value at β = {values!r}, and what R̂ is there is not known; .numeric(values) searches for it"
            )
        if value != sp.oo and not self.fibres.constants and self._misses(beta):
            raise BadInput(
                f"the formula holds for β that some x predicts, and the point of its proof does not predict β = {values!r}: where none "
                "does, R̂ is ∞"
            )
        return value

    def _misses(self, beta: Mapping[sp.Symbol, Any]) -> bool:
        """Whether the point of the proof is known at β, and is not on its fibre."""
        if self._attain is None:
            return False
        with mp.workdps(2 * CHECKED):
            try:
                point = self._attain(_at_precision(beta))
            except (NotAttainedHere, NotANumber):
                return False
            except NoPointHere:
                return True
            return not _on_fibre(self.fibres, point, beta)

    def numeric(self, values: Sequence[Any], *, starts: int = 8, rng: Any = 0) -> FibreMinimum:
        """R̂ at numbers β by Newton's method on the fibre, from `starts` random points: an upper bound, without the closed form.

        Args:
            values: β, k numbers.
            starts: descents.
            rng: a seed or a NumPy generator.

        Raises:
            BadInput: the values are not k numbers.
            Undecided: no point of the fibre was found.
        """
        if isinstance(starts, bool) or not isinstance(starts, (int, np.integer)) or starts < 1:
            raise BadInput(f"starts is {starts!r}; give a positive integer")
        if self.fibres.constants:
            raise BadInput(
                f"numeric needs numbers for {', '.join(map(str, self.fibres.constants))}: state the problem with them"
            )
        beta = np.array([float(v) for v in self._numbers(values)])
        return self._search.minimum(beta, int(starts), generator_of(rng))

    @cached_property
    def _search(self) -> FibreSearch:
        return FibreSearch(self.fibres)

    def _numbers(self, values: Sequence[Any]) -> list[Any]:
        given = list(values) if isinstance(values, (list, tuple, np.ndarray)) else [values]
        flat = [e for v in given for e in (v if isinstance(v, (list, tuple, np.ndarray)) else [v])]
        if len(flat) != len(self.symbols):
            raise BadInput(
                f"{len(flat)} values for the {len(self.symbols)} entries of β: {', '.join(map(str, self.symbols))}"
            )
        numbers = [_number(e.item() if isinstance(e, np.generic) else e) for e in flat]
        if any(n is None for n in numbers):
            raise BadInput(f"β = {values!r} is no list of real numbers")
        return numbers

    def __str__(self) -> str:
        left = f"R̂({', '.join(map(str, self.symbols))})"
        if self.expression is not None:
            head = f"{left} = {self.expression}"
        elif self.invariant is not None:
            head = f"{left}: no closed form in β was found; along an orbit the infimum is {self.invariant}"
        else:
            head = f"{left}: no closed form was found"
        return "\n".join([head, f"  {self.attainment}", f"  {self.evidence}", *(f"  {c}" for c in self.caveats)])

    def __repr__(self) -> str:
        return f"InducedRegularizer({self.expression}; {self.evidence})"

    def _repr_latex_(self) -> str | None:
        shown = self.expression if self.expression is not None else self.invariant
        names = ", ".join(sp.latex(s) for s in self.symbols)
        return None if shown is None else rf"$\displaystyle \hat R({names}) = {sp.latex(shown)}$"


@dataclass(frozen=True)
class Minimizer:
    """x*(β) with F(x*) = β and R(x*) = R̂(β), from the proof.

    Args:
        found: R̂.
    """

    found: InducedRegularizer

    def __str__(self) -> str:
        return str(self.found.attainment)

    def __repr__(self) -> str:
        return f"Minimizer({self})"

    def __call__(self, values: Sequence[Any], *, digits: int = 16) -> dict[sp.Symbol, sp.Expr]:
        """A point of the fibre of β at which R is least.

        Args:
            values: β, k numbers.
            digits: of the answer.

        Raises:
            BadInput: the infimum is not known to be attained, or the values are not k numbers.
        """
        found, digits = self.found, _checked_digits(digits)
        beta = dict(zip(found.symbols, found._numbers(values), strict=True))
        if found._attain is None or found.fibres.constants:
            raise BadInput(f"no minimizer is known in closed form ({self}); .numeric(values) searches for one")
        least = None if found.expression is None else found.value(values, digits=digits)
        if least == sp.oo:
            raise BadInput(f"no x predicts β = {values!r}: R̂ is ∞ there")
        if least == -sp.oo:
            raise BadInput(f"there is no minimizer at β = {values!r}: R falls without bound there")
        with mp.workdps(2 * digits + CHECKED):
            try:
                point = found._attain(_at_precision(beta))
            except (NotAttainedHere, NotANumber, NoPointHere) as error:
                raise BadInput(
                    f"no minimizer is known at β = {values!r}, where the point of the proof is none; .numeric(values) searches for one"
                ) from error
            if not _on_fibre(found.fibres, point, beta):
                raise BadInput(f"the point of the proof does not predict β = {values!r}: where no x does, R̂ is ∞")
            if found.attainment.kind == "attained" and not all(s * point[p] > 0 for p, s in found.fibres.signs.items()):
                raise BadInput(
                    f"the infimum is not known to be attained at β = {values!r}: it is approached on the boundary of the domain"
                )
            return {p: sp.Float(mp.nstr(point[p], digits + 5), digits) for p in found.fibres.parameters}


def induced(fibres: Fibres, caveats: tuple[str, ...] = ()) -> InducedRegularizer:
    """R̂ of these fibres."""
    _check_real(fibres)
    own = fibres.without_idle()
    form = closed_form(own)
    if form is None:
        nothing = Attainment("unknown", "whether the infimum is attained is not known")
        return InducedRegularizer(fibres, None, None, nothing, Evidence("numeric", "", (), 0, 0), caveats)
    verified = _verified(own, form)
    expression = form.expression
    if expression is not None and form.condition:
        expression = sp.Piecewise((expression, sp.And(*form.condition)), (sp.oo, True))
    status = "proved" if expression is not None else "along orbits"
    evidence = Evidence(status, form.tier, form.bound, verified, DIGITS if verified else 0)
    idle = {p: fibres.signs.get(p, 0) for p in fibres.parameters if p not in own.parameters}
    attain = _Beside(form.attain, idle) if form.attain is not None and idle else form.attain
    return InducedRegularizer(fibres, expression, form.invariant, form.attainment, evidence, caveats, attain)


@dataclass(frozen=True)
class _Beside:
    """A point, with values for the parameters that neither R nor F depends on."""

    attain: Attain
    idle: Mapping[sp.Symbol, int]

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        return {p: mp.mpf(value) for p, value in self.idle.items()} | dict(self.attain(beta))


def _check_real(fibres: Fibres) -> None:
    """R and F have to be real where x is; what was looked at are random points.

    Raises:
        BadInput: they are not at one of them.
    """
    rng = np.random.default_rng(SEED)
    letters = {s: sp.Rational(int(rng.integers(20, 200)), 97) for s in fibres.constants}
    for _ in range(VERIFIED):
        x = _fresh(fibres, rng)
        for name, e in [("R", fibres.regularizer), *(("the predictor", f) for f in fibres.predictor)]:
            value = sp.N(sp.sympify(e).xreplace(x | letters), 20)
            imaginary = sp.im(value)
            if value.is_finite and imaginary.is_number and abs(imaginary) > sp.Float(10) ** -10 * abs(value):
                raise BadInput(
                    f"{name} is not real at {x}, and R̂ is the infimum over all x with F(x) = β: give the signs of parameters, such as "
                    f"domain=[{fibres.parameters[0]} > 0], or write it so that it is real"
                )


def closed_form(fibres: Fibres) -> ClosedForm | None:
    """By the first tier that answers; else by blocks that share nothing, and by shares of a single β."""
    along_orbits: ClosedForm | None = None
    for tier in TIERS:
        found = tier(fibres)
        if found is not None and found.expression is not None:
            return found
        along_orbits = along_orbits or found
    if fibres.logarithm is not None:
        return along_orbits
    blocks = fibres.blocks()
    whole = _by_blocks(blocks) if len(blocks) > 1 else by_shares(fibres, closed_form)
    return whole or along_orbits


def _by_blocks(blocks: Sequence[Fibres]) -> ClosedForm | None:
    """R̂ as the sum of those of parts that share no parameter."""
    solved = [closed_form(block) for block in blocks]
    forms = [form for form in solved if form is not None and form.expression is not None]
    if len(forms) < len(blocks):
        return None
    first = next((f.attainment for f in forms if f.attainment.kind != "attained"), None)
    words = "; ".join(dict.fromkeys(f.attainment.words for f in forms))
    attain = _Together(tuple(forms)) if all(f.attain for f in forms) else None
    return ClosedForm(
        sp.Add(*[f.expression for f in forms]),
        "separate parts (" + ", ".join(dict.fromkeys(f.tier for f in forms)) + ")",
        ("R and F are sums over parts that share no parameters", *dict.fromkeys(s for f in forms for s in f.bound)),
        attain,
        first or Attainment("attained", words),
        tuple(dict.fromkeys(c for f in forms for c in f.condition)),
    )


@dataclass(frozen=True)
class _Together:
    forms: tuple[ClosedForm, ...]

    def __call__(self, beta: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        point: dict[sp.Symbol, Any] = {}
        for form in self.forms:
            assert form.attain is not None
            point |= form.attain(beta)
        return point


# --- verification ---------------------------------------------------------------------------------


def _at_precision(values: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
    return {s: number_at(v) for s, v in values.items()}


class ClosedFormFails(AssertionError):
    """A closed form is not what its proof says: a mistake of this program."""


def _verified_at_constants(fibres: Fibres, form: ClosedForm, rng: np.random.Generator) -> int:
    """The same where letters stay in the formula: with numbers for them, the formula is what is found with these numbers from the start."""
    numbers = {s: sp.Rational(int(rng.integers(20, 200)), 97) for s in fibres.constants}
    special = fibres.at(numbers)
    again = closed_form(special)
    if again is None or form.expression is None or again.expression is None:
        return 0
    for _ in range(VERIFIED):
        beta = _predicted(special, _fresh(special, rng))
        apart = sp.N(form.expression.subs(numbers).subs(beta) - again.expression.subs(beta), DIGITS)
        if abs(apart) > sp.Float(10) ** (3 - DIGITS) * (1 + abs(sp.N(again.expression.subs(beta)))):
            raise ClosedFormFails(f"with {numbers} the formula is off by {apart} at β = {beta}")
    return _verified(special, again)


def _verified(fibres: Fibres, form: ClosedForm) -> int:
    """F(x*) = β, R(x*) = R̂(β) and R(x) ≥ R̂(β) at fresh β = F(x): how many there were with a known x*."""
    rng, count = np.random.default_rng(SEED), 0
    if fibres.constants:
        return _verified_at_constants(fibres, form, rng)
    for _ in range(VERIFIED):
        x = _fresh(fibres, rng)
        beta = _predicted(fibres, x)
        here = sp.N(fibres.regularizer.xreplace(x), DIGITS + 5)
        least = sp.N(form.invariant.xreplace(x) if form.expression is None else form.expression.subs(beta), DIGITS + 5)
        if least > here + abs(here) * sp.Float(10) ** (5 - DIGITS):
            raise ClosedFormFails(f"R = {here} < R̂ = {least} at {x}")
        with suppress(NotAttainedHere), mp.workdps(DIGITS + 15):
            count += form.attain is not None and _attains(fibres, form.attain, beta, least)
    return count


def _on_fibre(fibres: Fibres, point: Mapping[sp.Symbol, Any], beta: Mapping[sp.Symbol, Any]) -> bool:
    """F(x) = β, as far as β that are floating-point numbers can be on the image of F."""
    at = {p: sp.Float(mp.nstr(point[p], mp.dps), mp.dps) for p in fibres.parameters}
    apart = [sp.N(value - beta[s], mp.dps) for s, value in _predicted(fibres, at).items()]
    scale = max(abs(sp.N(b)) for b in beta.values()) or sp.S.One
    return all(abs(e) <= scale * NEAR for e in apart)


def _evaluated(expression: Any, beta: Mapping[sp.Symbol, Any], digits: int) -> Any:
    """A formula at numbers: real, ±∞, or None where it is neither."""
    if expression.has(sp.Piecewise):
        expression = expression.replace(
            lambda e: isinstance(e, sp.Piecewise),
            lambda e: next((value for value, condition in e.args if _holds(condition, beta)), sp.nan),
        )
    value = sp.N(expression.subs(dict(beta)), digits)
    return value if value in (sp.oo, -sp.oo) or value.is_real else None


def _holds(condition: Any, beta: Mapping[sp.Symbol, Any]) -> bool:
    """Whether a condition on β holds; one about a number that is not real does not."""
    if isinstance(condition, (sp.And, sp.Or)):
        return (all if isinstance(condition, sp.And) else any)(_holds(c, beta) for c in condition.args)
    if condition in (sp.true, sp.false):
        return bool(condition)
    apart = (condition.lhs - condition.rhs).subs(dict(beta))
    return bool(apart.is_real and condition.func(apart, 0))


def _number(value: Any) -> Any:
    """A finite real number; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction, sp.Expr)):
        return None
    number = sp.nsimplify(value, rational=True) if isinstance(value, float) else sp.sympify(value)
    return number if number.is_number and number.is_finite and number.is_real is not False else None


def _checked_digits(digits: Any) -> int:
    if isinstance(digits, bool) or not isinstance(digits, (int, np.integer)) or digits < 1:
        raise BadInput(f"digits is {digits!r}; give a positive integer")
    return int(digits)


def _fresh(fibres: Fibres, rng: np.random.Generator) -> dict[sp.Symbol, Any]:
    """A random rational x, with the signs of the domain."""
    signs = {p: fibres.signs.get(p, int(rng.choice([-1, 1]))) for p in fibres.parameters}
    return {p: sign * sp.Rational(int(rng.integers(20, 200)), 97) for p, sign in signs.items()}


def _predicted(fibres: Fibres, x: Mapping[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
    """F(x)."""
    return {s: sp.sympify(f).xreplace(dict(x)) for s, f in zip(fibres.symbols, fibres.predictor, strict=True)}


def _attains(fibres: Fibres, attain: Attain, beta: Mapping[sp.Symbol, Any], least: Any) -> bool:
    """True: F(x*) = β and R(x*) = R̂(β)."""
    point = attain(_at_precision(beta))
    at = {p: sp.Float(mp.nstr(point[p], DIGITS + 12), DIGITS + 12) for p in fibres.parameters}
    apart = [sp.N(value - beta[s], DIGITS) for s, value in _predicted(fibres, at).items()]
    apart.append(sp.N(fibres.regularizer.xreplace(at) - least, DIGITS))
    scale = 1 + abs(least) + max(abs(sp.N(b)) for b in beta.values())
    if any(abs(e) > scale * sp.Float(10) ** (-DIGITS) * 1000 for e in apart):
        raise ClosedFormFails(f"at β = {beta}: {[sp.N(e, 5) for e in apart]} are not zero")
    return True
