"""The limiting SDE in coordinates of Γ: ranges, one dimension, stationary densities, fixed points."""
