"""The single file unpacks itself once, privately and as a whole, and runs whatever prevents it."""
from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.shell import copy_program

# Counts what the process does below var/, and ends it with SIGKILL just before one of these things.
KILLER = """
import os, runpy, signal, sys
left, sys.argv, done = int(sys.argv[1]), sys.argv[2:], 0
def strike(event, args):
    global done
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod") and any(
            "/var/program" in str(each) for each in args):
        done += 1
        if done == left:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(strike)
leave = os._exit
os._exit = lambda code: (print(done, flush=True), leave(code))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
KILLS = 12


@pytest.fixture(scope="module")
def versions(tmp_path_factory) -> list[bytes]:
    """Two single files that differ by a letter, and not in size."""
    source = tmp_path_factory.mktemp("source") / "jobs"
    copy_program(source)
    made = []
    for letter in "ab":
        with open(source / "jobs_lib" / "text.py", "a") as file:
            file.write(f"# {letter}\n")
        output = tmp_path_factory.mktemp("made") / "jobs.py"
        subprocess.run([sys.executable, source / "jobs.py", "bundle", "--output", output],
                       check=True, capture_output=True)
        made.append(output.read_bytes())
    return made


@pytest.fixture
def single(versions, tmp_path) -> Path:
    """The first of them, in a folder of its own."""
    (tmp_path / "jobs.py").write_bytes(versions[0])
    return tmp_path / "jobs.py"


def start(script: Path, *words: str, python=(sys.executable,),
          **how) -> subprocess.CompletedProcess:
    """As cron does: an empty environment, and no package of this Python's own."""
    return subprocess.run([*python, "-S", "-s", str(script), *words], cwd="/", env={}, text=True,
                          capture_output=True, timeout=100, **how)


def printed(script: Path, *words: str, **how) -> str:
    """What it prints, if that is all."""
    done = start(script, *words, **how)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def programs(script: Path) -> list[str]:
    """What is in the folder of programs besides its `.htaccess`."""
    place = script.parent / "var" / "program"
    return sorted(name for name in os.listdir(place) if name != ".htaccess")


