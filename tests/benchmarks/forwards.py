"""How fast forwards and notices leave, beside bare smtplib, on one relay in one run.

Each is timed as a whole process over messages of 4 kB. Ours makes each result durable before the
next message begins; with a limit a day it counts what was sent, too, before each.
"""
from __future__ import annotations

import statistics
import subprocess
import sys
import time
from datetime import timedelta

from tests.benchmarks.all import beside_goal, service
from tests.servers.misbehaving import Relay
from tests.servers.smtp_sink import Sink
from tests.support.databases import fill
from tests.support.product import clock

JOBS = {"retry_forwards": "failed_emails", "send_notifications": "notifications"}
HALF_USED = ", half of 20,000 a day used"
# on this machine, where the commits are most of it; of a far relay, its round trips
NEAR, NEAR_LIMITED, FAR = 0.6, 0.4, 1.7
MESSAGES, ROUNDS = 2000, 3
LINES = "A line of a body that has about sixty octets, as mail has it.\r\n"
CONTENT = (b"From: a@shop.example\r\nTo: b@alias.example\r\nMessage-ID: <%s@bench.example>\r\n"
           b"Subject: A message\r\n\r\n" + LINES.encode() * 60)
BARE = """
import smtplib, sys
port, number = int(sys.argv[1]), int(sys.argv[2])
content = sys.stdin.buffer.read()
relay = smtplib.SMTP("127.0.0.1", port, local_hostname="bench.example")
for at in range(number):
    relay.sendmail("a@shop.example", ["b@alias.example"], content.replace(b"%s", b"%d" % at))
relay.quit()
"""


def bare(port: int, number: int) -> float:
    """Seconds that smtplib takes over one connection: no queue, no record."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE, str(port), str(number)], input=CONTENT, check=True)
    return time.perf_counter() - began


def ours(job: str, port: int, number: int, is_limited: bool) -> float:
    """Seconds of `jobs.py JOB` over a backlog in SQLite."""
    with service(mail={"port": port}) as one:
        if job == "retry_forwards":
            one.forwards(number, CONTENT)
        else:
            one.db.insert_all("notifications", [{
                "user_id": one.owner()["user_id"], "kind": "alias_expired",
                "to_email": "owner@home.example", "subject": "A message", "body_text": LINES * 25,
                "body_html": f"<p>{LINES * 25}</p>", "created_at": clock.now()}] * number)
        if is_limited:                      # by attempts of the last hours
            one.configure("mail", per_day="20000")
            fill(one.db, "attempts", {"kind": "forward", "outcome": "sent", "urgent": 0,
                                      "item_id": 0, "began_at": clock.now() - timedelta(hours=2)},
                 10_000)
        done = one(job)
        assert done.code == 0, done
        assert one.statuses(JOBS[job]) == {"sent": number}
    return done.seconds


def compare(title: str, port: int, number: int, goals: dict) -> None:
    """Each in turn, ROUNDS times; the median of the ratios to bare smtplib, taken within a round.
    `goals`: {is it limited: what it should reach}."""
    print(f"\n{title}: {number:,} messages, {ROUNDS} rounds")
    ratios: dict = {}
    for _ in range(ROUNDS):
        base = bare(port, number)
        for job in JOBS:
            for is_limited in goals:
                ratios.setdefault((is_limited, job), []).append(
                    base / ours(job, port, number, is_limited))
    for (is_limited, job), values in sorted(ratios.items()):
        name = job + (HALF_USED if is_limited else ", SQLite")
        print(f"  {name}: " + beside_goal(f"{title}: {name}, relative to bare smtplib",
                                          statistics.median(values), at_least=goals[is_limited]))


def main() -> None:
    with Sink(dump=False) as sink:
        compare("smtp-sink on this machine", sink.port, MESSAGES, {False: NEAR, True: NEAR_LIMITED})
    with Relay(latency=0.02) as relay:
        compare("a relay 20 ms away, with PIPELINING", relay.port, MESSAGES // 10, {False: FAR})
