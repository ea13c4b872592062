"""The table of exit codes in the public interface, each by a real process."""
from __future__ import annotations

import signal

import pytest

from tests.support.shell import ended, until


@pytest.mark.quick
@pytest.mark.parametrize("code, words", [
    (0, ("dig",)),
    (0, ("dig", "--set", "budget=1s", "--set", "items=5", "--set", "pause=400")),        # partial
    (0, ("run-due",)),
    (1, ("fail",)),
    (1, ("fail", "--set", "how=exit")),
    (2, ("dug",)),
    (2, ("dig", "--set", "holes=3")),
    (2, ("dig", "--sets", "items=3")),
    (2, ("run-due", "--budget", "soon")),
    (78, ("dig", "--set", "items=many")),
    (124, ("hang", "--set", "budget=1s", "--set", "core.grace=1s")),
], ids=lambda value: value if isinstance(value, int) else " ".join(value))
def test_a_command_ends_with(site, code, words):
    done = site(*words)
    assert done.code == code
    assert done.out == ""
    assert (done.err == "") == (code == 0)
    assert "Traceback" not in done.err


@pytest.mark.quick
def test_143_after_sigterm_and_0_or_75_beside_a_held_lock(site):
    worker = site.start("dig", "--set", "items=1000", "--set", "pause=100")
    until(lambda: site.dug() >= 1)
    assert site("dig").code == 0
    assert site("dig", "--fail-if-locked").code == 75
    worker.send_signal(signal.SIGTERM)
    assert ended(worker, 0).code == 143


def test_a_tick_ends_with_the_code_of_the_first_job_that_went_wrong(site):
    site.enable("tick_critical", "fail")
    assert site("run-due").code == 1
    site.configure("hang", enabled="yes", budget="1s", schedule="* * * * *")
    site.configure(grace="1s")
    site.known("hang")
    site.configure("fail", enabled="no")
    assert site("run-due").code == 124
