"""The commands are those that there are to be, and what is none is refused as unknown, with the
nearest name. The one place that names what is not there."""
from __future__ import annotations

import pytest

COMMANDS = """alerts cancel config crontab demo doctor enqueue help history list mail metrics
    migrate pause preview queue replay report resume run-due status test version worker""".split()

WORDS = {
    "adopt": "there is no job or command 'adopt'",
    "archive": "there is no job or command 'archive'; did you mean 'archive_audit_logs'?",
    "bundle": "there is no job or command 'bundle'",
    "completion bash": "there is no job or command 'completion'",
    "forecast": "there is no job or command 'forecast'",
    "help all": "there is no job or command 'all'",
    "logs retry_forwards": "there is no job or command 'logs'",
    "move": "there is no job or command 'move'",
    "run-as-cron run-due": "there is no job or command 'run-as-cron'",
    "show forward 1": "there is no job or command 'show'",
    "stop retry_forwards": "there is no job or command 'stop'",
    "crontab --verify": "crontab: --verify: there is no such option",
    "list --short": "list: --short: there is no such option",
    "replay webhooks --endpoint 1": "replay: --endpoint: there is no such option",
    "status retry_forwards": "status: unexpected argument 'retry_forwards'",
    "test retry_forwards --sandbox": "test: --sandbox: there is no such option",
    "config set core.memroy 1": "[core] has no option 'memroy'",
    "queue forward --fialed": "queue: --fialed: there is no such option; did you mean '--failed'?",
}
OPTIONS = {
    "core": "log_files log_size max_threads_running memory",
    "dns": "concurrency", "mail": "urgent_share", "notifications": "unsubscribe_url",
    "status": "metrics", "webhooks": "concurrency", "worker": "fallback shards",
    "retry_forwards": "give_up_after max_hops", "delete_accounts": "also reapply",
}
SECTIONS = {"columns": "", "forecast": "", "mial": "; did you mean 'mail'?"}


def test_the_help_names_these_commands(line):
    out = line("--help").out.partition("\ncommands:\n")[2].partition("\njobs:\n")[0]
    assert [text.split()[0] for text in out.splitlines() if text[2:3].strip()] == COMMANDS


@pytest.mark.parametrize(("words", "said"), WORDS.items())
def test_what_is_no_command_is_refused_as_unknown(line, words, said):
    answer = line(*words.split())
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer
    assert said in answer.err


@pytest.mark.parametrize("section", OPTIONS)
def test_what_is_no_option_is_refused_as_unknown(line, section):
    names = OPTIONS[section].split()
    line.ini(f"[{section}]\n" + "".join(f"{name} = 1\n" for name in names))
    answer = line("config", "check")
    assert answer.code == 78
    for name in names:
        assert f"[{section}] {name}: there is no such option" in answer.err


@pytest.mark.parametrize("section", SECTIONS)
def test_what_is_no_section_is_refused_as_unknown(line, section):
    line.ini(f"[{section}]\nname = 1\n")
    answer = line("list")
    assert answer.code == 78
    assert f"[{section}]: there is no such section{SECTIONS[section]}" in answer.err
