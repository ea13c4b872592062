"""`archive verify` finds whatever is wrong with an archive; `archive show` prints the rows that are
asked for."""
from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.features.archives import format as form
from tests.support.shell import ROOT, Shell

JOB = "archive_audit_logs"
OLD = clock.now() - timedelta(days=3000)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Two archives, one a run: five rows of two users, then one."""
    folder = tmp_path_factory.mktemp("archived")
    made = Shell(folder, f"sqlite:///{folder}/jobs.db", archive={"store": "archives"})
    for number in range(6):
        made.db.insert("audit_logs", user_id=(3, 4)[number % 2], actor="app", ip="203.0.113.9",
                       event=("login.ok", "login.failed", "export")[number % 3],
                       details='{"n": "ö\x1b[31m"}', created_at=OLD + timedelta(days=number))
        if number > 3:
            made.run(JOB)
    yield made
    made.db.close()


@pytest.fixture
def copy(service, tmp_path):
    """The first archive's two files, elsewhere; (the folder, the rows' name)."""
    for path in (service.folder / "archives").glob("audit-*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    first = min(tmp_path.glob("*.gz"), key=lambda path: path.stat().st_size * -1)
    return tmp_path, first.name


def answer(service, *words: str, **environment: str):
    line = Shell(service.folder)
    return line("archive", *words, **environment)


def day(number: int) -> str:
    return clock.text(OLD + timedelta(days=number))


# verify

def test_complete_files_are_listed_with_their_rows_and_times(service, copy):
    folder, name = copy
    expected = f"OK: {folder}/{name}: 5 rows, {day(0)} to {day(4)}\n"
    assert answer(service, "verify", str(folder / name)) == (0, expected, "")
    manifest = str(folder / name).replace(".jsonl.gz", ".manifest.json")
    assert answer(service, "verify", manifest).out == expected.replace(str(folder / name), manifest)


def test_a_flipped_bit_a_lost_manifest_and_a_lost_file_are_reported_and_the_rest_is_checked(service,
                                                                                        copy):
    folder, name = copy
    other = next(path for path in folder.glob("*.gz") if path.name != name)
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    code, out, err = answer(service, "verify", str(folder / name), str(other),
                            str(folder / "none.jsonl.gz"))
    assert (code, out) == (1, f"OK: {other}: 1 row, {day(5)} to {day(5)}\n")
    assert err.splitlines() == [
        (f"{folder}/{name}: it cannot be expanded: Error -3 while decompressing data: incorrect "
        "length check"),
        f"{folder}/none.jsonl.gz: there is no such file"]
    other.with_name(other.name.replace(".jsonl.gz", ".manifest.json")).unlink()
    assert ".manifest.json is not in " in answer(service, "verify", str(other)).err


def rewritten(folder, name: str, key: bytes | None = None, **changed) -> None:
    """The archive's two files with another actor in each row, whole in themselves, as anybody could
    write them."""
    rows = [json.loads(row) for row in gzip.decompress((folder / name).read_bytes()).splitlines()]
    tally = form.Tally()
    (folder / name).write_bytes(b"".join(form.compressed([{**row, "actor": "me", **changed}
                                                          for row in rows], tally)))
    path = folder / name.replace(".jsonl.gz", ".manifest.json")
    manifest = {name: value for name, value in json.loads(path.read_bytes()).items()
                if name not in (form.SEAL, form.CHECKSUM, "format", "version", *form.Facts._fields)}
    path.write_bytes(form.manifest_bytes(tally.facts(), key or b"another", **manifest))
    if key is None:                                 # as this program wrote them once
        found = {name: value for name, value in json.loads(path.read_bytes()).items()
                 if name not in (form.SEAL, form.CHECKSUM)}
        text = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        path.write_text(json.dumps({**found,
                                    form.CHECKSUM: hashlib.sha256(text.encode()).hexdigest()}))


@pytest.mark.parametrize("key, why", [(None, "anybody could have written both"),
                                      (b"x" * 32, "or it is forged")])
# R72
def test_what_is_whole_and_was_written_by_somebody_else_is_not_ok(service, copy, key, why):
    folder, name = copy
    rewritten(folder, name, key)
    code, out, err = answer(service, "verify", str(folder / name))
    assert (code, out) == (1, "")
    assert err.startswith(f"{folder}/{name}: not sealed by this installation's key: ")
    assert why in err
    found = json.loads(answer(service, "verify", str(folder / name), "--json").out)["archives"][0]
    assert (found["ok"], found["sealed"], found["row_count"]) == (False, False, 5)


def test_a_host_without_the_key_says_what_it_cannot_tell(copy, tmp_path_factory):     # R72
    folder, name = copy
    line = Shell(tmp_path_factory.mktemp("elsewhere"))
    line.ini("[core]\nstate_dir = state\n")
    code, out, err = line("archive", "verify", str(folder / name))
    assert (code, err) == (0, "")
    assert out.startswith(f"WHOLE: {folder}/{name}: 5 rows, ")
    assert "who wrote it cannot be checked here" in out
    assert json.loads(line("archive", "verify", str(folder / name),
                           "--json").out)["archives"][0]["sealed"] is None
    assert not (line.folder / "state").exists()
    line.ini(f"[core]\nsecret_key = {'k' * 40}\n")
    assert "not sealed by this installation's key" in line("archive", "verify",
                                                           str(folder / name)).err


@pytest.mark.parametrize("id", [2 ** 63, 2 ** 70, -2 ** 70, 1.5, None, True, ["1"]])
def test_a_row_that_no_table_can_hold_is_damage(service, copy, id):     # R72
    folder, name = copy
    row = json.dumps({"id": id, "created_at": "2025-01-01 00:00:00"})
    (folder / name).write_bytes(gzip.compress(f"{row}\n".encode()))
    said = f"{folder}/{name}: line 1 is no row of the audit log, or damaged\n"
    assert answer(service, "show", str(folder / name)) == (1, "", said)
    assert answer(service, "verify", str(folder / name)) == (1, "", said)


def test_a_renamed_file_is_reported(service, copy):
    folder, name = copy
    for end in (".jsonl.gz", ".manifest.json"):
        os.rename(folder / name.replace(".jsonl.gz", end), folder / f"renamed{end}")
    assert f"the manifest is that of {name}" in answer(service, "verify",
                                                       str(folder / "renamed.jsonl.gz")).err


def test_without_a_file_all_that_the_table_names_are_read_from_the_store(service):
    code, out, err = answer(service, "verify")
    assert (code, err) == (0, "")
    assert [line.partition(": ")[2].partition(": ")[2] for line in out.splitlines()] == [
        f"5 rows, {day(0)} to {day(4)}", f"1 row, {day(5)} to {day(5)}"]


def test_an_archive_that_was_exchanged_or_deleted_is_reported(service):
    path = max((service.folder / "archives").glob("*.gz"))
    row = service.db.row("SELECT * FROM {audit_archives} WHERE location = :path", path=str(path))
    service.db.execute("UPDATE {audit_archives} SET sha256 = 'x' WHERE id = :id", id=row["id"])
    code, _, err = answer(service, "verify")
    service.db.execute("UPDATE {audit_archives} SET sha256 = :right WHERE id = :id",
                       right=row["sha256"], id=row["id"])
    assert (code, err) == (1, f"{path}: it is not the one that the table audit_archives names\n")
    os.rename(path, f"{path}.away")
    told = json.loads(answer(service, "verify", "--json").out)
    os.rename(f"{path}.away", path)
    assert told["ok"] is False
    assert [one["ok"] for one in told["archives"]] == [str(path) != one["location"]
                                                       for one in told["archives"]]
    assert [one["problem"] for one in told["archives"] if not one["ok"]] == [
        f"{path.name} is not in {service.folder}/archives"]


def test_a_mistyped_store_is_reported_and_not_created(service):
    code, out, err = answer(service, "verify", JOBS_ARCHIVE_STORE="archvies")
    assert (code, out) == (1, "")
    assert f"there is no folder {service.folder}/archvies, and archives should be in it" in err
    assert not (service.folder / "archvies").exists()


def test_without_an_archive_or_a_store_that_is_said(line):
    line.ini("[core]\ndatabase = sqlite:///jobs.db\n[archive]\nstore = archives\n")
    line("migrate")
    assert line("archive", "verify") == (0, "There is no archive yet.\n", "")
    line.ini("[core]\ndatabase = sqlite:///jobs.db\n")
    assert line("archive", "verify").err == (
        "jobs.py: archive verify: [archive] store is not set: name files, or set it\n")


def test_the_few_lines_of_the_documentation_read_it_too(copy, monkeypatch):
    page = (ROOT / "docs" / "archives.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.setattr("sys.argv", ["x", str(copy[0] / copy[1])])
    space: dict = {}
    exec(program, space)
    assert [row["id"] for row in space["rows"]] == [1, 2, 3, 4, 5]
    manifest = space["manifest"]
    table = page.partition("| name | what |")[2].partition("## Reading")[0]
    assert set(manifest) == set(re.findall(r"`(\w+)`", table))
    seal = manifest.pop("manifest_sha256")
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == seal


# show

def shown(service, copy, *words: str) -> list[dict]:
    folder, name = copy
    code, out, err = answer(service, "show", str(folder / name), "--json", *words)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def test_rows_are_shown_as_they_were(service, copy):
    rows = shown(service, copy)
    assert [row["id"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0] == {"id": 1, "user_id": 3, "actor": "app", "event": "login.ok",
                       "severity": "info", "ip": "203.0.113.9", "details": '{"n": "ö\x1b[31m"}',
                       "created_at": day(0)}


@pytest.mark.parametrize("words, ids", [
    (["--user", "4"], [2, 4]), (["--event", "export"], [3]), (["--event", "login*"], [1, 2, 4, 5]),
    (["--event", "login"], []), (["--since", day(3)], [4, 5]), (["--until", day(3)], [1, 2, 3]),
    (["--since", day(1), "--until", day(3), "--user", "3"], [3]),
    (["--since", day(3).replace(" ", "T")], [4, 5]),
    (["--since", day(3)[:16]], [4, 5]), (["--since", day(9)[:10]], []),
])
def test_a_filter_chooses(service, copy, words, ids):
    assert [row["id"] for row in shown(service, copy, *words)] == ids


def test_the_table_can_be_read_and_sends_nothing_to_the_terminal(service, copy):
    folder, name = copy
    out = answer(service, "show", str(folder / name)).out.splitlines()
    assert out[0].split() == ["created_at", "id", "severity", "event", "user", "actor", "ip",
                              "details"]
    assert out[1].split() == [*day(0).split(), "1", "info", "login.ok", "3", "app", "203.0.113.9",
                              '{"n":', '"ö', '[31m"}']
    assert len(out) == 6


def test_a_file_that_is_cut_off_shows_what_there_is_and_fails(service, copy):
    folder, name = copy
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-4])
    code, out, err = answer(service, "show", str(folder / name), "--json")
    assert (code, len(out.splitlines()), err) == (1, 5, f"{folder}/{name}: it is cut off\n")


def test_the_head_comes_with_the_first_row_alone(service, copy):
    folder, name = copy
    assert answer(service, "show", f"{folder}/none") == (1, "",
                                                         f"{folder}/none: there is no such file\n")
    assert answer(service, "show", str(folder / name), "--user", "99") == (
        0, "There is no such row.\n", "")
    assert answer(service, "show", str(folder / name), "--user", "99", "--json") == (0, "", "")


@pytest.mark.parametrize("action", ["verify", "show"])
def test_a_folder_is_reported_as_one(service, copy, action):
    assert answer(service, action, str(copy[0])) == (1, "", (f"{copy[0]}: this is a folder: name "
                                                     "the files in it\n"))


def test_a_file_is_not_called_required(service):
    code, _, err = answer(service)
    assert (code, "verify|show" in err, "FILE" in err.partition("required")[2]) == (2, True, False)


@pytest.mark.parametrize("words, said", [
    (["show"], "archive show: expected a FILE after it"),
    (["verify", "--user", "4"], "archive verify: --user goes with show only"),
    (["show", "x", "--since", "yesterday"],
     "expected a time such as 2025-01-31 or '2025-01-31 10:30'"),
    (["list"], "expected verify or show"),
])
def test_wrong_arguments_are_reported(service, words, said):
    code, _, err = answer(service, *words)
    assert code == 2
    assert said in err


# config

def test_the_store_shows_no_password_and_a_wrong_one_says_what_is_expected(line):
    path = line.ini("[archive]\nstore = ftps://me:s3same@backup.example/audit\n")
    path.chmod(0o644)
    out = line("config", "show", "archive").out
    assert "ftps://me:********@backup.example/audit" in out
    assert "s3same" not in out
    assert "holds secrets ([archive] store)" in " ".join(line("config", "check").out.split())
    line.ini("[archive]\nstore = ftp://me:s3same@backup.example/audit\n")
    answer = line("config", "check")
    expected = "[archive] store = ...: expected ftps://user:password@host:21/folder, or empty"
    assert expected not in answer.out
    assert "expected ftps://user:password@host:21/folder" in answer.err
    assert "s3same" not in answer.out + answer.err


@pytest.mark.parametrize("text, warned", [
    ("", True), ("[archive]\nstore = Off\n", True), ("[archive]\nstore = archives\n", False),
    ("[archive_audit_logs]\nenabled = no\n", False),
    ("[archive_audit_logs]\nkeep = off\n", False)])
def test_check_says_that_nothing_is_archived(line, text, warned):
    line.ini(text)
    said = " ".join(line("config", "check").out.split())
    assert ("audit rows are deleted then, without an archive." in said) == warned
    assert ("config set archive.store var/archives" in said) == warned


@pytest.mark.parametrize("store, said", [
    ("var/spool", "is [spool] dir ({}/var/spool)"),
    ("var/state/a", "is in [core] state_dir ({}/var/state)"),
    ("var/log/", "is [core] log_dir ({}/var/log)"), ("var", "holds [spool] dir ({}/var/spool)"),
    (".", "holds [spool] dir ({}/var/spool)"), ("/", "is the root of all folders"),
    (f"{ROOT}/jobs_lib/a", f"is in the program's folder ({ROOT}/jobs_lib)"),
    (f"{ROOT}/jobs_lib", f"is the program's folder ({ROOT}/jobs_lib)"),
    (str(ROOT), f"holds the program's folder ({ROOT}/jobs_lib)"),
])
def test_check_refuses_a_store_that_is_not_the_archives_own(line, store, said):
    line.ini(f"[archive]\nstore = {store}\n")
    answer = line("config", "check")
    assert answer.code == 78
    assert " ".join(answer.err.split()).count(f"that {said.format(line.folder)}; give archives a "
                                              "folder of their own")


def test_check_says_that_others_can_read_the_store(line):
    line.ini("[archive]\nstore = archives\n")
    (line.folder / "archives").mkdir()
    for mode, told in ((0o700, False), (0o750, True), (0o701, True)):
        (line.folder / "archives").chmod(mode)
        said = " ".join(line("config", "check").out.split())
        assert (f"others can read {line.folder}/archives" in said) == told


def test_a_relative_store_counts_from_the_folder_of_config_ini(line):
    line.ini("[archive]\nstore = var/archives\n")
    shown = line.json("config", "show", "archive")["sections"]["archive"]
    assert shown["store"]["value"] == f"{line.folder}/var/archives"
