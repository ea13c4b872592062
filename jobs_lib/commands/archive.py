"""Read archives of the audit log: `verify` that they are complete, `show` their rows.

  verify    each FILE against the manifest beside it, and the manifest's seal;
            without FILE, all archives that the store should hold
  show      the rows of each FILE; --user, --event, --since and --until choose

Files are local ones, `audit-*.jsonl.gz` or their manifests. Times are in UTC.
"""
from __future__ import annotations

import os

from jobs_lib.database.values import words
from jobs_lib.errors import FAILED, OK, JobsError, UsageError
from jobs_lib.features.archives import format as form
from jobs_lib.features.archives.catalogue import verify, verify_known
from jobs_lib.output import tables
from jobs_lib.ports.storage.folder import FolderStore
from jobs_lib.ports.storage.stores import open_store
from jobs_lib.text import counted, one_of

ACTIONS = ("verify", "show")
FILTERS = ("user", "event", "since", "until")
HEAD = {"created_at": "created_at", "id": "id", "severity": "severity", "event": "event",
        "user_id": "user", "actor": "actor", "ip": "ip", "details": "details"}
NO_KEY = ("; who wrote it cannot be checked here, since the key of the installation is not on this "
          "host ([core] secret_key, or the file `secret` in state_dir)")
UNSEALED = ("not sealed by this installation's key: the rows are what the manifest says, but "
            "anybody could have written both")
FOREIGN = ("not sealed by this installation's key: another installation wrote it, the key has "
           "changed since, or it is forged")
LONGEST = 10_000                    # characters of a value
FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")


def arguments(parser) -> None:
    """Declares ACTION, FILE..., what to choose, and --json."""
    parser.add_argument("action", metavar="|".join(ACTIONS), type=one_of(*ACTIONS))
    parser.add_argument("files", metavar="FILE", nargs="*", default=[], help="an archive, or its "
                        "manifest")
    parser.add_argument("--user", metavar="ID", help="show: only rows of this user")
    parser.add_argument("--event", metavar="NAME", help="show: only this event; `login*`: all that "
                        "begin so")
    parser.add_argument("--since", type=_time, metavar="TIME", help="show: from this time on "
                        "(2025-01-31, or with 10:30 behind it, in quotes)")
    parser.add_argument("--until", type=_time, metavar="TIME", help="show: before this time")
    parser.add_argument("--json", action="store_true", help="verify: print one JSON document; "
                        "show: one object a line")


def _time(word: str) -> str:
    """The time as archives write it."""
    from argparse import ArgumentTypeError
    from datetime import datetime

    for pattern in FORMATS:
        try:
            found = datetime.strptime(word.replace("T", " "), pattern)      # noqa: DTZ007  UTC
            return f"{found:%Y-%m-%d %H:%M:%S}"
        except ValueError:
            continue
    raise ArgumentTypeError("expected a time such as 2025-01-31 or '2025-01-31 10:30', not "
                            f"{word[:40]!r}")


def run(args, make_session, config_path) -> int:
    """Do one of the two; 1 if an archive has a problem."""
    given = [f"--{name}" for name in FILTERS if getattr(args, name) is not None]
    if args.action == "verify" and given:
        raise UsageError(f"archive verify: {given[0]} goes with show only")
    if args.action == "show" and not args.files:
        raise UsageError("archive show: expected a FILE after it")
    session = make_session(config_path)
    if args.action == "show":
        return show(session.console, args)
    core = session.config.section("core")
    key = seal_key(core.state_dir, core.secret_key)
    found = verify_files(args.files, key) if args.files else verify_store(session, key)
    return print_found(session.console, found, args.json)


# verify

def seal_key(state_dir: str, configured: str) -> bytes | None:
    """The key of this installation's seals; None on a host that has no key yet."""
    if not configured and not os.path.exists(os.path.join(state_dir, "secret")):
        return None
    from jobs_lib.folders import secret_key
    from jobs_lib.runner.context import derived
    return derived(secret_key(state_dir, configured), form.LABEL)


def verify_files(paths: list[str], key: bytes | None):
    """For each local archive {"location", "ok", "sealed", "problem", and its facts}."""
    for path in paths:
        yield _judged(path, lambda path=path: _manifest_of(path), key)


