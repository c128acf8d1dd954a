"""Optimizers: for each its iteration, the kernel of its limit, its unit of time and its stability. Adding one is adding a file."""
