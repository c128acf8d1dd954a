"""Means and covariances of replicas, merged over chunks in a fixed order so that no bit depends on who computed what."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moments:
    """What is kept of N replicas at T times: their number, mean (T×D) and scatter Σ (x − mean)(x − mean)ᵀ (T×D×D)."""

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @staticmethod
    def of(x: np.ndarray) -> "Moments":
        """The moments of the columns of x (D×N), at one time.

        No matrix product is used: how a library splits one over threads could change the last bits.
        """
        mean = x.mean(axis=1)
        centred = x - mean[:, None]
        return Moments(x.shape[1], mean[None], np.einsum("ir,jr->ij", centred, centred, optimize=False)[None])

    @staticmethod
    def joined(parts: list["Moments"]) -> "Moments":
        """The same replicas at one time after the other."""
        return Moments(parts[0].count, *(np.concatenate([getattr(p, n) for p in parts]) for n in ("mean", "scatter")))

    def merged(self, other: "Moments") -> "Moments":
        """All replicas of both (Chan, Golub & LeVeque 1979)."""
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        between = apart[:, :, None] * apart[:, None, :] * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance, T×D×D; nan of a single replica."""
        return self.scatter / (self.count - 1) if self.count > 1 else np.full_like(self.scatter, np.nan)
