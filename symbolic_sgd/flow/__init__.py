"""Φ, the limit of the gradient flow: first integrals, closed forms, and numbers."""
