"""The ways in to a run, and what keeps jobs from it."""
