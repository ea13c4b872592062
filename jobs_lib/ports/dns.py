"""The DNS port: what a name server says about a name, and whether that means anything.

An answer is records, `no such name` or `no such record`; everything else that can happen (SERVFAIL,
REFUSED, silence, no resolver) is `unknown`, with its reason, and says nothing about the name. Who
asks is in resolver.py.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

Answer = namedtuple("Answer", "outcome records why", defaults=((), ""))
Answer.__doc__ = """What came of one question.

outcome  FOUND, NXDOMAIN, NODATA or UNKNOWN        why  of UNKNOWN, in words
records  TXT: a text each, its strings joined; MX: (preference, host); CNAME: a name. Names are in
         lower case and without the dot at their end; the root itself is "."
"""
FOUND, NXDOMAIN, NODATA, UNKNOWN = "found", "nxdomain", "nodata", "unknown"
