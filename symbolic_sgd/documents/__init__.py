"""A derivation as a document, and the formats of documents."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
