"""A storm of SIGKILLs on each job that sends or delivers something: two processes work one of
them, each on a host of its own with no lock between them, and are killed at points drawn over
all that a run does. Then all of it is judged: nothing is lost, stuck or done by halves, and
nothing was sent more often than its attempts on record explain.

The clock, the relay and the endpoints are those of tests/simulation.
tests/every_job/test_cut_short.py kills the other jobs at each point there is.
"""
