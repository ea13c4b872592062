"""One POST to an address that somebody else has chosen: values, then clients, then the factory."""
