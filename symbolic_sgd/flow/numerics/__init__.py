"""The gradient flow integrated: many points in float64, one point to many digits."""
