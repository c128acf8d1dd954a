"""A family against SymPy's own entries: the residuals written out at small sizes and differentiated entry by entry, and the
theorem with the whole Hessian and its derivative. No form of the calculus is used on this road.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.diagonal import DiagonalOf

from symbolic_sgd.checks.certificate import Certificate, Check, not_run, undecided, verdict
from symbolic_sgd.errors import SingularPoint
from symbolic_sgd.families.arrays import FamilyArrays
from symbolic_sgd.families.batches import batch_of
from symbolic_sgd.families.noise import RESIDUAL, AnyNoise
from symbolic_sgd.families.slow_motion import PLAIN
from symbolic_sgd.families.stated import StatedFamily
from symbolic_sgd.families.tensor_point import Vector
from symbolic_sgd.optimizers.optimizer import Optimizer
from symbolic_sgd.tensors.forms import Tensor

SIZES = ((2, 3), (2, 2), (3, 2))
"""Of samples and of everything else, at each point."""

TOLERANCE = 1e-9
"""Of what both roads compute to rounding."""

DIFFERENCE = 1e-6
"""Of gradients, by central differences of the residuals as they were stated."""

STEP, IMAGINARY = 1e-5, 1e-60
"""Of differences, and along the imaginary axis."""

SMALL = 0.01
"""About what symbols of an optimizer are: far inside of what any of them may be."""

COLUMNS = 3
"""Of σ where none is stated."""

TANGENT = "the normal term is tangent to Γ"
"""The last check at each point."""

ZERO = 1e-10
"""Of the largest curvature: below it there is none."""

ROUNDING = 2.0**-52
"""Of a number of this road, for a condition number of 1."""


@dataclass(frozen=True)
class Literal:
    """A term as this road computes it.

    Args:
        values: its entries.
        size: of the vector that it is made of before anything is projected out of it.
        rounding: what may be left of that, by rounding.
    """

    values: np.ndarray
    size: float
    rounding: float


@dataclass(frozen=True)
class Entries:
    """A member of a family at one random point, in scalars.

    Args:
        family: what was stated.
        sizes: the number that each size is.
        arrays: data and parameters by name; the residuals are shifted so that the point is on Γ.
        numbers: values of the constants.
        optimizer: whose limit is meant.
    """

    family: StatedFamily
    sizes: dict[sp.Symbol, int]
    arrays: dict[str, np.ndarray]
    numbers: dict[sp.Symbol, float]
    optimizer: Optimizer = PLAIN

    @staticmethod
    def random(
        family: StatedFamily, sizes: tuple[int, int], rng: np.random.Generator, optimizer: Optimizer = PLAIN
    ) -> "Entries":
        """At sizes for samples and for all else; of positive numbers, where the model has no values at others."""
        carried = {s for i in family.labels for s in sp.sympify(i.size).free_symbols} if family.tensors else set()
        found = {s: sizes[0] if s in carried else sizes[1] for s in family.sizes}
        tensors = [*family.tensors.values(), *family.model.parameters]
        shapes = {t.name: [int(sp.sympify(s).subs(found)) for s in t.shape] for t in tensors}
        values = {name: rng.standard_normal(shape) + 0.25 for name, shape in shapes.items()}
        positive = [name for name in values if getattr(family.symbols[name], "is_positive", None)]
        values |= {name: np.abs(values[name]) for name in positive}
        numbers = {
            s: SMALL * (1 + float(rng.random())) if s in optimizer.symbols else 1 + float(rng.random())
            for s in sorted(family.numbers, key=str)
        }
        member = Entries(family, found, values, numbers, optimizer)
        with np.errstate(all="ignore"):
            defined = bool(np.isfinite(member.jacobian).all() and (np.diag(member.curvatures[0]) > 0).all())
        return member if defined else replace(member, arrays={name: np.abs(a) for name, a in values.items()})

    @property
    def _exact_sizes(self) -> dict[Any, Any]:
        return {s: sp.Integer(k) for s, k in self.sizes.items()}

    @property
    def parameters(self) -> tuple[np.ndarray, ...]:
        """The point, an array for each parameter."""
        return tuple(self.arrays[p.name] for p in self.family.model.parameters)

    @cached_property
    def symbols(self) -> list[sp.Symbol]:
        """A symbol for each entry of the parameters, in order."""
        return [s for p in self.family.parameters for s in np.ravel(self._entries(p))]

    @cached_property
    def values(self) -> np.ndarray:
        """The point as one vector."""
        return np.concatenate([np.ravel(a) for a in self.parameters])

    @cached_property
    def residuals(self) -> list[Any]:
        """Every residual, in these symbols: what was stated, at these sizes, multiplied out by SymPy."""
        stated = self.family.residual if self.family.outputs is None else self.family.outputs
        sized = self._sized(stated)
        ranges = [range(int(sp.sympify(i.size).subs(self.sizes))) for i in self.family.labels]
        return [e for place in product(*ranges) for e in self._at(sized, place)]

    @cached_property
    def _slopes(self) -> Any:
        """J as a function of the point."""
        slopes = [[sp.diff(f, s) for s in self.symbols] for f in self.residuals]
        return sp.lambdify([self.symbols], slopes, "scipy", cse=True)

    @cached_property
    def jacobian(self) -> np.ndarray:
        """J, N×D."""
        return np.array(self._slopes(self.values), dtype=float)

    @cached_property
    def hessians(self) -> np.ndarray:
        """∇²f_L, N×D×D: the imaginary part of J a tiny step off the real axis, which nothing is subtracted from."""
        steps = 1j * IMAGINARY * np.eye(len(self.values))
        parts = [np.imag(np.array(self._slopes(self.values + step), dtype=complex)) / IMAGINARY for step in steps]
        return np.stack(parts, axis=2)

    def differences(self) -> np.ndarray:
        """J by central differences."""
        function = sp.lambdify([self.symbols], self.residuals, "scipy")
        columns = []
        for k in range(len(self.values)):
            moved = STEP * np.eye(len(self.values))[k]
            up, down = (np.array(function(self.values + sign * moved), dtype=float) for sign in (1, -1))
            columns.append((up - down) / (2 * STEP))
        return np.stack(columns, axis=1)

    # --- the theorem ------------------------------------------------------------------------

    @cached_property
    def samples(self) -> float:
        """n."""
        return float(sp.sympify(self.family.model.samples).subs(self.sizes))

    @cached_property
    def curvatures(self) -> tuple[np.ndarray, np.ndarray]:
        """∂²ℓ and ∂³ℓ of all residuals together, N×N and N×N×N, at the point."""
        count = len(self.residuals)
        second, third = np.zeros((count, count)), np.zeros((count, count, count))
        if self.family.curvature is not None:
            (r,) = self.family.loss.variables
            slopes = [sp.diff(self.family.loss.expr, r, k).subs(RESIDUAL, 0) for k in (2, 3)]
            for k in range(count):
                second[k, k], third[k, k, k] = (self.in_sample(e, k) for e in slopes)
            return second, third
        size = int(sp.sympify(self.family.model.labels[-1].size).subs(self.sizes))
        logits = np.array(sp.lambdify([self.symbols], self.residuals, "scipy")(self.values), dtype=float)
        for start in range(0, count, size):
            block = slice(start, start + size)
            p = np.exp(logits[block] - logits[block].max())
            p /= p.sum()
            k = np.diag(p) - np.outer(p, p)
            # ∂K_ab/∂z_c = δ_ab K_ac − K_ac p_b − p_a K_bc
            cube = (
                np.eye(size)[:, :, None] * k[:, None, :]
                - k[:, None, :] * p[None, :, None]
                - p[:, None, None] * k[None, :, :]
            )
            second[block, block], third[block, block, block] = k, cube
        return second, third

    def in_sample(self, expression: Any, k: int) -> float:
        """What loss or noise say of the sample of residual k."""
        places = {place: float(self.arrays[str(place.base.label)][k]) for place in self.family.sample_places}
        known: Any = {**self.numbers, **self.sizes, **places}
        return float(sp.sympify(expression).subs(known))

    @cached_property
    def hessian(self) -> np.ndarray:
        """H."""
        return self.jacobian.T @ self.curvatures[0] @ self.jacobian / self.samples

    def applied(self, b: np.ndarray) -> np.ndarray:
        """T[B] with all of ∂³L, for ∇ℓ = 0 at the point."""
        second, third = self.curvatures
        j, h = self.jacobian, self.hessians
        traces, twice = np.einsum("nij,ij->n", h, b), j @ (b + b.T)
        bent = np.einsum("nij,nm,mj->i", h, second, twice)
        cubic = np.einsum("nml,mi,lj,ij->n", third, j, j, b)
        return (j.T @ (second @ traces + cubic) + bent) / self.samples

    def terms(self, sigma: np.ndarray) -> dict[str, Literal]:
        """The terms of the drift, word for word, with the kernel of the optimizer in H's eigenvectors.

        Eigenvectors, and what is divided by curvatures, are right to H's condition number times the rounding of a number.

        Raises:
            SingularPoint: a curvature is neither zero nor not.
        """
        values, axes = np.linalg.eigh(self.hessian)
        kept = values > ZERO * values[-1]
        if (np.abs(values[kept]) < 1e4 * ZERO * values[-1]).any() or kept.all() or not kept.any():
            raise SingularPoint("the rank of the Hessian cannot be told at the point, or leaves nothing that moves")
        tangent, inverse = axes[:, ~kept] @ axes[:, ~kept].T, (axes[:, kept] / values[kept]) @ axes[:, kept].T
        covariance, steep = sigma @ sigma.T, axes[:, kept]
        if self._draws_batches:
            across, level = self._of_batches(steep, steep.T @ covariance @ steep), inverse
        else:
            pairs = self._pairs(values[kept])
            across = steep.T @ covariance @ steep * pairs[:, :-1]
            level = (steep * pairs[:, -1]) @ steep.T
        factor = float(sp.sympify(self.optimizer.tangent_factor).subs(self.numbers))
        made_of = {  # what is projected, and the same before directions are left out
            "mixed_regularization": (level @ covariance @ tangent, level @ covariance),
            "normal_regularization": (0.5 * steep @ across @ steep.T,) * 2,
        }
        pulls = {name: (-self.applied(b), self.applied(whole)) for name, (b, whole) in made_of.items()}
        if self.optimizer.has_slow_field:
            pulls["imposed_drift"] = (-self._field, self._field)
        least = float(values[kept].min())
        raised = -0.5 * factor * inverse @ self.applied(tangent @ covariance @ tangent)
        pulls_of_noise = 0.5 * factor * float(np.linalg.norm(self.applied(covariance))) / least
        share = ROUNDING * float(values[-1]) / least
        found = {"tangent_noise_compensation": Literal(raised, pulls_of_noise, share * pulls_of_noise)}
        for name, (pull, whole) in pulls.items():
            size = float(np.linalg.norm(whole))
            found[name] = Literal(tangent @ pull, size, share * size)
        return found

    @property
    def _draws_batches(self) -> bool:
        return self.optimizer.is_finite and self.family.draws_samples

    def _of_batches(self, steep: np.ndarray, right: np.ndarray) -> np.ndarray:
        """S with HS + SH − ηE[H_BSH_B] = Σ_⊥ in a basis of the normal space, as one system of M² equations.

        Raises:
            SingularPoint: the steps with which it is made contract no longer, or there are fewer samples than a batch.
        """
        count, batch = round(self.samples), float(sp.sympify(batch_of(self.family.noise)).subs(self.sizes))
        if batch > count:
            raise SingularPoint(f"a batch has {batch:g} samples, and there are {count}")
        share = (count - batch) / (batch * max(count - 1, 1))
        eta = float(sp.sympify(self.optimizer.rate).subs(self.numbers))
        rows = np.split(self.jacobian @ steep, count)
        each = [b.T @ k @ b for b, k in zip(rows, self._blocks_of_samples(count), strict=True)]
        mean, unit = sum(each) / count, np.eye(len(right))
        drawn = share * sum(np.kron(h, h) for h in each) / count + (1 - share) * np.kron(mean, mean)
        step = np.kron(unit, mean) + np.kron(mean, unit) - eta * drawn
        if not np.abs(np.linalg.eigvals(np.eye(len(step)) - eta * step)).max() < 1:
            raise SingularPoint("at this learning rate the fluctuations of SGD on batches grow there")
        return np.linalg.solve(step, right.ravel()).reshape(right.shape)

    def _blocks_of_samples(self, count: int) -> list[np.ndarray]:
        """∂²ℓ of the residuals of a sample."""
        second, size = self.curvatures[0], len(self.residuals) // count
        return [second[k : k + size, k : k + size] for k in range(0, count * size, size)]

    def _pairs(self, curvatures: np.ndarray) -> np.ndarray:
        """k(λ_i, λ_j), and k(λ_i, 0) as a last column."""
        kernel = self.optimizer.kernel
        assert kernel is not None
        known: Any = self.numbers
        function: Any = kernel.function
        k = lambda a, b: float(function(sp.Float(a, 30), sp.Float(b, 30) if b else 0).subs(known))  # noqa: E731
        return np.array([[k(a, b) for b in (*curvatures, 0)] for a in curvatures])

    @cached_property
    def _field(self) -> np.ndarray:
        """g, entry by entry."""
        decay, pace = (float(sp.sympify(e).subs(self.numbers)) for e in (self.optimizer.decay, self.optimizer.pace))
        if self.optimizer.slow_potential == 0:
            return pace * decay * self.values
        (potential,) = self._at(self._sized(self.optimizer.slow_potential), (0,) * len(self.family.labels))
        at: Any = dict(zip(self.symbols, self.values, strict=True))
        slopes = [float(sp.diff(potential, s).subs(at)) for s in self.symbols]
        return pace * (decay * self.values + np.array(slopes))

    # --- pieces -----------------------------------------------------------------------------

    def _sized(self, stated: Any) -> Any:
        """An expression with numbers for sizes and constants."""
        return sp.sympify(stated).xreplace(
            {**self._exact_sizes, **{s: sp.Float(v, 17) for s, v in self.numbers.items()}}
        )

    def _at(self, stated: Any, place: tuple[int, ...]) -> list[Any]:
        """The residuals of one sample."""
        known = {k: v for base in self.family.symbols.values() for k, v in self._known(base, place).items()}
        matrices = {k: v for k, v in known.items() if not isinstance(k, sp.IndexedBase)}
        diagonals = {e: _diagonal(e.arg.xreplace(matrices)) for e in stated.atoms(DiagonalOf)}
        explicit = stated.xreplace({**matrices, **diagonals})
        if explicit.has(sp.Indexed):
            indices = {i: k + 1 for i, k in zip(self.family.indices, place, strict=False)}
            explicit = explicit.xreplace(indices).doit()
            explicit = explicit.replace(sp.Indexed, lambda b, *at: known[b][tuple(int(k) - 1 for k in at)])
        explicit = explicit.replace(sp.Trace, lambda m: sp.trace(_written_out(m)))
        if not getattr(explicit, "is_Matrix", False):
            return [sp.sympify(explicit).doit()]
        return list(_written_out(explicit))

    def _known(self, base: Any, place: tuple[int, ...]) -> dict[Any, Any]:
        """What a letter stands for in one sample."""
        if base in self.numbers:
            return {}
        whole = self._entries(base) if base in self.family.parameters else self._exact(base)
        carried = not self.family.indices and self.family.tensors.get(_name(base), Tensor("", ())).labels
        own = whole[place] if carried else whole
        if isinstance(base, sp.IndexedBase):
            return {base.xreplace(self._exact_sizes): own}
        if isinstance(base, sp.Symbol):
            return {base: np.asarray(own, dtype=object).item()}
        shape = tuple(int(sp.sympify(s).subs(self.sizes)) for s in base.shape)
        return {base.xreplace(self._exact_sizes): sp.ImmutableMatrix(*shape, list(np.ravel(own)))}

    def _entries(self, base: Any) -> np.ndarray:
        name = _name(base)
        shape = self.arrays[name].shape
        found = np.empty(shape, dtype=object)
        for place in np.ndindex(*shape):
            found[place] = sp.Symbol("_".join([name, *(str(k + 1) for k in place)]))
        return found

    def _exact(self, base: Any) -> np.ndarray:
        name = _name(base)
        values = self.arrays[name]
        found = np.empty(values.shape, dtype=object)
        for place in np.ndindex(*values.shape):
            found[place] = sp.Float(float(values[place]), 17)
        return found


def _name(base: Any) -> str:
    return str(base.label) if isinstance(base, sp.IndexedBase) else str(base.name)


def _written_out(matrix: Any) -> Any:
    """A matrix expression as its entries."""
    return matrix.as_explicit() if hasattr(matrix, "as_explicit") else matrix


def _diagonal(matrix: Any) -> Any:
    """The diagonal as a column: SymPy's own does not write out the diagonal of a product."""
    entries = _written_out(matrix)
    return sp.ImmutableMatrix(entries.rows, 1, [entries[k, k] for k in range(entries.rows)])


