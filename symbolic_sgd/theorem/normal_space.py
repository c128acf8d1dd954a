"""What is kept of the normal space when a derivation is finished: a type for each way to know it."""

from dataclasses import dataclass

from symbolic_sgd.algebra.program import Program


@dataclass(frozen=True)
class Framed:
    """A frame.

    Args:
        frame: the program of `frame` = F, D×M: columns that span the range of H on Γ.
    """

    frame: Program


@dataclass(frozen=True)
class ComposedFrame(Framed):
    """A frame of gradients F = (∇f_1 … ∇f_M) of a loss L = h(f_1, …, f_M), or Σ h_i(f_i, x).

    Args:
        curvature: the program of `curvature` = K with H = F K Fᵀ on Γ, M×M.
        rigid: whether K is constant along Γ even where it is written with parameters; else it is diagonal.
    """

    curvature: Program
    rigid: bool


@dataclass(frozen=True)
class Frameless:
    """No frame: everything is a polynomial in H over e_M.

    Args:
        symmetric: the program of `symmetric` = (e_1 … e_M), the sums of the principal minors of H.
    """

    symmetric: Program


NormalSpace = Framed | Frameless
