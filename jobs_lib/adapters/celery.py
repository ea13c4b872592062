"""Celery: the only module that knows it (https://docs.celeryq.dev, 5.3 and later), with RabbitMQ or Redis.

A broker cannot be asked what waits in it. So messages of the schedule expire, and one that comes to a slot which was
started meanwhile ends at once.
"""
from __future__ import annotations

import os

from celery import Celery
from kombu.exceptions import OperationalError

from ..workers import EXPIRES, BrokerAway, Message
from . import run

PERFORM, TICK = "jobs.perform", "jobs.tick"
CONNECT_SECONDS = 3
MINUTE = 60.0


def enqueue(config, messages: list[Message]) -> None:
    """Put these into their queues. BrokerAway if the broker is not there, or takes nothing."""
    app = _app(config)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
            for message in messages:
                app.send_task(PERFORM, args=(message.name, message.scheduled, config.path), queue=message.queue,
                              connection=connection, retry=False, time_limit=message.seconds,
                              expires=EXPIRES if message.scheduled else None)
    except (OperationalError, OSError, *app.connection_for_write().connection_errors) as error:
        raise BrokerAway(f"[worker] broker: {error}") from error


def worker(config, queues: list[str], burst: bool, processes: int) -> int:
    """Celery's own worker over these queues, with so many processes. Returns when it is stopped."""
    app = _app(config)
    app.worker_main(["worker", "--queues", ",".join(queues), "--concurrency", str(processes), "--pool", "prefork",
                     "--loglevel", "WARNING", "--without-gossip", "--without-mingle"])
    return 0


def scheduler(config, queue: str) -> int:
    """Celery beat: each minute it has a worker look for what is due."""
    app = _app(config)
    app.conf.beat_schedule = {"tick": {"task": TICK, "schedule": MINUTE, "args": (config.path,),
                                       "options": {"queue": queue, "expires": MINUTE}}}
    app.conf.beat_schedule_filename = os.path.join(config.section("core").state_dir, "celerybeat")
    app.start(["beat", "--loglevel", "WARNING", "--pidfile", ""])
    return 0


def _app(config) -> Celery:
    """The application: the broker is all that differs from Celery's defaults, and that results are kept nowhere."""
    app = Celery("jobs", broker=config.section("worker").broker, set_as_current=False)
    app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True,
                    broker_connection_timeout=CONNECT_SECONDS, worker_hijack_root_logger=False, enable_utc=True,
                    worker_redirect_stdouts=False,
                    broker_transport_options={"confirm_publish": True, "socket_connect_timeout": CONNECT_SECONDS})
    app.task(run.perform, name=PERFORM)
    app.task(run.tick, name=TICK)
    return app
