"""Anyone who can write to the broker can have a job of ours run now, and gains nothing else."""
from __future__ import annotations

import json
import os
import pickle
import subprocess

import pytest

from tests.support.shell import ROOT, Shell, until
from tests.workers.conftest import Engine

RED = "\x1b[31mred\n"
OURS = "jobs.perform"


class _Touches:
    """A pickle of it makes a file when it is read."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def small(tmp_path, sqlite_url):
    """An installation of odd jobs on SQLite."""
    made = Shell.with_odd_jobs(tmp_path / "site", sqlite_url)
    yield made
    made.close()


def _put(redis, queue: str, id: str, data, **fields) -> None:
    """A message, as anyone who can write to this Redis puts it there."""
    packed = data if isinstance(data, bytes) else json.dumps(data).encode()
    redis.hset(f"rq:job:{id}", mapping={"data": packed, "origin": queue, "status": "queued",
                                        "created_at": "2026-11-24T12:00:00.000000Z", **fields})
    redis.rpush(f"rq:queue:{queue}", id)


def test_redis_with_foreign_messages_gives_them_nothing(small, rq, tmp_path):               # R71
    from redis import Redis
    rq.configure(small)
    small.enable("dig", "tick_low", schedule="0 3 * * *")
    small.configure("tick_low", enabled="no")
    redis, queue, struck = Redis(port=rq.broker.port), f"{rq.queues}_critical", tmp_path / "struck"
    strike, other = f"touch {struck}", str(tmp_path / "other" / "config.ini")
    Shell.with_odd_jobs(tmp_path / "other", small.url, log_dir=str(struck))
    foreign = {
        "pickle": pickle.dumps((OURS, None, (_Touches(struck), False), {})),
        "system": ["os.system", None, [strike], {}],
        "method": ["system", {"posix": 1}, [strike], {}],
        "ours-of-theirs": [OURS, {"perform": strike}, ["dig", False], {}],
        "config": [OURS, None, ["dig", False, other], {}],
        "keyword": [OURS, None, ["dig", False], {"config_path": other}],
        "tick": ["jobs.tick", None, [other], {}],
        "no-job": [OURS, None, ["../../etc/passwd", False], {}],
        "no-text": [OURS, None, [["dig"], "no"], {}], "off": [OURS, None, ["tick_low", False], {}],
        "too-few": [OURS, None, ["dig"], {}], "no-list": [OURS, None, 5, {}],
        "deep": b"[" * 100_000, "short": [OURS, None], "none": b"", RED: [RED, None, [], {}]}
    for id, data in foreign.items():
        _put(redis, queue, id, data, success_callback_name="os.system",
             failure_callback_name="os.system", meta=pickle.dumps(_Touches(struck)),
             result=pickle.dumps(_Touches(struck)), retries_left="9", number_of_retries="9",
             repeats_left="9", webhooks='[{"url": "http://127.0.0.1:9/"}]')
    redis.hset("rq:job:bare", "status", "queued")
    redis.rpush(f"rq:queue:{queue}", "bare")
    _put(redis, queue, "fields", foreign["system"], status="no status", timeout="soon",
         ended_at="never")
    redis.rpush(f"rq:queue:{queue}", b"\xff\xfe", b"\xff")
    # one of ours, with what a stranger has added
    _put(redis, queue, "more", [OURS, None, ["dig", False], {}], meta=pickle.dumps(
        _Touches(struck)), success_callback_name="os.system", dependency_ids='["more"]',
         repeats_left="9", timeout="-1")
    ended = small("worker", "--burst")
    assert (ended.code, struck.exists()) == (0, False), ended
    assert [(row["job"], row["status"], row["trigger_type"]) for row in small.runs()] == [
        ("dig", "ok", "worker")]
    assert redis.llen(f"rq:queue:{queue}") == 0                 # and none comes again
    failed = {id.decode() for id in redis.zrange(f"rq:failed:{queue}", 0, -1)}
    # RQ knows no such id: it is passed over
    assert failed == {*foreign, "fields"} - {RED}
    events = small.events("worker")
    assert [event["event"] for event in events] == ["message refused"] * (len(foreign) + 2)
    assert "'os.system', which is not a function of these jobs" in events[1]["why"]
    assert [words for words in ("\x1b", "Traceback") if words in ended.err] == []


def test_a_queue_whose_messages_nobody_takes_stops_growing(small, rq, crew):     # R71
    from redis import Redis
    rq.configure(small)
    small.enable("tick_low", schedule="* * * * *")
    redis, queue = Redis(port=rq.broker.port), f"rq:queue:{rq.queues}_low"
    assert small("run-due").code == 0
    assert 0 < redis.ttl(b"rq:job:" + redis.lpop(queue)) <= 600         # seconds
    redis.rpush(queue, *range(1000))                # of messages that have expired
    assert small("run-due").code == 0
    assert redis.llen(queue) == 1000
    assert small("enqueue", "tick_low").code == 0   # a person's own is not left out
    crew(small)
    until(lambda: small.outcomes("tick_low") == ["ok"])
    assert redis.llen(queue) == 0


def test_rq_takes_no_commands_from_redis(small, rq, crew):                                  # R71
    from redis import Redis
    rq.configure(small)
    small.enable("dig", schedule="0 3 * * *", items="20", pause="200")
    small("enqueue", "dig")
    process, redis = crew(small), Redis(port=rq.broker.port)
    small.working("dig")
    channels = until(lambda: [each for each in redis.pubsub_channels()
                              if each.startswith(b"rq:pubsub:")])
    for channel in channels:
        for command in ("kill-horse", "shutdown", "stop-job"):
            assert redis.publish(channel, json.dumps({"command": command, "job_id": "any"})) == 1
    until(lambda: small.outcomes("dig") == ["ok"])
    small("enqueue", "dig")
    until(lambda: small.outcomes("dig") == ["ok", "ok"])
    assert process.poll() is None


def test_celery_reads_json_and_knows_our_tasks_alone(small, redis, crew, tmp_path):         # R71
    from kombu import Connection

    engine, struck = Engine("celery", redis), tmp_path / "struck"
    engine.configure(small)
    small.enable("dig", schedule="0 3 * * *")
    queue = f"{engine.queues}_critical"
    with Connection(redis.url) as connection:
        plain = connection.SimpleQueue(queue)

        def put(task: str, arguments, **how) -> None:
            plain.put((arguments, {}, {}), headers={"id": os.urandom(8).hex(), "task": task,
                                                    "lang": "py"}, **{"serializer": "json", **how})

        put("jobs.perform", [_Touches(struck), False], serializer="pickle")
        put("os.system", [f"touch {struck}"])
        put("celery.starmap", [{"task": "jobs.perform"}, [["dig", False]]])
        put("jobs.perform", ["dig", False, str(tmp_path / "config.ini")])
        put("jobs.perform", ["dig"])
        put("jobs.perform", ["../x", False])
        plain.close()
    assert small("enqueue", "dig").code == 0
    process = crew(small)
    until(lambda: "ok" in small.outcomes("dig") and len(small.events("worker")) == 3)
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert not struck.exists()
    assert small.outcomes() == ["ok"]
    assert [event["event"] for event in small.events("worker")] == ["message refused"] * 3
    assert "unregistered task" in said


def test_a_function_of_ours_called_from_elsewhere_runs_nothing():            # R71
    code = "from jobs_lib.launch.worker import perform\nperform('purge_sessions', False)"
    done = subprocess.run([os.sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "start the worker with `jobs.py worker`" in done.stderr
