"""Does theory match itself and nature: the methods of `verify`."""
