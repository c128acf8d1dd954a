"""SGD on batches at a learning rate that stays: a step multiplies the residuals by a random matrix, and no kernel says where they settle.

Where every sample rests on Γ the residuals follow f⁺ = f − ηG D_B(f ± εδ) with D_B = 1_B/b, for G and f with the roots of ℓ″(0) in them.
With n samples of which a step draws b, E[D_BXD_B] = ((1 − α)/n²)X + (α/n)D[X], where D[X] are the blocks of single samples and
α = (n − b)/(b(n − 1)). So S = JᵀZJ with

    (GZ + ZG)/n − η((1 − α)/n² GZG + (α/n) D[GZG]) = Q,   Σ = JᵀQJ,

which is HS + SH − η(α E[H_iSH_i] + (1 − α)HSH) = Σ. In the eigenvectors of G all but D is a division; the blocks W = D[GZG] solve a
symmetric system, whose spectral radius is below 1 where the fluctuations stay bounded.
"""

from dataclasses import dataclass

import numpy as np

from symbolic_sgd.errors import Unstable


@dataclass(frozen=True)
class Minibatches:
    """What a step draws, at numbers.

    Args:
        rate: η.
        share: α, 1 for single samples and 0 for the full gradient.
        samples: n.
    """

    rate: float
    share: float
    samples: int

    def stationary(self, curvatures: np.ndarray, axes: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Z in the eigenvectors of G, by O(m) products of N×M matrices for m entries of W, and a system of m equations.

        Args:
            curvatures: λ > 0, the M eigenvalues of G/n that are not zero.
            axes: their eigenvectors, N×M, with the outputs of a sample together.
            noise: the diagonal of Q.

        Raises:
            Unstable: the fluctuations grow.
        """
        sums, products = curvatures[:, None] + curvatures, curvatures[:, None] * curvatures
        below = sums - self.rate * (1 - self.share) * products
        if not (below > 0).all():
            raise Unstable(
                self._grow(f"η(1 − α)λ = {self.rate * (1 - self.share) * curvatures.max():.6g} is not below 2")
            )
        forced = (axes.T * noise) @ axes / below
        if not self.share:
            return forced
        blocks = axes.reshape(self.samples, -1, len(curvatures))
        weighted = self.samples * curvatures * blocks
        seen = lambda inner: np.einsum("kai,kbi->kab", weighted @ inner, weighted).ravel()  # noqa: E731
        pairs = [(a, b) for sample in blocks for a in sample for b in sample]
        factor = self.rate * self.share / self.samples
        system = factor * np.stack([seen(np.outer(a, b) / below) for a, b in pairs], axis=1)
        radius = float(np.abs(np.linalg.eigvals(system)).max())
        if not radius < 1:
            raise Unstable(
                self._grow(f"the spectral radius of what single samples add is {radius:.6g}, and not below 1")
            )
        found = np.linalg.solve(np.eye(len(system)) - system, seen(forced))
        return forced + factor * sum(w * np.outer(a, b) for w, (a, b) in zip(found, pairs, strict=True)) / below

    @staticmethod
    def _grow(reason: str) -> str:
        return (
            "SGD on batches does not stay near Γ there: its fluctuations grow in mean square, since "
            f"{reason}; make the learning rate smaller, or the batches larger"
        )
