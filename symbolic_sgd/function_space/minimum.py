"""R̂(β) by numbers: Newton's method on the fibre from many starts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.errors import Undecided
from symbolic_sgd.function_space.fibre import Fibres

ITERATIONS = 400
RETRACTIONS = 60
RANK = 1e-9
"""Singular values of ∂F below this share of the largest are 0."""

FAR = 1e7
"""Parameters of this size: the infimum is not seen to be attained."""


@dataclass(frozen=True)
class FibreMinimum:
    """The least value of R that was found on a fibre.

    Args:
        value: R there.
        point: x, symbol → number.
        multipliers: λ with ∇R = ∂Fᵀλ: ∂R̂/∂β where R̂ is smooth.
        eigenvalues: of the Hessian of R on the fibre.
        residual: ‖F(x) − β‖.
        slope: the norm of the gradient of R along the fibre.
        values: R at the end of every start that stayed on the fibre, sorted.

    >>> import sympy as sp
    >>> from symbolic_sgd import induced_regularizer
    >>> u, v, b = sp.symbols("u v b")
    >>> found = induced_regularizer([u*v], (u**2 + v**2)/4, parameters=(u, v), symbols=(b,))
    >>> round(found.numeric([1.5], starts=4).value, 9)
    0.75
    """

    value: float
    point: dict[sp.Symbol, float]
    multipliers: np.ndarray
    eigenvalues: np.ndarray
    residual: float
    slope: float
    values: tuple[float, ...]

    @property
    def agreeing(self) -> int:
        """Starts that ended at this value."""
        return sum(abs(v - self.value) <= 1e-6 * (1 + abs(self.value)) for v in self.values)

    def __str__(self) -> str:
        ends = f"the least of {len(self.values)} starts, {self.agreeing} of which end there"
        return f"R̂ ≈ {self.value:.12g}: {ends} (a local minimum; no proof)"


class Landscape:
    """R and F with two derivatives, of y with x_p = ±y² for parameters that keep a sign."""

    def __init__(self, fibres: Fibres):
        self.fibres = fibres
        names = sp.symbols(f"y:{len(fibres.parameters)}", cls=sp.Dummy, real=True)
        self.back = {
            p: fibres.signs[p] * y**2 if p in fibres.signs else y for p, y in zip(fibres.parameters, names, strict=True)
        }
        r = fibres.regularizer.xreplace(self.back)
        f = [sp.sympify(e).xreplace(self.back) for e in fibres.predictor]
        weights = sp.symbols(f"w:{len(f)}", cls=sp.Dummy)
        weighted = sp.Add(*[w * e for w, e in zip(weights, f, strict=True)])
        build = lambda args, e: sp.lambdify(args, e, modules="numpy", cse=True)  # noqa: E731
        self._r, self._f = build(names, r), build(names, f)
        self._slope = build(names, [_derivative(r, y) for y in names])
        self._jacobian = build(names, [[_derivative(e, y) for y in names] for e in f])
        bend = [[_derivative(_derivative(r - weighted, a), b) for b in names] for a in names]
        self._bend = build((*names, *weights), bend)

    def value(self, y: np.ndarray) -> float:
        return float(np.real(self._r(*y)))

    def outputs(self, y: np.ndarray) -> np.ndarray:
        return np.array([float(e) for e in self._f(*y)])

    def slope(self, y: np.ndarray) -> np.ndarray:
        return np.array([float(e) for e in self._slope(*y)])

    def jacobian(self, y: np.ndarray) -> np.ndarray:
        return np.array([[float(e) for e in row] for row in self._jacobian(*y)])

    def bend(self, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.array([[float(e) for e in row] for row in self._bend(*y, *weights)])

    def point(self, y: np.ndarray) -> dict[sp.Symbol, float]:
        signs = self.fibres.signs
        return {
            p: float(signs[p] * a * a) if p in signs else float(a)
            for p, a in zip(self.fibres.parameters, y, strict=True)
        }


def _derivative(expression: Any, symbol: sp.Symbol) -> Any:
    """Without the δ functions at kinks."""
    return sp.diff(expression, symbol).replace(sp.DiracDelta, lambda *_: sp.S.Zero)


@dataclass(frozen=True)
class _State:
    """A point on a fibre and what is known there."""

    y: np.ndarray
    value: float
    multipliers: np.ndarray
    tangent: np.ndarray
    slope: np.ndarray


class Minimiser:
    """min R on the fibre of one β."""

    def __init__(self, landscape: Landscape, beta: np.ndarray):
        self.landscape = landscape
        self.beta = beta
        self.scale = 1 + float(np.abs(beta).max(initial=0))

    def retract(self, y: np.ndarray) -> np.ndarray | None:
        """A point of the fibre near y: Gauss and Newton's steps of least length."""
        for _ in range(RETRACTIONS):
            apart = self.landscape.outputs(y) - self.beta
            if not np.isfinite(apart).all():
                return None
            if np.abs(apart).max() <= 1e-14 * self.scale:
                return y if self._is_smooth(y) else None
            jacobian = self.landscape.jacobian(y)
            if not np.isfinite(jacobian).all():
                return None
            step = np.linalg.lstsq(jacobian, apart, rcond=RANK)[0]
            size, length = float(np.linalg.norm(apart)), 1.0
            while length > 1e-6:
                trial = y - length * step
                with np.errstate(all="ignore"):
                    beyond = np.linalg.norm(self.landscape.outputs(trial) - self.beta)
                if beyond < size:
                    break
                length /= 2
            else:
                break
            y = y - length * step
        close = np.abs(self.landscape.outputs(y) - self.beta).max() <= 1e-10 * self.scale
        return y if close and self._is_smooth(y) else None

    def _is_smooth(self, y: np.ndarray) -> bool:
        """Whether F and R have derivatives."""
        return all(np.isfinite(e).all() for e in (self.landscape.jacobian(y), self.landscape.slope(y)))

    def state(self, y: np.ndarray) -> _State:
        gradient, jacobian = self.landscape.slope(y), self.landscape.jacobian(y)
        _, s, vt = np.linalg.svd(jacobian)
        rank = int((s > RANK * s.max(initial=0)).sum()) if s.size and s.max() > 0 else 0
        multipliers = np.linalg.lstsq(jacobian.T, gradient, rcond=RANK)[0]
        tangent = vt[rank:].T
        return _State(y, self.landscape.value(y), multipliers, tangent, tangent.T @ gradient)

    def descend(self, y: np.ndarray) -> _State | None:
        """Newton's method with |eigenvalues|, every step brought back to the fibre."""
        start = self.retract(y)
        if start is None:
            return None
        state = self.state(start)
        for _ in range(ITERATIONS):
            if not np.isfinite(state.slope).all() or np.abs(state.y).max() > FAR:
                return state if np.isfinite(state.value) else None
            if state.slope.size == 0:
                return state
            bend = state.tangent.T @ self.landscape.bend(state.y, state.multipliers) @ state.tangent
            if not np.isfinite(bend).all():
                return state
            values, vectors = np.linalg.eigh((bend + bend.T) / 2)
            floor = max(1e-12, 1e-10 * float(np.abs(values).max(initial=0)))
            inside = vectors.T @ state.slope
            flat = (np.abs(inside) < 1e-13 * (1 + abs(state.value))) & (np.abs(values) < floor)
            push = np.where((values < -1e-7) & (np.abs(inside) < 1e-9), 1e-4, 0.0)  # off a saddle
            move = np.where(flat, 0.0, -inside / np.maximum(np.abs(values), floor)) + push
            most = 0.5 * (1 + float(np.linalg.norm(state.y)))
            move *= min(1.0, most / max(float(np.linalg.norm(move)), 1e-300))
            following = self._line(state, state.tangent @ (vectors @ move))
            if following is None:
                return state
            state = following
        return state

    def _line(self, state: _State, step: np.ndarray) -> _State | None:
        length = 1.0
        while length > 1e-10:
            with np.errstate(all="ignore"):
                trial = self.retract(state.y + length * step)
                value = self.landscape.value(trial) if trial is not None else np.nan
            if trial is not None and np.isfinite(value):
                better = value < state.value - 1e-16 * abs(state.value)
                if better:
                    return self.state(trial)
                if length == 1.0 and value <= state.value + 1e-13 * (1 + abs(state.value)):
                    following = self.state(trial)
                    if np.linalg.norm(following.slope) < 0.5 * np.linalg.norm(state.slope):
                        return following
            length /= 2
        return None


