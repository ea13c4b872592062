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

from .dispatch import EXPIRES, PERFORM, BrokerAway, Message, Refused, shown

CONNECT_SECONDS, ANSWER_SECONDS = 3, 5


def enqueue(config, messages: list[Message]) -> None:
    """Put these into their queues. BrokerAway if the broker cannot be reached, or takes nothing."""
    app = _app(config)
    # A broker that is full answers nothing at all: not to the message, not to a farewell.
    app.conf.broker_transport_options = {**app.conf.broker_transport_options,
                                         "read_timeout": ANSWER_SECONDS,
                                         "write_timeout": ANSWER_SECONDS,
                                         "socket_timeout": ANSWER_SECONDS}
    connection = app.connection_for_write()
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
        for message in messages:
            app.send_task(PERFORM, args=(message.name, message.scheduled), queue=message.queue,
                          connection=connection, retry=False, time_limit=message.seconds,
                          expires=EXPIRES if message.scheduled else None)
        connection.release()
    except (OperationalError, OSError, *connection.connection_errors,
            *connection.channel_errors) as error:
        connection.collect()
        raise BrokerAway(f"[worker] broker: {_words(error)}") from error


def _words(error: BaseException) -> str:
    # no TimeoutError before Python 3.10
    if any(isinstance(each, socket.timeout) for each in (error, error.__cause__)):
        return (f"no answer within {ANSWER_SECONDS} seconds: it may be out of memory or disk, and "
                "take nothing")
    return str(error) or type(error).__name__


def worker(config, queues: list[str], _burst: bool, runs) -> int:
    """Celery's own worker over these queues, one run at a time. Returns when it is stopped.

    runs: `perform`, what a message may ask for, and `refused` for one that asks for anything else.
    """
    app = _app(config)
    # `throws`: an error of ours has said what is wrong, and needs no traceback
    app.task(_saying_why(runs), name=PERFORM, bind=True, throws=(JobsError,))
    app.worker_main(["--quiet", "worker", "--queues", ",".join(queues), "--concurrency", "1",
                     "--pool", "prefork", "--loglevel", "WARNING", "--without-gossip",
                     "--without-mingle"])
    return 0


def _app(config) -> Celery:
    """The application: the broker is all that differs from Celery's defaults, and that results are
    kept nowhere."""
    app = Celery("jobs", broker=config.section("worker").broker, set_as_current=False)
    app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1,
                    broker_connection_retry_on_startup=True,
                    broker_connection_timeout=CONNECT_SECONDS, worker_hijack_root_logger=False,
                    enable_utc=True, worker_redirect_stdouts=False, accept_content=["json"],
                    task_serializer="json", worker_enable_remote_control=False,
                    broker_transport_options={"confirm_publish": True,
                                              "socket_connect_timeout": CONNECT_SECONDS})
    app.finalize()
    for name in set(app.tasks) - {PERFORM}:                # Celery's own, which call others
        app.tasks.unregister(name)
    return app


def _saying_why(runs):
    """`runs.perform` as a task; `runs.refused` is called for a message that is refused."""
    def call(task, *arguments, **keywords):
        try:
            if keywords:
                raise Refused("it has other arguments than a message of these jobs")
            return runs.perform(*arguments)
        except Refused as error:
            queue = (task.request.delivery_info or {}).get("routing_key")
            runs.refused(shown(queue), shown(task.request.id), error)
            raise
    return call
