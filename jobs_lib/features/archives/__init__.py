"""Audit rows in files of their own: written, read back, and only then deleted."""
