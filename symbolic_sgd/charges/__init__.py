"""Charges: what the noiseless flow conserves, and what the noise makes of it."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
