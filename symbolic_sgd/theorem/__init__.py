"""Steps 2 to 5: the normal frame, the inverses, the noise on Γ, the drift, and how they are written."""
