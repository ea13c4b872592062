"""`python calling.py < CASES`: posts to each case in a process that may connect to nothing, and
tells what it tried.

A case is `{"url", "answers"}`: `answers` are those of the resolver, one list of addresses for each
look-up; without them a host is resolved as a number alone, so no name server is ever asked. Printed
is a list of `{"outcome", "text", "lookups", "tried"}`.
"""
from __future__ import annotations

import json
import socket
import sys
import types
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.support.product import Poster, Request

tried: list = []
answers: list = []
lookups: list = []
resolve = socket.getaddrinfo


def watch(event: str, args: tuple) -> None:
    """Note and refuse whatever would send a packet."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        tried.append(str(args[1][0]))
        raise PermissionError("no connection is allowed here")


def look(host, port, *how):
    """The resolver of the case."""
    lookups.append(host.decode())
    if answers:
        found = answers.pop(0)
    elif host == b"localhost":
        found = ["127.0.0.1", "::1"]
    else:
        return resolve(host, port, how[0], how[1], how[2], socket.AI_NUMERICHOST)
    return [(socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "",
             (each, port, 0, 0) if ":" in each else (each, port)) for each in found]


socket.getaddrinfo = look
sys.addaudithook(watch)
poster = Poster(types.SimpleNamespace(timeout=timedelta(seconds=5), allow_networks=(),
                                           ca_file="", outbox=""))
told = []
for case in json.load(sys.stdin):
    answers[:], tried[:], lookups[:] = case.get("answers") or [], [], []
    response = poster.post(Request("webhook-1", case["url"], (), b"{}"))
    told.append({"outcome": response.outcome, "text": response.text, "lookups": list(lookups),
                 "tried": list(tried)})
json.dump(told, sys.stdout)
