"""Step 1 of the theorem: Γ, its points to 120 digits, its equations, and why there is none."""
