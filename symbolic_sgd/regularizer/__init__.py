"""The function R that the regularization descends, or the proof that there is none."""
