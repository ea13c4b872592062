"""One POST to an address that somebody else has chosen."""
