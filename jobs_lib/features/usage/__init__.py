"""Usage: daily totals, billing periods, thresholds."""
