"""A storm of SIGKILLs on each of the jobs: two processes work one of them, are killed at points
drawn evenly over what a run does, and then all of it is judged. Of the queues' jobs each may be on
a host of its own, with no lock between them; the others have the lock of their job.

    python3 -m tests.storm                              200 kills in each job on each engine
    python3 -m tests.storm --job retry_webhooks --engine sqlite --kills 50 --seed 7

It prints a line for each job and engine, and ends with 1 when something was lost, is stuck, was
done by halves, or was sent more often than its attempts on record explain. The clock, the relay,
the endpoints and the name servers are those of tests/simulation.
"""
