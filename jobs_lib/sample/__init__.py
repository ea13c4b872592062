"""A sample service, with real messages, for `jobs.py demo` and for the tests."""