def _manifest_of(path: str) -> dict:
    folder, name = _parts(path)
    return verify(FolderStore(folder), name)[0]


def _parts(path: str) -> tuple[str, str]:
    """(folder, name of the rows' file) of an archive that is named by either of its files."""
    folder, name = os.path.split(os.path.abspath(path))
    if name.endswith(form.MANIFEST_END):
        name = name.removesuffix(form.MANIFEST_END) + form.ROWS_END
    if os.path.isdir(path):
        raise form.Damaged("this is a folder: name the files in it")
    if not os.path.isfile(path):
        raise form.Damaged("there is no such file")
    return folder, name


def verify_store(session, key: bytes | None):
    """The same of every archive that `audit_archives` names, read from the store."""
    section = session.config.section("archive")
    if not section.store:
        raise UsageError("archive verify: [archive] store is not set: name files, or set it")
    db = session.ports.database()
    rows = db.query("SELECT location, sha256, row_count FROM {audit_archives}"
                    " WHERE status IN ('verified', 'purged') ORDER BY id")
    if not rows:
        return
    # no folder is made: a typing error in [archive] store must not become one
    store = open_store(section)
    try:
        for row in rows:
            yield _judged(row["location"], lambda row=row: verify_known(store, row)[0], key)
    finally:
        store.close()


def _judged(location: str, ask, key: bytes | None) -> dict:
    """`sealed`: True, False, or None without a key to check it."""
    found = {"location": location, "ok": True, "sealed": None, "problem": None}
    try:
        manifest = ask()
    except JobsError as error:
        return {**found, "ok": False, "problem": str(error)}
    if key is not None:
        found["sealed"] = form.is_sealed(manifest, key)
        if not found["sealed"]:
            found.update(ok=False, problem=FOREIGN if form.SEAL in manifest else UNSEALED)
    return {**found, **{name: manifest[name] for name in form.Facts._fields}}


def print_found(console, found, as_json: bool) -> int:
    """Print what was found, as soon as it is known; the exit code."""
    archives = []
    for one in found:
        archives.append(one)
        if as_json:
            continue
        if one["ok"]:
            console.report(_about(one))
        else:
            console.fail(f"{one['location']}: {one['problem']}")
    ok = all(one["ok"] for one in archives)
    if as_json:
        console.document({"ok": ok, "archives": archives})
    elif not archives:
        console.report("There is no archive yet.")
    return OK if ok else FAILED


def _about(one: dict) -> str:
    rows = counted(one["row_count"], "row")
    state, note = ("OK", "") if one["sealed"] else ("WHOLE", NO_KEY)
    return f"{state}: {one['location']}: {rows}, {one['first_time']} to {one['last_time']}{note}"


# show

def show(console, args) -> int:
    """Print the rows that are asked for, while they are read; the exit code."""
    code, number = OK, 0
    for path in args.files:
        try:
            folder, name = _parts(path)
            for row in form.rows(FolderStore(folder).read(name), form.Tally()):
                if wanted(row, args):
                    number += 1
                    if number == 1 and not args.json:
                        console.answer(_columns(HEAD))
                    console.document(row) if args.json else console.answer(_columns(row))
        except JobsError as error:
            console.fail(f"{path}: {error}")
            code = FAILED
    if not number and code == OK and not args.json:
        filtered = any(getattr(args, name) is not None for name in FILTERS)
        console.report("There is no such row." if filtered else "There is no row.")
    return code


def wanted(row: dict, args) -> bool:
    """Whether a row is one of those asked for."""
    event = str(row.get("event"))
    return ((args.user is None or words(row.get("user_id")) == args.user)
            and (args.event is None or event == args.event
                 or (args.event.endswith("*") and event.startswith(args.event[:-1])))
            and (args.since is None or row["created_at"] >= args.since)
            and (args.until is None or row["created_at"] < args.until))


def _columns(row: dict) -> str:
    """A row as a line; the widths are fixed, since the later rows are not known yet."""
    def cell(name: str) -> str:
        return tables.cell(row.get(name), LONGEST)
    return (f"{cell('created_at'):19}  {cell('id'):>8}  {cell('severity'):8}  {cell('event'):24}  "
            f"{cell('user_id'):>6}  {cell('actor')}  {cell('ip')}  {cell('details')}")
