"""The proofs about products of matrices in words: of one size, and of every size."""

from typing import Any

from symbolic_sgd.function_space.closed_form import Attainment

SINGULAR = Attainment(
    "unknown",
    "the infimum is approached as C and B become singular (C + ε, B + ε for ε → 0), and need not be attained: some directions of β cost "
    "nothing",
)

BALANCED_PAIR = "UᵀCU = VᵀBV"

BALANCED_CHAIN = (
    "W_1 B^½ and C^½ W_L are multiples of Σ^½Qᵀ and PΣ^½, for the singular value decomposition PΣQᵀ of C^½βB^½, and the factors between "
    "are multiples of isometries"
)

BALANCED_SQUARES = "the Q^½w_k are eigenvectors of Q^½βQ^½, orthogonal to each other"


def of_pair(c: str, b: str, q: Any = 2, scale: str = "") -> tuple[str, str]:
    """F = UVᵀ: R is never below 2Σσ(C^½βB^½)^{q/2}, times what stands before it."""
    p = q / 2 if q != 2 else 1
    cross = f"R ≥ {scale}2 Σ_k (‖C^½u_k‖ ‖B^½v_k‖)" + (f"^({p})" if p != 1 else "") + " (means)"
    last = (
        "Σ_k ‖C^½u_k‖ ‖B^½v_k‖ ≥ ‖C^½ β B^½‖_*, because β = Σ u_kv_kᵀ (triangle inequality)"
        if p == 1
        else f"Σ_k (‖C^½u_k‖ ‖B^½v_k‖)^({p}) ≥ Σ_k σ_k(C^½ β B^½)^({p}), because Σσ_k^p is subadditive for p ≤ 1 (McCarthy 1967)"
    )
    times = f"{scale}times " if scale else ""
    return (
        f"F = UVᵀ and R is {times}the sum of ‖C^½u_k‖{_power(q)} + ‖B^½v_k‖{_power(q)} over the columns{_with(C=c, B=b)}",
        f"{cross}, and {last}",
    )


def of_chain(n: int, c: str, b: str, scale: str = "") -> tuple[str, str]:
    """F = W_n ⋯ W_1: R is never below n (tr C tr B)^{1/n} ‖C^½βB^½‖_*^{2−2/n}, times what stands before it."""
    return (
        f"F = W_{n} ⋯ W_1 and R = {scale}Σ_l ‖C^½ W_{n} ⋯ W_(l+1)‖² ‖W_(l−1) ⋯ W_1 B^½‖²{_with(C=c, B=b)}",
        f"R ≥ {scale}{n} Π_l (…)^(1/{n}) (means), and ‖C^½ W_{n} ⋯ W_(l+1)‖ ‖W_l ⋯ W_1 B^½‖ ≥ ‖C^½ β B^½‖_* for each l",
    )


def of_squares(q: str, scale: str = "") -> tuple[str, str]:
    """F = Σ s_k w_kw_kᵀ: R is never below ‖Q^½βQ^½‖_*, times what stands before it."""
    times = f"{scale}times " if scale else ""
    return (
        f"F = Σ s_k w_kw_kᵀ and R = {scale}Σ w_kᵀQw_k{_with(Q=q)}",
        f"R is {times}the sum of the nuclear norms of s_k Q^½w_k(Q^½w_k)ᵀ, whose sum is Q^½βQ^½ (triangle inequality)",
    )


def _with(**letters: str) -> str:
    """What the letters of a statement are, where they have other names."""
    told = [f"{letter} = {name}" for letter, name in letters.items() if letter != name]
    return f" with {', '.join(told)}" if told else ""


def _power(q: Any) -> str:
    return "²" if q == 2 else "" if q == 1 else f"^({q})"
