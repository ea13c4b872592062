"""How long 1,000 deliveries to 100 endpoints take when 10 are dead, beside the same without those.

Each is timed as a whole process on SQLite. Dead are endpoints of another account whose server
accepts nothing ("no accept"), or never answers ("silent"). The first run of a kind meets them
unaware; the second knows that they fail. The goal is when the last living endpoint was served: its
account has half of the slots, and three quarters when the others are known to fail.
"""
from __future__ import annotations

import time

from tests.benchmarks.all import beside_goal, service
from tests.servers.web import Web, full, loopback, silent
from tests.support.hooks import fill

DELIVERIES, ENDPOINTS, DEAD = 1000, 100, 10
GOALS = {"unaware": 2.2, "aware": 1.5}
TIMEOUT, LATENCY = 15, 0.02         # seconds; that a living endpoint takes
served: list = [0.0]             # when a living endpoint answered, the last one last


def hosts(count: int, net: int = 0) -> list[str]:
    """So many addresses of this machine."""
    return [f"127.{net}.{at // 250}.{at % 250 + 1}" for at in range(count)]


def run(port: int, dead_port: int | None) -> list[tuple[float, float]]:
    """Seconds of the first run, and until the last living endpoint was served; the same of a second
    one with as many deliveries again."""
    each, found = DELIVERIES // ENDPOINTS, []
    with service(webhooks={"allow_networks": "127.0.0.0/8", "timeout": f"{TIMEOUT}s"}) as one:
        for _ in range(2):
            fill(one, port, ENDPOINTS - DEAD, each, hosts(ENDPOINTS))
            if dead_port:
                fill(one, dead_port, DEAD, each, hosts(DEAD, net=9))
                # in among the others, as they would come
                one.db.execute("UPDATE {webhook_deliveries} SET last_attempt_at = created_at, "
                               "created_at = '2026-01-01 00:00:00' "
                               "WHERE id % 3 = 0 AND status = 'pending'")
                if found:
                    one.db.execute("UPDATE {webhooks} SET failing_since = created_at "
                                   "WHERE url LIKE :dead", dead=f"%:{dead_port}/%")
            began = time.perf_counter()
            one.run("retry_webhooks")
            found.append((time.perf_counter() - began, served[-1] - began))
    return found


def main() -> None:
    def answer(connection, _heard) -> None:
        time.sleep(LATENCY)
        served.append(time.perf_counter())
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    dead = full(loopback(backlog=0))
    with Web(answer, host="") as web, Web(silent, host="") as mute, dead as (_, closed):
        base, _ = min(run(web.port, None))
        print(f"  without the dead ones   {base:6.1f} s   {DELIVERIES * 0.9 / base:6.0f} /s")
        met: dict = {}
        for kind, port in (("no accept", closed), ("silent", mute.port)):
            for when, (whole, seconds) in zip(GOALS, run(web.port, port)):
                print(f"  {kind + ', ' + when:<23} {seconds:6.1f} s   the run took {whole:.1f} s")
                met.setdefault(when, []).append(seconds / base)
    for when, most in GOALS.items():
        print(beside_goal(f"{DELIVERIES:,} deliveries, {DEAD} endpoints dead, {when}, until the "
                          "last of the others, relative to none dead", *met[when], at_most=most))
