"""RQ: the only module that knows it (https://python-rq.org, 1.16 and later; its cron scheduler from 2.5 on).

A message is waiting once at most: before another is put in, the queue is looked through for its name.
"""
from __future__ import annotations

import os
from contextlib import contextmanager

from ..workers import EXPIRES, BrokerAway, Message
from . import run

PERFORM, TICK = "jobs_lib.adapters.rq.perform", "jobs_lib.adapters.rq.tick"
CONNECT_SECONDS, ANSWER_SECONDS = 3, 5
MINUTE = 60
KEPT = 24 * 3600                    # seconds that a failed message can be looked at; the history keeps it longer

perform, tick = run.perform, run.tick


def enqueue(config, messages: list[Message]) -> None:
    """Put these into their queues, but for those that wait there already. BrokerAway if Redis is not there, or full."""
    from rq import Queue

    with _clear_words():
        redis = _redis(config, socket_timeout=ANSWER_SECONDS)
        redis.ping()
        queues = {message.queue: Queue(message.queue, connection=redis) for message in messages}
        waiting = {id.rpartition("--")[0] for queue in queues.values() for id in queue.get_job_ids()}
        for message in messages:
            about = message.name.replace("#", "-")                  # what an id may hold
            if message.scheduled and about in waiting:
                continue
            queues[message.queue].enqueue_call(
                PERFORM, args=(message.name, message.scheduled, config.path), timeout=message.seconds, result_ttl=0,
                failure_ttl=KEPT, ttl=EXPIRES if message.scheduled else None, description=message.name,
                job_id=f"{about}--{os.urandom(6).hex()}")


def worker(config, queues: list[str], burst: bool, _processes: int) -> int:
    """RQ's own worker over these queues, the first of them first. Returns when it is stopped, or, `burst`, is idle.

    It waits for a Redis that goes away while it is idle. During a run it gives up: the run ends well in its own
    process, and who started the worker starts it again.
    """
    from rq import Worker
    with _clear_words():
        Worker(queues, connection=_redis(config)).work(burst=burst, logging_level="WARNING")
    return 0


def scheduler(config, queue: str) -> int:
    """RQ's own cron scheduler: each minute it has a worker look for what is due."""
    from rq.cron import CronScheduler
    with _clear_words():
        cron = CronScheduler(connection=_redis(config), logging_level="WARNING")
        cron.register(tick, queue, args=(config.path,), interval=MINUTE, result_ttl=0, ttl=EXPIRES)
        cron.start()
    return 0


@contextmanager
def _clear_words():
    from redis.exceptions import RedisError
    try:
        yield
    except (RedisError, OSError) as error:
        raise BrokerAway(f"[worker] redis: {error}") from error


def _redis(config, **how):
    from redis import Redis
    return Redis.from_url(config.section("worker").redis, socket_connect_timeout=CONNECT_SECONDS, **how)
