"""How fast forwards and notices leave, beside bare smtplib, on one relay in one run.

    python -m tests.benchmarks.forwards

Each is timed as a whole process, from its start to its end, over messages of 4 kB; the first line
of a round is the measure of the others. Ours makes each result durable before the next message
begins; with a limit a day it counts what was sent, too, before each.
"""
from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta

from tests.benchmarks.figures import beside_goal
from tests.servers.proxy import Far
from tests.servers.smtp_sink import Sink
from tests.support.many import fill
from tests.support.product import clock
from tests.support.shell import Shell

OURS = ("retry_forwards, SQLite", "send_notifications, SQLite")
HALF_USED = ("retry_forwards, half of 20,000 a day used",
             "send_notifications, half of 20,000 a day used")
# on this machine, where the commits are most of it; of a far relay, its round trips
NEAR, NEAR_LIMITED, FAR = 0.6, 0.4, 1.7
MESSAGES, ROUNDS = 2000, 3
CONTENT = (b"From: a@shop.example\r\nTo: b@alias.example\r\nMessage-ID: <%s@bench.example>\r\n"
           b"Subject: A message\r\n\r\n" + b"A line of a body that has about sixty octets, as mail "
           b"has it.\r\n" * 60)
BARE = """
import smtplib, sys
port, number = int(sys.argv[1]), int(sys.argv[2])
content = sys.stdin.buffer.read()
relay = smtplib.SMTP("127.0.0.1", port, local_hostname="bench.example")
for at in range(number):
    relay.sendmail("a@shop.example", ["b@alias.example"], content.replace(b"%s", b"%d" % at))
relay.quit()
"""

def timed(command: list[str], **how) -> float:
    """Seconds of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **how)
    return time.perf_counter() - began


def bare(port: int, number: int) -> float:
    """smtplib over one connection, no queue, no record."""
    return timed([sys.executable, "-c", BARE, str(port), str(number)], input=CONTENT)


def use_half(service: Shell) -> None:
    """Limit a day to 20,000, half of which were sent in the last hours."""
    service.configure("mail", per_day="20000")
    fill(service.db, "attempts", {"kind": "forward", "outcome": "sent", "urgent": 0, "item_id": 0,
                                  "began_at": clock.now() - timedelta(hours=2)}, 10_000)


def ours(port: int, number: int, limited: bool = False) -> float:
    """`jobs.py retry_forwards` over a backlog in SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        service = Shell(folder, f"sqlite:///{folder}/jobs.db")
        service.configure("mail", port=port)
        service.forwards(number, CONTENT)
        if limited:
            use_half(service)
        began = time.perf_counter()
        service.run("retry_forwards")
        seconds = time.perf_counter() - began
        assert service.statuses() == {"sent": number}
        service.db.close()
    return seconds


def notices(port: int, number: int, limited: bool = False) -> float:
    """`jobs.py send_notifications` over a backlog of notices with text and HTML, 4 kB each, in
    SQLite."""
    text = "A line of a body that has about sixty octets, as mail has it.\n" * 25
    with tempfile.TemporaryDirectory() as folder:
        service = Shell(folder, f"sqlite:///{folder}/jobs.db")
        service.configure("mail", port=port)
        owner = service.owner()["user_id"]
        with service.db.transaction():
            for _ in range(number):
                service.db.insert("notifications", user_id=owner, kind="alias_expired",
                                  to_email="owner@home.example", subject="A message",
                                  body_text=text, body_html=f"<p>{text}</p>",
                                  created_at=clock.now())
        if limited:
            use_half(service)
        began = time.perf_counter()
        service.run("send_notifications")
        seconds = time.perf_counter() - began
        sent = service.db.value("SELECT COUNT(*) FROM {notifications} WHERE status = 'sent'")
        assert sent == number
        service.db.close()
    return seconds


def compare(title: str, contestants: dict, number: int, goals: dict) -> None:
    """Each in turn, ROUNDS times; the median of the ratios to the first, taken within a round.
    `goals`: {name: what it should reach}."""
    print(f"\n{title}: {number:,} messages, {ROUNDS} rounds")
    seconds: dict = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, measure in contestants.items():
            seconds[name].append(measure(number))
    first = next(iter(seconds.values()))
    for name, values in seconds.items():
        ratio = statistics.median(base / value for base, value in zip(first, values))
        print(f"  {name:<32} {number / statistics.median(values):8,.0f} /s   {ratio:5.2f} of bare "
              "smtplib")
        if name in goals:
            print("    " + beside_goal(f"{title}: {name}, relative to bare smtplib", ratio,
                                       at_least=goals[name]))


def main() -> None:
    """Measure and print."""
    with Sink(dump=False) as sink:
        contestants = {"bare smtplib": lambda n: bare(sink.port, n),
                       OURS[0]: lambda n: ours(sink.port, n),
                       OURS[1]: lambda n: notices(sink.port, n),
                       HALF_USED[0]: lambda n: ours(sink.port, n, limited=True),
                       HALF_USED[1]: lambda n: notices(sink.port, n, limited=True)}
        compare("smtp-sink on this machine", contestants, MESSAGES,
                {**dict.fromkeys(OURS, NEAR), **dict.fromkeys(HALF_USED, NEAR_LIMITED)})
        with Far(sink.port, 0.02) as far:
            compare("a relay 20 ms away, with PIPELINING",
                    {"bare smtplib": lambda n: bare(far.port, n),
                     OURS[0]: lambda n: ours(far.port, n), OURS[1]: lambda n: notices(far.port, n)},
                    MESSAGES // 10, dict.fromkeys(OURS, FAR))


if __name__ == "__main__":
    main()
