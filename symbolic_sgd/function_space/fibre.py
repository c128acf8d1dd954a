"""What is minimised: R over the fibres {x : F(x) = β} of a predictor F."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sympy as sp


@dataclass(frozen=True)
class Fibres:
    """R(x) = the sum of its terms, or a ln(the sum) + b, and F(x) = β.

    Args:
        parameters: x, of which R and F are functions.
        predictor: F_1 … F_k.
        shape: (rows, columns) of F where it was stated as a matrix, else None.
        symbols: β_1 … β_k.
        terms: their sum is R, or what the logarithm is taken of; of several none is negative anywhere.
        signs: ±1 for the parameters that keep one sign.
        logarithm: (a, b) where R = a ln(Σ terms) + b with a > 0, else None.
    """

    parameters: tuple[sp.Symbol, ...]
    predictor: tuple[Any, ...]
    shape: tuple[int, int] | None
    symbols: tuple[sp.Symbol, ...]
    terms: tuple[Any, ...]
    signs: Mapping[sp.Symbol, int]
    logarithm: tuple[Any, Any] | None = None

    @cached_property
    def total(self) -> Any:
        """The sum of the terms."""
        return sp.Add(*self.terms)

    @property
    def regularizer(self) -> Any:
        """R(x)."""
        return self.outside(self.total)

    def outside(self, total: Any) -> Any:
        """R, of the sum of the terms: an increasing function."""
        return total if self.logarithm is None else self.logarithm[0] * sp.log(total) + self.logarithm[1]

    @cached_property
    def constants(self) -> tuple[sp.Symbol, ...]:
        """Letters that are no parameters."""
        held = sp.Tuple(self.regularizer, *self.predictor).free_symbols - set(self.parameters)
        return tuple(sorted((s for s in held if isinstance(s, sp.Symbol)), key=str))

    def at(self, values: Mapping[sp.Symbol, Any]) -> "Fibres":
        """With numbers for constants."""
        put = dict(values)
        logarithm = (
            None if self.logarithm is None else (self.logarithm[0].xreplace(put), self.logarithm[1].xreplace(put))
        )
        terms, outputs = (tuple(sp.sympify(e).xreplace(put) for e in es) for es in (self.terms, self.predictor))
        return replace(self, terms=terms, predictor=outputs, logarithm=logarithm)

    def without_idle(self) -> "Fibres":
        """With the parameters only that R or F depends on."""
        used = sp.Tuple(self.regularizer, *self.predictor).free_symbols
        kept = tuple(p for p in self.parameters if p in used)
        return replace(self, parameters=kept, signs={p: s for p, s in self.signs.items() if p in used})

    @property
    def matrix(self) -> sp.ImmutableDenseMatrix | None:
        """F as it was stated, where it is a matrix."""
        return None if self.shape is None else sp.ImmutableDenseMatrix(*self.shape, self.predictor)

    @property
    def matrix_of_symbols(self) -> sp.ImmutableDenseMatrix | None:
        """β in the shape of F."""
        return None if self.shape is None else sp.ImmutableDenseMatrix(*self.shape, self.symbols)

    def blocks(self) -> list["Fibres"]:
        """The parts of R and F that share no parameters, for R that is a sum."""
        trained = set(self.parameters)
        pieces: list[tuple[set[sp.Symbol], set[int], set[int]]] = [({p}, set(), set()) for p in self.parameters]
        uses = [(f.free_symbols & trained, {k}, set[int]()) for k, f in enumerate(self.predictor)]
        uses += [(t.free_symbols & trained, set[int](), {j}) for j, t in enumerate(self.terms)]
        for symbols, outputs, terms in uses:
            touched = [piece for piece in pieces if piece[0] & symbols]
            pieces = [piece for piece in pieces if not piece[0] & symbols]
            merged = (symbols.union(*(p[0] for p in touched)), outputs.union(*(p[1] for p in touched)))
            pieces.append((*merged, terms.union(*(p[2] for p in touched))))
        pieces = [piece for piece in pieces if piece[1] or piece[2]]
        return [self._part(*piece) for piece in sorted(pieces, key=lambda p: min(p[1] or {len(self.predictor)}))]

    def _part(self, symbols: set[sp.Symbol], outputs: Iterable[int], terms: Iterable[int]) -> "Fibres":
        kept = sorted(outputs)
        whole = len(kept) == len(self.predictor)
        return Fibres(
            parameters=tuple(p for p in self.parameters if p in symbols),
            predictor=tuple(self.predictor[k] for k in kept),
            shape=self.shape if whole else None,
            symbols=tuple(self.symbols[k] for k in kept),
            terms=tuple(self.terms[j] for j in sorted(terms)),
            signs={p: s for p, s in self.signs.items() if p in symbols},
        )
