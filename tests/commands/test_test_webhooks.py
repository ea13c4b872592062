"""`test retry_webhooks --sandbox` sends nothing: each request becomes a file of the copy, and is
listed."""
from __future__ import annotations

import json

from tests.servers.web import Web
from tests.support.hooks import fill
from tests.support.shell import Shell


def test_a_sandbox_writes_requests_and_calls_nobody(tmp_path):
    service = Shell(tmp_path, f"sqlite:///{tmp_path}/jobs.db",
                      webhooks={"allow_networks": "127.0.0.0/8"})
    with Web() as web:
        fill(service, web.port, endpoints=2, each=1, hosts=("127.0.0.1",))
        service.db.execute("UPDATE {webhooks} SET url = :url WHERE id = 1",
                           url=f"http://127.0.0.1:{web.port}/hook?key=s3same")
        out = service.run("test", "retry_webhooks", "--sandbox", "--json")
        assert web.connections == 0
    found = json.loads(out)
    assert found["counts"]["delivered"] == 2
    assert sorted((one["item"], one["to"]) for one in found["sandbox"]["requests"]) == [
        ("webhook-1", f"127.0.0.1:{web.port}/hook"), ("webhook-2", f"127.0.0.1:{web.port}/2")]
    assert found["sandbox"]["tables"]["webhook_deliveries"]["changed"] == 2
    assert "s3same" not in out
    assert service.statuses("webhook_deliveries") == {"pending": 2}
    said = service.run("test", "retry_webhooks", "--sandbox")
    assert "Webhooks that would have gone out" in said
    assert f"127.0.0.1:{web.port}/hook" in said
