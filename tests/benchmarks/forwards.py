"""How fast forwards and notices leave, beside bare smtplib, on one relay in one run.

Each is timed as a whole process over messages of 4 kB. Ours makes each result durable before the
next message begins.
"""
from __future__ import annotations

import statistics
import subprocess
import sys
import time

from tests.benchmarks.all import beside_goal, service
from tests.servers.misbehaving import Relay
from tests.servers.smtp_sink import Sink
from tests.support.product import clock

JOBS = {"retry_forwards": "failed_emails", "send_notifications": "notifications"}
# on this machine, where the commits are most of it; of a far relay, its round trips
NEAR, FAR = 0.6, 1.5
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


def ours(job: str, port: int, number: int) -> float:
    """Seconds of `jobs.py JOB` over a backlog in SQLite."""
    with service(mail={"port": port}) as one:
        if job == "retry_forwards":
            one.forwards(number, CONTENT)
        else:
            one.db.insert_all("notifications", [{
                "user_id": one.owner()["user_id"], "kind": "alias_expired",
                "to_email": "owner@home.example", "subject": "A message", "body_text": LINES * 25,
                "body_html": f"<p>{LINES * 25}</p>", "created_at": clock.now()}] * number)
        done = one(job)
        assert done.code == 0, done
        assert one.statuses(JOBS[job]) == {"sent": number}
    return done.seconds


def compare(title: str, port: int, number: int, goal: float) -> None:
    """Each in turn, ROUNDS times; the median of the ratios to bare smtplib, taken within a
    round."""
    ratios: dict = {job: [] for job in JOBS}
    for _ in range(ROUNDS):
        base = bare(port, number)
        for job, found in ratios.items():
            found.append(base / ours(job, port, number))
    medians = [statistics.median(found) for found in ratios.values()]
    print(f"{title}, {number:,} messages, {ROUNDS} rounds: " + ", ".join(
        f"{job} {ratio:.2f}" for job, ratio in zip(JOBS, medians)))
    print(beside_goal(f"forwards and notices, {title}, relative to bare smtplib", *medians,
                      at_least=goal))


def main() -> None:
    with Sink(dump=False) as sink:
        compare("a relay on this machine", sink.port, MESSAGES, NEAR)
    with Relay(latency=0.02) as relay:
        compare("a relay 20 ms away", relay.port, MESSAGES // 10, FAR)
