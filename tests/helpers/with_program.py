"""A derivation with another program of its terms: what mutants are made of."""

from dataclasses import replace

from symbolic_sgd.algebra.program import Program
from symbolic_sgd.theorem.derivation import Derivation, Written


def with_program(derivation: Derivation, program: Program) -> Derivation:
    """The derivation, its terms computed by this program."""
    assert isinstance(derivation.written, Written)
    return replace(derivation, written=replace(derivation.written, program=program))
