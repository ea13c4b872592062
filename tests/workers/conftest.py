"""Each engine with a broker of its own, and installations whose jobs its workers run."""
from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess

import pytest

from tests.servers.brokers import RabbitMQ, Redis
from tests.servers.process import below
from tests.support.shell import Shell

NUMBERS = itertools.count()


class Engine:
    """An engine of `[core] mode` and the broker that it uses."""

    def __init__(self, mode: str, broker) -> None:
        self.mode, self.broker = mode, broker
        self.option = "redis" if mode == "rq" else "broker"
        self.queues = f"q{os.getpid()}_{next(NUMBERS)}"             # of this test alone

    def configure(self, site, url: str = "", **worker) -> None:
        """Let workers run the jobs of this installation."""
        site.configure(mode=self.mode)
        site.configure("worker", **{self.option: url or self.broker.url, "queues": self.queues,
                                    **worker})


@pytest.fixture(scope="session")
def redis():
    """A private Redis for the whole session."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq():
    """A private RabbitMQ for the whole session."""
    with RabbitMQ() as server:
        yield server


@pytest.fixture(scope="session", params=["rq", "celery-redis", "celery-rabbitmq"])
def broker(request):
    """(mode, broker) of each of them. Of the session, so that all tests with RabbitMQ are next to
    each other, and few of the processes that run the tests start one."""
    mode, _, broker = request.param.partition("-")
    return mode, request.getfixturevalue(broker or "redis")


@pytest.fixture
def engine(broker):
    """Each of them, with each broker: for what speaks with the broker itself."""
    return Engine(*broker)


@pytest.fixture(params=["rq", "celery"])
def mode(request, redis):
    """Each of them with Redis: the contract of an adapter (docs/workers.md)."""
    return Engine(request.param, redis)


@pytest.fixture
def rq(redis):
    """RQ alone, for what is the same in all of them."""
    return Engine("rq", redis)


class Daily(Shell):
    """One whose jobs are due once a day, so that no slot turns while a test counts its runs."""

    def enable(self, *jobs: str, **options) -> None:
        super().enable(*jobs, **{"schedule": "0 3 * * *", **options})


@pytest.fixture
def site(tmp_path, mariadb_url):
    """An installation of odd jobs on MariaDB."""
    made = Daily.with_odd_jobs(tmp_path / "site", mariadb_url)
    yield made
    made.close()


@pytest.fixture
def crew():
    """`crew(installation, *words)` starts a worker, in its own process group, for the test."""
    started: list[subprocess.Popen] = []

    def start(installation, *words: str, **how) -> subprocess.Popen:
        if isinstance(installation, Shell):
            how["start_new_session"] = True
        started.append(installation.start("worker", *words, **how))
        return started[-1]
    yield start
    for process in started:
        end(process, signal.SIGKILL)


def end(process: subprocess.Popen, how: int) -> tuple[str, str]:
    """Send a signal to a worker and all that it has started, and wait for the worker's end."""
    children = below(process.pid)
    if process.poll() is None:
        for pid in (process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
    return process.communicate(timeout=60)