def contents(script: Path, folder: str) -> dict:
    """{name: hash} of the files of a program, without what Python compiles."""
    top = script.parent / "var" / "program" / folder
    return {str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in top.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def runs_from(script: Path) -> str:
    """The file or folder that it loads its modules from."""
    code = "import jobs, jobs_lib; print(jobs_lib.__path__[0].rpartition('/')[0])"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=script.parent, env={}, text=True,
                          capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_the_first_start_unpacks_it_privately(single):              # R10 R65
    printed(single, "migrate", umask=0o002)
    folder, = programs(single)
    place = single.parent / "var" / "program"
    assert folder.startswith("jobs.py.")
    for path in (place.parent, place, *place.rglob("*")):
        if "__pycache__" not in path.parts:
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert "denied" in (place / ".htaccess").read_text()
    assert runs_from(single) == str(place / folder)
    # `migrate` has compiled it
    assert (place / folder / "jobs_lib" / "engines" / "__pycache__").is_dir()


@pytest.mark.parametrize("name", ["jobs.py", "jobs.pyz"])
def test_everything_is_found_beside_it_under_any_name(single, tmp_path, name):      # R65
    script = tmp_path / name
    os.rename(single, script)
    (tmp_path / "config.ini").write_text("[core]\nlog_dir = logs\n[mail]\nhost = relay.example\n")
    (tmp_path / "other.ini").write_text("[core]\ndatabase = sqlite:///other.db\n")
    for _ in ("from memory", "unpacked"):
        printed(script, "migrate", "--config", str(tmp_path / "other.ini"))
        printed(script, "migrate")
        assert printed(script, "run-due") == ""
        printed(script, "purge_sessions")
        assert f" {script} run-due\n" in printed(script, "crontab")
        assert "relay.example" in printed(script, "config", "show")
        checked = start(script, "config", "check")
        assert f"python3 {name} config set" in checked.stdout
        assert f"({sys.executable})" in start(script, "doctor", "-v", "--offline").stdout
        assert "Subject: " in printed(script, "preview", "export_ready")
    assert sorted(os.listdir(tmp_path)) == ["config.ini", name, "logs", "other.db", "other.ini",
                                            "var"]
    assert len(programs(script)) == 1


def test_an_app_imports_it(single, tmp_path):                       # R54
    code = ("import sys; sys.path.append({!r})\nimport jobs, jobs_lib\n"
            "print(jobs_lib.is_retired('a@alias.example'), jobs_lib.find_export('x' * 43))")
    (tmp_path / ".env").write_text("JOBS_CORE_PREFIX=mail_\n")      # read by a package inside of it
    printed(single, "migrate")
    (tmp_path / "var" / "state" / "secret").write_text("k" * 64)
    shutil.rmtree(tmp_path / "var" / "program")
    for path, where in ((".", tmp_path), (str(tmp_path), "/")):
        asked = subprocess.run([sys.executable, "-I", "-S", "-c", code.format(path)], cwd=where,
                               text=True, capture_output=True)
        assert (asked.stdout, asked.stderr) == ("False None\n", "")
    os.rename(single, tmp_path / "jobs.pyz")
    code = ("import runpy; runpy.run_path({!r})\n"
            "import jobs_lib; print(jobs_lib.find_export('x' * 43))")
    asked = subprocess.run([sys.executable, "-I", "-S", "-c", code.format(f"{tmp_path}/jobs.pyz")],
                           text=True, capture_output=True)
    assert (asked.stdout, asked.stderr) == ("None\n", "")


@pytest.fixture(scope="module")
def replaced(versions, tmp_path_factory) -> tuple[Path, int, dict]:
    """(a folder with the first one unpacked and the second one uploaded, in how many steps that one
    is unpacked, what it has then)."""
    folder = tmp_path_factory.mktemp("replaced")
    done = tmp_path_factory.mktemp("done") / "it"
    script = folder / "jobs.py"
    script.write_bytes(versions[0])
    printed(script, "crontab")
    script.write_bytes(versions[1])
    shutil.copytree(folder, done)
    steps = int(killed_at(0, done / "jobs.py").stdout.splitlines()[-1])
    new, = programs(done / "jobs.py")
    assert steps > 600
    assert new not in programs(script)
    return folder, steps, contents(done / "jobs.py", new)


def killed_at(step: int, script: Path) -> subprocess.CompletedProcess:
    """A start that SIGKILL ends just before that step."""
    return subprocess.run([sys.executable, "-S", "-c", KILLER, str(step), script, "crontab"],
                          env={}, text=True, capture_output=True, timeout=100)


@pytest.mark.parametrize("part", range(KILLS))
def test_a_kill_leaves_nothing_half_that_is_used(replaced, tmp_path, part):       # R65
    folder, steps, whole = replaced
    script = tmp_path / "it" / "jobs.py"
    shutil.copytree(folder, script.parent)
    old, = programs(script)
    # the first and the last steps, one by one, and some between
    third = KILLS // 3
    step = (part + 1 if part < third else steps - (part - third) if part < 2 * third
            else steps * (part - 2 * third + 1) // (third + 1))
    assert killed_at(step, script).returncode == -signal.SIGKILL
    for name in programs(script):
        if len(name) == len(old) and name != old:
            assert contents(script, name) == whole
    assert " run-due\n" in printed(script, "crontab")
    new, = programs(script)
    assert new != old
    assert contents(script, new) == whole


def test_starts_at_once_do_no_harm(single):                         # R65
    started = [subprocess.Popen([sys.executable, "-S", single, "crontab"], env={},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for _ in range(6)]
    ended = [(*process.communicate(timeout=100), process.returncode) for process in started]
    assert {(err, code) for _, err, code in ended} == {("", 0)}
    assert len(programs(single)) == 1
    assert "var/program" in runs_from(single)


def test_another_file_of_that_size_and_time_is_not_taken_for_it(single, versions):      # R65
    printed(single, "crontab")
    old, = programs(single)
    times = single.stat()
    single.write_bytes(versions[1])
    os.utime(single, ns=(times.st_atime_ns, times.st_mtime_ns))
    printed(single, "crontab")
    new, = programs(single)
    assert new != old
    assert runs_from(single).endswith(new)


def test_an_old_one_that_still_runs_is_kept_until_the_next(single, versions):       # R65
    printed(single, "crontab")
    old, = programs(single)
    code = "import jobs; print(flush=True); input()\nimport jobs_lib.features.usage"
    with subprocess.Popen([sys.executable, "-c", code], cwd=single.parent, env={},
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as app:
        app.stdout.readline()
        single.write_bytes(versions[1])
        printed(single, "crontab")
        assert old in programs(single)
        assert len(programs(single)) == 2
        app.communicate(b"\n", timeout=60)
    assert app.returncode == 0
    single.write_bytes(versions[0])
    printed(single, "crontab")                  # this one is there, and used
    shutil.rmtree(single.parent / "var" / "program" / old)
    printed(single, "crontab")
    assert programs(single) == [old]


def test_programs_of_other_files_are_left_alone(single, versions):
    other = single.parent / "jobs.pyz"
    other.write_bytes(versions[1])
    printed(other, "crontab")
    printed(single, "crontab")
    assert [name[:-33] for name in programs(single)] == ["jobs.py", "jobs.pyz"]


@pytest.mark.parametrize("planted", ["link", "file", "open"])
def test_what_is_planted_in_its_place_is_removed_and_never_used(single, tmp_path, planted):    # R71
    printed(single, "crontab")
    folder, = programs(single)
    path, aside = tmp_path / "var" / "program" / folder, tmp_path / "aside"
    os.rename(path, aside)
    (aside / "jobs_lib" / "__init__.py").write_text("raise SystemExit('planted')\n")
    if planted == "link":
        path.symlink_to(aside)
    elif planted == "file":
        path.write_text("")
    else:
        os.rename(aside, path)
        path.chmod(0o770)
    printed(single, "crontab")
    assert not path.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o700
    assert runs_from(single) == str(path)
    assert (aside / "jobs_lib" / "__init__.py").exists() == (planted != "open")
    assert programs(single) == [folder]


@pytest.mark.parametrize("planted", ["link", "file", "open"])
def test_a_place_that_is_not_private_is_not_used(single, tmp_path, planted):       # R71
    place, aside = tmp_path / "var" / "program", tmp_path / "aside"
    (tmp_path / "var").mkdir(0o700)
    if planted == "link":
        aside.mkdir()
        place.symlink_to(aside)
    elif planted == "file":
        place.write_text("")
    else:
        place.mkdir()
        place.chmod(0o770)
    assert " run-due\n" in printed(single, "crontab")
    assert runs_from(single) == str(single)
    said = start(single, "doctor").stdout
    assert "jobs.py cannot be unpacked" in " ".join(said.split())
    if planted != "file":
        assert os.listdir(place) == []


def test_doctor_looks_who_may_write_to_it(single):                  # R71
    printed(single, "crontab")
    folder, = programs(single)
    path = single.parent / "var" / "program" / folder / "jobs_lib" / "text.py"
    path.chmod(0o666)
    assert f"chmod go-w {path}" in start(single, "doctor").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_the_folder_of_another_user_is_not_used(single):           # R71
    printed(single, "crontab")
    folder, = programs(single)
    path = single.parent / "var" / "program" / folder
    (path / "jobs_lib" / "__init__.py").write_text("raise SystemExit('planted')\n")
    os.chown(path, 65534, 65534)
    printed(single, "crontab")
    assert path.stat().st_uid == 0
    assert runs_from(single) == str(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_root_leaves_nothing_where_another_user_runs_it(versions):          # R71
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "jobs.py")
        script.write_bytes(versions[0])
        os.chown(folder, 65534, 65534)
        printed(script, "crontab")
        assert os.listdir(folder) == ["jobs.py"]
        as_user = {"user": 65534, "group": 65534, "extra_groups": []}
        python = ("/usr/bin/python3",)          # one that he can read
        printed(script, "crontab", python=python, **as_user)
        assert (script.parent / "var" / "program" / programs(script)[0]).stat().st_uid == 65534
        printed(script, "crontab")
        assert len(programs(script)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_it_runs_where_nothing_can_be_written(versions):            # R69
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        script = Path(folder, "jobs.py")
        script.write_bytes(versions[0])
        for _ in range(2):
            assert f" {script} run-due\n" in printed(script, "crontab", user=65534, group=65534,
                                                     extra_groups=[], python=("/usr/bin/python3",))
        assert os.listdir(folder) == ["jobs.py"]


@pytest.mark.parametrize("room", [0, 500, 20_000])
def test_a_full_disk_leaves_nothing_and_stops_nothing(single, room):        # R69
    def full():
        # as Python does, but only after it may have stored what it has compiled of its own modules
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    for _ in range(2):
        assert " run-due\n" in printed(single, "crontab", preexec_fn=full)
    place = single.parent / "var" / "program"
    assert not place.exists() or programs(single) == []
    printed(single, "crontab")
    assert len(programs(single)) == 1


def test_an_upload_in_text_mode_does_no_harm(single):              # R65
    single.write_bytes(single.read_bytes().replace(b"\n", b"\r\n"))
    for _ in range(2):
        assert " run-due\n" in printed(single, "crontab")
    assert "var/program" in runs_from(single)


@pytest.mark.parametrize("left", [0.5, 0.999])
def test_a_file_that_was_cut_off_says_so(single, left):             # R65
    whole = single.read_bytes()
    single.write_bytes(whole[:int(len(whole) * left)])
    done = start(single, "run-due")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"jobs.py: {single} is not whole, or is just being replaced: upload it "
                           "again\n")
    assert not (single.parent / "var").exists()


def test_a_folder_of_an_older_upload_beside_it_is_not_loaded(single):       # R65
    (single.parent / "jobs_lib").mkdir()
    (single.parent / "jobs_lib" / "__init__.py").write_text("raise SystemExit('old')\n")
    for _ in range(2):
        assert " run-due\n" in printed(single, "crontab")
