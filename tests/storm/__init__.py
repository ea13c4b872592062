"""A storm of SIGKILLs on each job of a queue: two processes work it, each on a host of its own with
no lock between them, are killed at points drawn evenly over what a run does, and then all of it is
judged. The other jobs are killed before each of their changes: tests/every_job/test_cut_short.py.

    python3 -m tests.storm                              200 kills in each job on each engine
    python3 -m tests.storm --job retry_webhooks --engine sqlite --kills 50 --seed 7

It prints a line for each job and engine, and ends with 1 when something was lost, is stuck, was
done by halves, or was sent more often than its attempts on record explain. The clock, the relay,
the endpoints and the name servers are those of tests/simulation.
"""
