"""A storm of SIGKILLs on each job that sends or delivers something: two processes work one of
them, each on a host of its own with no lock between them, and are killed at points drawn evenly
over what a run does. Then all of it is judged.

    python3 -m tests.storm                              200 kills in each job on each engine
    python3 -m tests.storm --job retry_webhooks --engine sqlite --kills 50 --seed 7

It prints a line for each job and engine, and ends with 1 when something was lost, is stuck, was
done by halves, or was sent more often than its attempts on record explain. The clock, the relay
and the endpoints are those of tests/simulation; tests/every_job/test_cut_short.py kills the other
jobs at each point there is.
"""
