"""How long 500 domains take against a resolver that answers each question after 100 ms, as name
servers far away do.

    python -m tests.benchmarks.domains

A whole process on SQLite.
"""
from __future__ import annotations

import tempfile
import time

from tests.benchmarks.all import beside_goal
from tests.servers.dns_servers import Slow
from tests.support.product import clock
from tests.support.shell import Shell

OPTIONS = {"mx_hosts": "mx1.service.example", "spf_include": "spf.service.example",
           "dkim_target": "porter._domainkey.service.example"}
NUMBER, DELAY = 500, 0.1
SECONDS = 8         # that they may take with such answers


def measure(port: int) -> float:
    """Seconds of one run over all domains, which are due."""
    with tempfile.TemporaryDirectory() as folder:
        service = Shell(folder, f"sqlite:///{folder}/jobs.db",
                          dns={**OPTIONS, "nameservers": f"127.0.0.1:{port}"})
        user = service.owner()["user_id"]
        service.db.insert_all("domains", [
            {"user_id": user, "name": f"d{at}.bench.example", "ownership_token": "token",
             "created_at": clock.now()} for at in range(NUMBER)])
        began = time.perf_counter()
        done = service.job("check_domains")
        spent = time.perf_counter() - began
        service.db.close()
    assert done["counts"]["checked"] == NUMBER, done
    return spent


def main() -> None:
    """Measure and print."""
    with Slow(DELAY) as slow:
        what = f"{NUMBER} domains, answers after {DELAY * 1000:.0f} ms"
        print(f"{what}: {beside_goal(what, measure(slow.port), at_most=SECONDS, unit=' s')}")


if __name__ == "__main__":
    main()
