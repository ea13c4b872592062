"""Mechanisms that several features share: queues, mail sending, fair turns, relay limits, purges,
the spool. They may import the runner and below, and no feature.
"""
