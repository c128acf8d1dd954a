"""The local page: a form for a problem, and at once Γ, dY and R. The server parses nothing and derives nothing: its workers do."""
