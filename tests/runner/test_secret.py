"""The installation's key is read once a run, however many accounts and notices ask for a key made
of it."""
from __future__ import annotations

from jobs_lib.job import declare


def test_a_run_reads_the_key_once(bench):     # R10
    keys = []

    def job(ctx):
        keys.append(ctx.secret("links"))
        (bench.folder / "state" / "secret").unlink()
        keys.append(ctx.secret("links"))
        keys.append(ctx.secret("marks"))
        return {}
    bench.run(declare(schedule="@daily",
                      idempotency="Counts.")(job)._replace(name="purge_everything"))
    assert keys[0] == keys[1] != keys[2]
    assert not (bench.folder / "state" / "secret").exists()
