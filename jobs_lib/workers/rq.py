"""RQ: the only module that knows it (https://python-rq.org, 1.16 and later).

Messages are JSON and name one function; whatever else a stranger puts into Redis is refused,
logged and kept among the failed ones (docs/dev/decisions.md, "A message can ask for a job and for
nothing else").
"""
from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import DefaultSerializer, JSONSerializer

from jobs_lib.errors import JobsError

from .dispatch import ANSWER, CONNECT, EXPIRES, PERFORM, Refused, longest, queues

# seconds that a failed message can be looked at; the history keeps it longer
DAY = 24 * 3600
MOST = 1000  # messages of the schedule that wait in a queue
# What of a message in Redis is read. The rest would name functions to be called, pages to be asked
# and repeats.
FIELDS = {b"data", b"created_at", b"enqueued_at", b"started_at", b"ended_at", b"last_heartbeat",
          b"origin", b"worker_name", b"status", b"timeout", b"ttl"}


def enqueue(config, jobs: list, scheduled: bool) -> None:
    """As dispatch.engine has it."""
    with _connected(config, socket_timeout=ANSWER) as how:
        how["connection"].ping()
        for job in jobs:
            queue = Queue(queues(config)[job.priority], **how)
            if scheduled and queue.count >= MOST:
                continue  # no worker takes them: those that expire leave their ids
            queue.enqueue_call(
                PERFORM, args=(job.name, scheduled), timeout=longest(config, job),
                ttl=EXPIRES if scheduled else None, result_ttl=0, failure_ttl=DAY,
                description=job.name)


def worker(config, burst: bool, runs) -> None:
    """RQ's own worker over our queues, the most urgent first.

    It waits for a Redis that goes away while it is idle. During a run it gives up: the run ends
    well in its own process, and the service manager starts the worker again.
    """
    # RQ falls back to pickle wherever it is not given another one, and reading a pickle runs what
    # is in it.
    DefaultSerializer.loads = staticmethod(JSONSerializer.loads)
    DefaultSerializer.dumps = staticmethod(JSONSerializer.dumps)
    OurJob.runs = runs
    with _connected(config) as how:
        OurWorker([*queues(config).values()], **how).work(burst=burst, logging_level="WARNING")


@contextmanager
def _connected(config, **options):
    """What queues and workers are made with; a Redis that is not there, or full, is named."""
    try:
        redis = Redis.from_url(config.section("worker").redis, socket_connect_timeout=CONNECT,
                               **options)
        yield {"connection": redis, "job_class": OurJob, "serializer": JSONSerializer}
    except (RedisError, OSError) as error:
        raise JobsError(f"[worker] redis: {error}") from error


class OurJob(Job):
    """A message of ours: anything else is Refused when it is to be run, for the reason `why`."""

    runs: Any = None  # in a worker: what a message may ask for
    why = ""

    @classmethod
    def fetch(cls, id, *how, **options):
        """The message of this id; RQ passes over what cannot be one."""
        try:
            return super().fetch(id, *how, **options)
        except (ValueError, ResponseError):
            cls.runs.refused("-", id, Refused("it is not stored like a message"))
            raise NoSuchJobError from None

    def restore(self, raw_data):
        """What a message of ours has, and nothing more."""
        known = {name: value for name, value in raw_data.items() if name in FIELDS}
        try:
            super().restore(known)
            if self.func_name != PERFORM:
                self.why = f"it names {self.func_name!a:.60}, which is not a function of these jobs"
            elif (self.instance is not None or self.kwargs
                    or not isinstance(self.args, (list, tuple))):
                self.why = "it contains something other than a function and its arguments"
        except Exception:  # noqa: BLE001  a field can be anything; RQ would quit
            self.why = "it cannot be read"
        if self.why:
            super().restore({b"data": b'["refused", null, [], {}]',
                             b"origin": known.get(b"origin", b"")})
        self.result_ttl, self.failure_ttl = 0, DAY
        self.timeout = self.timeout if self.timeout and self.timeout > 0 else DAY

    @property
    def func(self):
        """The function itself: nothing is imported by a name from Redis."""
        if self.why:
            raise Refused(self.why)
        return self.runs.perform


class OurWorker(Worker):
    """RQ's, which says in one line of ours why a message was refused, and takes no commands."""

    def dequeue_job_and_maintain_ttl(self, *how):
        """RQ's; an id that is no text is passed over."""
        while True:
            with suppress(UnicodeDecodeError):  # it has left its queue
                return super().dequeue_job_and_maintain_ttl(*how)

    def handle_payload(self, _message):
        """Leave it: it would stop this worker or kill a run."""

    def handle_exception(self, job, *exc_info):
        """Log why a message was refused, or how it failed."""
        if isinstance(exc_info[1], Refused):
            OurJob.runs.refused(job.origin, job.id, exc_info[1])
        elif not isinstance(exc_info[1], JobsError):  # which has said what is wrong
            super().handle_exception(job, *exc_info)
