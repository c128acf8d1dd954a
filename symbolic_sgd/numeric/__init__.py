"""Fast numeric callables: programs lowered to float64, back ends, and the guard of points."""
