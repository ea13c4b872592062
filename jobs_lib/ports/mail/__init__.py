"""Handing a message to a relay: values, then transports, then the factory."""
