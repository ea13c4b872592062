"""The download pages of docs/exports.md do what they say: the one in Python, and the question that
the PHP one asks."""
from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from wsgiref.util import FileWrapper

import pytest

import jobs_lib
from tests.house.source import ROOT
from tests.support.exports import account, ask, token, zips
from tests.support.product import clock

PAGE = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")


@pytest.fixture
def key(bench):
    """The token of an export that is ready now, by the clock of the wall."""
    bench.now = clock.now()
    bench.config(core={"app_url": "https://mail.example.org"}, export={"dir": "exports"},
                 mail={"per_hour": "off"})
    account(bench)
    ask(bench)
    bench.run("export_accounts")
    bench.run("send_notifications")
    return token(bench.outbox[-1])


def code(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_page_in_python_gives_the_file_out_and_nothing_else(bench, key):        # R54
    names: dict = {}
    config = str(bench.folder / "config.ini")
    # our own page, as it is printed
    exec(code("python").replace("/home/you/jobs/config.ini", config), names)

    def get(query: str):
        answer = []
        body = names["application"]({"QUERY_STRING": query, "wsgi.file_wrapper": FileWrapper},
                                    lambda status, headers: answer.extend((status, dict(headers))))
        return answer[0], answer[1], b"".join(body)
    status, headers, body = get(f"t={key}")
    assert (status, body) == ("200 OK", zips(bench)[0].read_bytes())
    assert headers["Content-Length"] == str(len(body))
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    wrong = [get(query) for query in ("", "t=", "t=x", f"t={key}x", "u=1", "t=%00%ff")]
    bench.db.execute("UPDATE {export_requests} SET expires_at = :now", now=clock.now()
                     - timedelta(seconds=1))
    assert zips(bench)
    assert {str(answer) for answer in wrong} == {str(get(f"t={key}"))}
    assert wrong[0][0] == "404 Not Found"


def test_the_page_in_php_asks_the_same(bench, key):             # R54
    sql = re.search(r'prepare\("(.*?)"\)', code("php"), re.DOTALL)[1]
    assert "hash('sha256', $token), gmdate('Y-m-d H:i:s')" in code("php")
    sql = sql.replace("?", ":hash", 1).replace("?", ":now", 1)
    config = str(bench.folder / "config.ini")

    def by_php(link_token: str, now):
        row = bench.db.row(sql, hash=hashlib.sha256(link_token.encode()).hexdigest(), now=now)
        return row and row["id"]

    def by_us(link_token: str, now):
        found = jobs_lib.find_export(link_token, config, now)
        return found and found.request_id
    for change in ("", "UPDATE {users} SET status = 'suspended'",
                   "UPDATE {users} SET status = 'deleted'",
                   "UPDATE {export_requests} SET status = 'expired'"):
        if change:
            bench.db.execute(change)
        for link_token in (key, "x"):
            for later in (-1, 0, 7 * 86400 - 1, 7 * 86400, 7 * 86400 + 1):
                now = bench.ahead(seconds=later)
                assert by_php(link_token, now) == by_us(link_token, now)
    assert by_us(key, bench.now) is None
