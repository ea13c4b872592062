"""Audit logs in monthly files that prove themselves: format, writing, catalogue, recovery."""
