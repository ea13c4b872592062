"""One run of one job: lock, slot, history, limits, log, counts, outcome. It may import the
configuration and below."""
