"""Figures, measured here and now: each module's `run()` measures one thing, with the
peer in the same run where there is one, and returns its figures."""
