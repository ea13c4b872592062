"""Ten times the runs make a page in the same memory: measured on whole processes."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from tests.support.databases import bulk
from tests.support.shell import ROOT, Shell

PEAK = str(ROOT / "tests/support/peak.py")


def test_ten_times_the_runs_in_the_same_memory(tmp_path, pool):         # R18
    sizes = []
    for runs in (3000, 30_000):
        folder = tmp_path / str(runs)
        folder.mkdir()
        service = Shell(folder, pool.sqlite(folder))
        now = clock.now()
        bulk(service.db, "job_runs", ["run_id", "job", "status", "started_at", "finished_at",
                                      "duration_ms", "error"],
             [(f"r{number}", "retry_forwards", "ok", at, at, 20, "x" * 200)
              for number in range(runs)
              for at in [clock.text(now - timedelta(days=29 - 29 * number / runs))]])
        process = service.start("report", "--output", str(folder / "status.html"), launcher=PEAK)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
        sizes.append(int(err.splitlines()[-1]))
        assert f"{runs:,} runs" in (folder / "status.html").read_text()
        service.db.close()
    assert sizes[1] <= sizes[0] * 1.1, sizes