@dataclass(frozen=True)
class FibreSearch:
    """The numeric road: compiled once, for any β."""

    fibres: Fibres

    @cached_property
    def landscape(self) -> Landscape:
        return Landscape(self.fibres)

    def minimum(self, beta: np.ndarray, starts: int, rng: np.random.Generator) -> FibreMinimum:
        """The least of `starts` descents.

        Raises:
            Undecided: no start came to the fibre.
        """
        minimiser = Minimiser(self.landscape, beta)
        n = len(self.fibres.parameters)
        ends: list[_State] = []
        size = max(1.0, float(np.abs(beta).max(initial=0)) ** 0.5)
        for k in range(8 * starts):
            if len(ends) >= starts:
                break
            with np.errstate(all="ignore"):
                end = minimiser.descend(rng.standard_normal(n) * size * (0.5 + (k % 3) / 2))
            if end is not None and np.isfinite(end.value):
                ends.append(end)
        if not ends:
            raise Undecided(
                f"no point with F(x) = β was found from {8 * starts} starts: there may be none; give a β that some x predicts, or "
                "more starts"
            )
        best = min(ends, key=lambda end: end.value)
        bend = best.tangent.T @ self.landscape.bend(best.y, best.multipliers) @ best.tangent
        return FibreMinimum(
            best.value,
            self.landscape.point(best.y),
            best.multipliers,
            np.linalg.eigvalsh(bend) if bend.size and np.isfinite(bend).all() else np.zeros(0),
            float(np.linalg.norm(self.landscape.outputs(best.y) - beta)),
            float(np.linalg.norm(best.slope)),
            tuple(sorted(end.value for end in ends)),
        )
