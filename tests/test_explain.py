"""No statement of a job scans a large table: the engine's own plan names an index for each."""
from __future__ import annotations

import pytest

from jobs_lib import catalogue
from tests.support.databases import bulk

ROWS = 100_000
BIG = ("failed_emails", "job_runs", "users", "aliases", "notifications", "overflow_hold", "spam_quarantine")


@pytest.fixture
def loaded(bench):
    """Tables as large as a service of some years has, analysed; a few rows of each kind that jobs look for."""
    old, new = bench.ago(days=30), bench.ago(minutes=1)
    states = [("sent", old, old), ("sent", new, new), ("failed", old, old), ("pending", new, None)]
    bulk(bench.db, "failed_emails",
         ["user_id", "alias_id", "destination_id", "envelope_to", "raw_path", "status", "created_at", "finished_at",
          "next_attempt_at", "told_at"],
         [(at % 5000, at % 9000, at % 7000, "a@b.example", f"{at}.eml", states[at % 4][0], states[at % 4][1],
           states[at % 4][2], bench.ahead(hours=1 + at % 99), old) for at in range(ROWS)])
    bulk(bench.db, "job_runs", ["run_id", "job", "status", "started_at", "slot"],
         [(f"run{at}", f"job{at % 25}", "ok" if at % 9 else "partial", old, None) for at in range(ROWS)])
    bulk(bench.db, "users", ["email"], [(f"u{at}@b.example",) for at in range(ROWS)])
    bulk(bench.db, "aliases", ["user_id", "address"], [(at, f"a{at}@b.example") for at in range(ROWS)])
    for table in ("overflow_hold", "spam_quarantine"):
        moment = "held_at" if table == "overflow_hold" else "quarantined_at"
        bulk(bench.db, table, ["user_id", "alias_id", "raw_path", moment],
             [(at, at, f"{table}{at}.eml", old) for at in range(ROWS // 5)])
    bulk(bench.db, "notifications", ["user_id", "kind", "persona", "to_email", "status", "dedupe_key"],
         [(at, "x", "porter", "a@b.example", "sent", f"key{at}") for at in range(ROWS)])
    for name in BIG:
        bench.db.execute(f"{'ANALYZE' if bench.db.dialect.name == 'sqlite' else 'ANALYZE TABLE'} {{{name}}}")
    bench.table("failed_emails", [{"status": status, "user_id": 1, "alias_id": 1, "created_at": bench.ago(hours=2),
                                   "finished_at": finished, "claim_run": run}
                                  for status, finished, run in (("pending", None, None), ("failed", new, None),
                                                                ("sending", None, "run7"))])
    return bench


def scans(db, sql: str, values: dict) -> list[str]:
    """The large tables that the plan reads from end to end."""
    plan = db.explain(sql, **values)
    if db.dialect.name == "sqlite":
        lines = [str(row["detail"]) for row in plan]
        return [line for line in lines if line.startswith("SCAN") and any(name in line for name in BIG)]
    return [f"{row['table']}: {row['type']}, {row['rows']} rows" for row in plan
            if row.get("type") in ("ALL", "index") and int(row.get("rows") or 0) > 1000]


@pytest.mark.slow
def test_every_statement_of_every_job_has_an_index(loaded):     # R15
    found, seen = [], 0
    for name in catalogue.names():
        statements: dict = {}
        loaded.on_statement = lambda sql, values, kept=statements: kept.setdefault(sql, dict(values))
        loaded.attempt(name)
        loaded.on_statement = None
        for sql, values in statements.items():
            if sql.split()[0] in ("SELECT", "UPDATE", "DELETE"):
                seen += 1
                found += [f"{name}: {line}: {sql}" for line in scans(loaded.db, sql, values)]
    assert seen > 20
    assert found == []


def test_a_scan_would_be_found(bench):
    bulk(bench.db, "job_runs", ["run_id", "job", "status", "started_at"],
         [(f"run{at}", "j", "ok", bench.now) for at in range(2000)])
    bench.db.execute(f"{'ANALYZE' if bench.db.dialect.name == 'sqlite' else 'ANALYZE TABLE'} {{job_runs}}")
    assert scans(bench.db, "SELECT id FROM {job_runs} WHERE pid = :pid", {"pid": 7})