def family_certificate(family: StatedFamily, seed: int, optimizer: Optimizer = PLAIN) -> Certificate:
    """The gradients and each term of the drift, at three random points of small sizes."""
    rng = np.random.default_rng(seed)
    done = [check for sizes in SIZES for check in _checks(Entries.random(family, sizes, rng, optimizer), rng)]
    if not any(check.name == TANGENT for check in done):
        done.append(
            undecided(
                "the terms of the drift", TOLERANCE, "at none of the sizes that were looked at is there a Γ of its own"
            )
        )
    return Certificate(
        problem=None,
        problem_hash="",
        formula_hash=hashlib.sha256(repr(family.model.f.key).encode()).hexdigest(),
        source_hashes={},
        assumptions=("every symbol stands for a real number", "sizes were looked at as stated in the checks"),
        valid_where=("the rank of the gradients of the residuals is constant near the point",),
        seed=seed,
        methods=({"method": "FamilyRoad"},),
        checks=tuple(done),
    )


def _checks(member: Entries, rng: np.random.Generator) -> Iterator[Check]:
    where = "sizes " + ", ".join(f"{s} = {k}" for s, k in sorted(member.sizes.items(), key=lambda item: str(item[0])))
    functions = FamilyArrays(
        member.family,
        {name: member.arrays[name] for name in member.family.tensors},
        {**member.sizes, **member.numbers},
        check=False,
        optimizer=member.optimizer,
    )
    sigma = rng.standard_normal((len(member.values), COLUMNS))
    point = functions.at(*member.parameters)
    model = point.model
    blocks = [point.arrays.value(model.gradient[p.name]).reshape(point.count, -1) for p in model.parameters]
    found = np.concatenate(blocks, axis=1)
    yield _compared("the gradient of the residual as stated", found, member.differences(), DIFFERENCE, where)
    yield _compared("the gradient, entry by entry", found, member.jacobian, TOLERANCE, where)
    gram = point.arrays.value(model.gram).reshape(point.count, point.count)
    yield _compared("the Gram matrix", gram, member.jacobian @ member.jacobian.T, TOLERANCE, where)
    try:
        right = member.terms(_noise(member, sigma))
        given = {"sigma": _split(sigma, member)} if isinstance(member.family.noise, AnyNoise) else {}
        for name, literal in right.items():
            term = _flat(getattr(functions, name)(*member.parameters, **given))
            yield _compared(name.replace("_", " "), term, literal.values, TOLERANCE, where, literal.rounding)
        motion = Vector(functions.normal_regularization(*member.parameters, **given))
        across = float(np.linalg.norm(member.jacobian, 2)) * right["normal_regularization"].size
        along = np.asarray(point.along(motion)) / (1 + across)
        yield _compared(TANGENT, along, np.zeros(point.count), TOLERANCE, where)
    except SingularPoint as error:
        yield not_run("the terms of the drift", TOLERANCE, f"{error} ({where})")


