"""Months of a small service in minutes: the real jobs on a real database, with a clock of their
own, killed at chosen points, and judged after each tick by rules that know nothing of their code.

    python3 -m tests.simulation --days 30

world.py    the service; acts/ what its users, its app and its operator do
outside.py  the relay, the endpoints and the DNS, as they are at each moment
faults.py   what goes wrong, and when
host.py     one installation, whose commands run in forked processes
points.py   the clock, and where a process can be struck, from the inside
oracle/     the rules, over plain rows
story.py    the run itself: acts, ticks, judgement, and the words for it
"""
