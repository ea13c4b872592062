"""The demo's made-up service, and what `jobs.py demo` says of it. It may import everything below
the commands."""
