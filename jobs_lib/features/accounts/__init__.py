"""Deleting an account: revoked at once, erased in order, recorded; and the addresses that are never
given out again."""
