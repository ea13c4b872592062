"""How long a process takes for 500 domains, when each answer of a resolver takes 100 ms."""
from __future__ import annotations

from tests.benchmarks.all import beside_goal, service
from tests.servers.dns_servers import Slow
from tests.support.product import clock

OPTIONS = {"mx_hosts": "mx1.service.example", "spf_include": "spf.service.example",
           "dkim_target": "porter._domainkey.service.example"}
NUMBER, DELAY = 500, 0.1
SECONDS = 8         # that they may take with such answers


def main() -> None:
    with Slow(DELAY) as slow, service(dns={
            **OPTIONS, "nameservers": f"127.0.0.1:{slow.port}"}) as one:
        user = one.owner()["user_id"]
        one.db.insert_all("domains", [
            {"user_id": user, "name": f"d{at}.bench.example", "ownership_token": "token",
             "created_at": clock.now()} for at in range(NUMBER)])
        done = one("check_domains", "--json")
        assert f'"checked": {NUMBER}' in done.out, done
    what = f"{NUMBER} domains, answers after {DELAY * 1000:.0f} ms"
    print(f"{what}: {beside_goal(what, done.seconds, at_most=SECONDS, unit=' s')}")
