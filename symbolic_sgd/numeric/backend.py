"""What a back end is: a frozen object that turns one term of a limiting SDE into a function of points."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from symbolic_sgd.algebra.program import Output, Program
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.matrix_stages import MatrixStages

Evaluation = Callable[[Any, Mapping[str, Any]], Any]
"""x of shape (..., D) and the constants by name → the term, (..., D) or (..., D, K)."""


@dataclass(frozen=True)
class Part:
    """One term, to be evaluated.

    Args:
        derivation: where it comes from, and what its points have to satisfy.
        program: the program of its single output.
        check: whether each point is examined.
    """

    derivation: Derivation
    program: Program
    check: bool

    @property
    def output(self) -> Output:
        """What is computed."""
        (output,) = self.program.outputs
        return output

    @property
    def is_as_derived(self) -> bool:
        """Whether the program is that of the derivation (others are evaluated in its stead, too)."""
        derived, name = self.derivation.program, self.output.name
        return name in derived.names and self.program == derived.select(name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value: (D,) for a vector; the noise keeps its second axis even if it has one column."""
        rows, columns = self.output.shape
        return (rows,) if columns == 1 and self.output.name != "tangent_noise" else (rows, columns)


class Backend(ABC):
    """A way to evaluate programs; adding one means adding one file, and one row in `backends/__init__.py`."""

    @abstractmethod
    def compile(self, part: Part) -> Evaluation:
        """The function that computes a term."""

    def compile_matrices(self, stages: MatrixStages, name: str, check: bool) -> Evaluation | None:
        """The function that computes a term of a large problem; None, the default, where it is done entry by entry."""
        return None
