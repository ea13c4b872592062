"""One file a job: its rule in words, when it runs, its options; the work is one call into a feature
or an engine."""
