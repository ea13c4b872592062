"""`completion`: what the shells themselves offer with the printed script; bash always, zsh and fish
where they are installed."""
from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from jobs_lib import catalogue, commands
from jobs_lib.cli.main import main

JOBS = catalogue.names()
SHELLS = [name for name in ("bash", "zsh", "fish") if shutil.which(name)]
# what each shell is given: the script, then the words of the line, the last one unfinished
ASK = {
    "bash": (". {script}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
             "_jobs_py; printf '%s\\n' \"${{COMPREPLY[@]}}\""),
    # zsh completes in its line editor alone: its two ways to offer something are listened to
    "zsh": "compdef() {{ }}; compadd() {{ shift; print -l -- ${{(M)@:#$PREFIX*}} }}; "
           "_files() {{ print -l -- $PREFIX*(N) }}; . {script}; words=({words}); "
           "CURRENT=${{#words}}; PREFIX=$words[-1]; _jobs_py",
    "fish": "source {script}; complete -C {line}",
}


@pytest.fixture
def offered(tmp_path, capsys):
    """A function: (shell, the line up to the cursor) -> the words that the shell offers."""
    (tmp_path / "config.ini").touch()

    def ask(shell: str, line: str) -> list[str]:
        path = tmp_path / f"script.{shell}"
        if not path.exists():
            assert main(["completion", shell]) == 0
            path.write_text(capsys.readouterr().out)
        words = line.split(" ")
        code = ASK[shell].format(script=path, line=shlex.quote(line),
                                 words=" ".join(shlex.quote(word) for word in words))
        plain = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": []}[shell]
        done = subprocess.run([shell, *plain, "-c", code], cwd=tmp_path, capture_output=True,
                              text=True, timeout=30, env={"PATH": "/usr/bin:/bin",
                                                          "HOME": str(tmp_path)})
        assert done.stderr == ""
        return sorted(each.split("\t")[0] for each in done.stdout.splitlines() if each)
    return ask


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("start", ["jobs.py ", "./jobs.py ", "python3 jobs.py ",
                                   "python3.11 /home/you/jobs/jobs.py "])
def test_commands_and_jobs_are_offered_first(offered, shell, start):
    if shell == "fish" and start.startswith(("python3.", "./")):
        return                              # fish goes by the name of the program
    assert offered(shell, start) == sorted([*commands.names(), *JOBS, "help", "version"])
    assert offered(shell, start + "purge_s") == ["purge_sessions", "purge_spam_quarantine"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("line, expected", [
    ("pause purge_m", ["purge_magic_links", "purge_message_logs"]),
    ("replay ", ["forward", "notification", "webhook"]),
    ("replay forward ", []),
    ("crontab --style ", ["one-line", "per-job"]),
    ("crontab --st", ["--style"]),
    ("list --n", ["--next"]),
    ("list --next ", []),
    ("retry_forwards --dr", ["--dry-run"]),
    ("--config config.ini pau", ["pause"]),
    ("completion z", ["zsh"]),
    ("archive verify conf", ["config.ini"]),
    ("list --config conf", ["config.ini"]),
    ("report --output conf", ["config.ini"]),
    ("preview export_", ["export_failed", "export_ready"]),
    ("run-as-cron run", ["run-due"]),
    ("history --limit 5 retry_f", ["retry_forwards"]),
    ("nonsense ", []),
])
def test_what_may_follow_is_offered(offered, shell, line, expected):
    assert offered(shell, f"jobs.py {line}") == expected
    assert offered(shell, f"python3 jobs.py {line}") == expected


def test_bash_offers_values_behind_an_equals_sign_too(offered):
    assert offered("bash", "jobs.py crontab --style = per") == ["per-job"]


@pytest.mark.parametrize("shell", SHELLS)
def test_another_program_of_python_is_left_alone(offered, shell):
    assert "pause" not in offered(shell, "python3 other.py ")
    assert "pause" not in offered(shell, "python3 ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_first_line_says_how_to_install_it_and_no_configuration_is_needed(capsys, tmp_path,
                                                                              shell):
    (tmp_path / "config.ini").write_text("[nonsense]\n")
    assert main(["--config", str(tmp_path / "config.ini"), "completion", shell]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"# Install: python3 jobs.py completion {shell} > ~/")


def test_every_command_job_and_option_is_there(capsys):
    main(["completion", "bash"])
    script = capsys.readouterr().out
    for name in [*commands.names(), *JOBS]:
        assert f"'{name}'" in script, name
    assert main(["completion", "csh"]) == 2
