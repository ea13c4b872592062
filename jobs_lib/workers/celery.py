"""Celery: the only module that knows it (https://docs.celeryq.dev, 5.3 and later), with RabbitMQ or
Redis.

A broker cannot be asked what waits in it. So messages of the schedule expire, and one that comes to
a slot which was started meanwhile ends at once. Only JSON is read, only our task is known, and
commands by the broker are off; whatever else a stranger puts there is refused and logged.
"""
from __future__ import annotations

import socket

from celery import Celery
from kombu.exceptions import OperationalError

from jobs_lib.errors import JobsError

from .dispatch import ANSWER, CONNECT, EXPIRES, PERFORM, Refused, longest, queues


def enqueue(config, jobs: list, scheduled: bool) -> None:
    """As dispatch.engine has it."""
    # A broker that is full answers nothing at all: not to the message, not to a farewell.
    app = _app(config, read_timeout=ANSWER, write_timeout=ANSWER, socket_timeout=ANSWER)
    connection = app.connection_for_write()
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT)
        for job in jobs:
            app.send_task(PERFORM, args=(job.name, scheduled), queue=queues(config)[job.priority],
                          connection=connection, retry=False, time_limit=longest(config, job),
                          expires=EXPIRES if scheduled else None)
        connection.release()
    except (OperationalError, OSError, *connection.connection_errors,
            *connection.channel_errors) as error:
        connection.collect()
        why = str(error) or type(error).__name__
        # no TimeoutError before Python 3.10
        if isinstance(error, socket.timeout) or isinstance(error.__cause__, socket.timeout):
            why = (f"no answer within {ANSWER} seconds: it may be out of memory or disk, and "
                   "refuse messages")
        raise JobsError(f"[worker] broker: {why}") from error


def worker(config, _burst: bool, runs) -> None:
    """Celery's own worker over our queues, one run at a time."""
    def call(task, *arguments, **keywords):
        try:
            if keywords:
                raise Refused("its arguments are not those of a job message")
            return runs.perform(*arguments)
        except Refused as error:
            queue = (task.request.delivery_info or {}).get("routing_key")
            runs.refused(queue, task.request.id, error)
            raise

    app = _app(config)
    # `throws`: an error of ours has said what is wrong, and needs no traceback
    app.task(call, name=PERFORM, bind=True, throws=(JobsError,))
    app.worker_main(["--quiet", "worker", "--queues", ",".join(queues(config).values()),
                     "--concurrency", "1", "--pool", "prefork", "--loglevel", "WARNING",
                     "--without-gossip", "--without-mingle"])


def _app(config, **transport) -> Celery:
    """The application; results are kept nowhere."""
    app = Celery("jobs", broker=config.section("worker").broker, set_as_current=False)
    app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1,
                    broker_connection_retry_on_startup=True,
                    broker_connection_timeout=CONNECT, worker_hijack_root_logger=False,
                    enable_utc=True, worker_redirect_stdouts=False, accept_content=["json"],
                    task_serializer="json", worker_enable_remote_control=False,
                    broker_transport_options={"confirm_publish": True,
                                              "socket_connect_timeout": CONNECT, **transport})
    app.finalize()
    for name in set(app.tasks) - {PERFORM}:  # Celery's own, which call others
        app.tasks.unregister(name)
    return app