def _noise(member: Entries, sigma: np.ndarray) -> np.ndarray:
    """σ at the point."""
    family = member.family
    if family.proportion is not None:
        values, axes = np.linalg.eigh(member.hessian)
        c = float(sp.sympify(family.proportion).subs({**member.numbers, **member.sizes}))
        return axes * np.sqrt(c * np.maximum(values, 0))
    if family.variance is not None:
        each = [member.in_sample(family.variance, k) for k in range(len(member.residuals))]
        return member.jacobian.T * np.sqrt(np.array(each) / member.samples)
    if family.noise.isotropy is not None:
        return np.sqrt(float(sp.sympify(family.noise.isotropy).subs(member.numbers))) * np.eye(len(member.values))
    return sigma


def _split(sigma: np.ndarray, member: Entries) -> Sequence[np.ndarray]:
    ends = np.cumsum([a.size for a in member.parameters])[:-1]
    return [part.reshape((*a.shape, COLUMNS)) for part, a in zip(np.split(sigma, ends), member.parameters, strict=True)]


def _flat(blocks: Any) -> np.ndarray:
    return np.concatenate([np.ravel(b) for b in blocks])


def _compared(name: str, predicted: Any, observed: Any, tolerance: float, where: str, rounding: float = 0.0) -> Check:
    """Relative to the largest entry. What may be rounding fails nothing; two roads that agree do so by more than that bound, which is the
    worst that rounding could do.
    """
    scale = 1 + float(np.abs(observed).max(initial=0.0))
    error = float(np.abs(np.asarray(predicted) - observed).max(initial=0.0)) / scale
    said = verdict(error, 0.0 if error <= tolerance else rounding / scale, tolerance)
    return Check(name, None, None, error, tolerance, said, where, "FamilyRoad")
