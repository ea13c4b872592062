"""Shards: the parts of one job's work that several workers do at once.

Shard 0 has the job's own name, the others have a number behind it: `retry_forwards`,
`retry_forwards#1`, ... Locks, slots and history go by these names, so each shard is a job of its
own to all of them. Which rows are whose is the job's matter: most are anybody's, since a row is
claimed before it is touched; what a limit holds for goes to one shard.
"""
from __future__ import annotations

from .job import SHARD

MOST = 64


def whole(name: str) -> str:
    """The job that a shard is a part of."""
    return name.partition(SHARD)[0]


def number(name: str) -> int:
    """The shard's number; 0 for the job's own name."""
    return int(name.partition(SHARD)[2] or 0)


def names(job: str, count: int) -> list[str]:
    """The names of all shards of a job."""
    return [job, *(f"{job}{SHARD}{each}" for each in range(1, count))]


def parts(job, count: int) -> list:
    """The shards of a job, each as a job under its own name; the job itself where there is one."""
    return [job] if count == 1 else [job._replace(name=name) for name in names(job.name, count)]


def is_mine(shard: tuple, key: str) -> bool:
    """Whether all that has this key, such as a host, is this shard's: (which, of how many)."""
    which, count = shard
    if count == 1:
        return True
    from zlib import crc32
    return crc32(key.encode()) % count == which
