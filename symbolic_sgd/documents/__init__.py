"""A derivation as a document, and the formats of documents."""
