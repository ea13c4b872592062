"""What can be typed after `jobs.py`, read from the declarations of argparse, and written as a
script for a shell."""
from __future__ import annotations

import argparse

from jobs_lib import catalogue, commands
from jobs_lib.launch import by_hand
from jobs_lib.records import namedtuple

Table = namedtuple("Table", "options values positions")
Table.__doc__ = """What can follow. Each is {pattern: words}; `|` in a pattern separates commands.

options    {command: its options}
values     {command:option: the option's values}
positions  {command:number of the argument, or * for all that follow: words}
"""
FILES = "@files"                # in place of words: names of files
EVERYWHERE = ("--config", "--help")
FIRST = ("help", "version")     # words that are no command's file
ANY_FILE = ("FILE", "DIR")      # how argparse names a path


def tables() -> Table:
    """Of every command and job."""
    found = Table({}, {}, {})
    for name in commands.names():
        parser = argparse.ArgumentParser(prog=name)
        commands.load(name).arguments(parser)
        _add(found, name, parser)
    parser = argparse.ArgumentParser(prog="JOB")
    by_hand.arguments(parser)
    _add(found, "|".join(catalogue.names()), parser)
    everything = [*commands.names(), *FIRST, *catalogue.names()]
    found.options[""] = ["--version", *EVERYWHERE]
    found.positions[":1"] = everything
    found.positions["help:1"] = ["all", *everything]
    return found


def _add(found: Table, name: str, parser: argparse.ArgumentParser) -> None:
    options, number = list(EVERYWHERE), 1
    for action in parser._actions:
        words = _words(action)
        if action.option_strings:
            options += [each for each in action.option_strings if each not in ("-h", "--help")]
            if action.nargs != 0:
                for each in action.option_strings:
                    found.values[_each(name, each)] = words
        else:
            is_last = action.nargs in ("*", "+")
            found.positions[_each(name, "*" if is_last else str(number))] = words
            number += 1
    found.options[name] = options


def _each(names: str, what: str) -> str:
    return "|".join(f"{name}:{what}" for name in names.split("|"))


def _words(action) -> list[str]:
    """What an argument may be, as its type, its choices or its name tell."""
    known = getattr(action.type, "words", None) or action.choices
    if known:
        return [str(word) for word in known]
    found: list[str] = []
    for part in str(action.metavar or "").split("|"):
        if part == "JOB":
            found += catalogue.names()
        elif part in ANY_FILE:
            found.append(FILES)
        elif part and part == part.lower():
            found.append(part)
    return found


def script(shell: str) -> str:
    """The script for bash, zsh or fish."""
    found = tables()
    found.values["*:--config"] = [FILES]
    case = {"bash": _case, "zsh": _case, "fish": _switch}[shell]
    parts = {name: case(rows) for name, rows in found._asdict().items()}
    return {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(
        **parts, takes_value=_takes_value(found, shell))


def _takes_value(found: Table, shell: str) -> str:
    """A pattern of all options with a value: the word behind one is no argument."""
    options = sorted({pattern.rpartition(":")[2] for pattern in found.values})
    return (" " if shell == "fish" else "|").join(options)


def _grouped(rows: dict[str, list[str]]) -> list[tuple[list[str], str]]:
    """[(patterns, the words that they lead to)], those with a `*` last."""
    found: dict[tuple, list[str]] = {}
    for row, words in rows.items():
        for pattern in row.split("|"):
            found.setdefault(("*" in pattern, " ".join(words)), []).append(pattern)
    return [(found[key], key[1]) for key in sorted(found, key=lambda key: key[0])]


def _case(rows: dict[str, list[str]]) -> str:
    """In the notation of bash and zsh. The subject is in $1."""
    lines = [f"        {'|'.join(_quoted(each) for each in patterns)}) echo '{words}' ;;"
             for patterns, words in _grouped(rows)]
    return "\n".join(lines)


def _quoted(pattern: str) -> str:
    """A pattern in which only a `*` at its beginning or end has a meaning."""
    if pattern.startswith("*"):
        return f"*'{pattern[1:]}'"
    return f"'{pattern[:-1]}'*" if pattern.endswith("*") else f"'{pattern}'"


def _switch(rows: dict[str, list[str]]) -> str:
    """In the notation of fish. The subject is in $argv[1]."""
    lines = []
    for patterns, words in _grouped(rows):
        lines += [f"        case {' '.join(chr(39) + each + chr(39) for each in patterns)}",
                  f"            string split ' ' -- '{words}'", "            return 0"]
    return "\n".join(lines)


SHARED = """
# What can follow: values COMMAND:OPTION, options COMMAND, positions COMMAND:NUMBER
_jobs_py_values() {{
    case $1 in
{values}
        *) return 1 ;;
    esac
}}
_jobs_py_options() {{
    case $1 in
{options}
    esac
}}
_jobs_py_positions() {{
    case $1 in
{positions}
    esac
}}
# COMMAND, number of the argument, the word before, the word so far
_jobs_py_words() {{
    case $3 in
        -*) _jobs_py_values "$1:$3" && return ;;
    esac
    case $4 in
        -*) _jobs_py_options "$1" ;;
        *) _jobs_py_positions "$1:$2" ;;
    esac
}}
"""
BASH = """\
# Install: python3 jobs.py completion bash > ~/.jobs.bash; and in ~/.bashrc: . ~/.jobs.bash
""" + SHARED + """
_jobs_py() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local command= number=1 at=1 word words
    case ${{COMP_WORDS[0]##*/}} in
        python*)
            case ${{COMP_WORDS[1]##*/}} in jobs.py|jobs.pyz) ;; *) return ;; esac
            [ "$COMP_CWORD" -gt 1 ] || return
            at=2 ;;
    esac
    if [ "$current" = = ]; then
        current= before=${{COMP_WORDS[COMP_CWORD-1]}}
    elif [ "$before" = = ]; then
        before=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    while [ "$at" -lt "$COMP_CWORD" ]; do
        word=${{COMP_WORDS[at]}}
        case $word in
            {takes_value}) at=$((at + 1)); [ "${{COMP_WORDS[at]}}" = = ] && at=$((at + 1)) ;;
            -*|=) ;;
            *) if [ -z "$command" ]; then command=$word; else number=$((number + 1)); fi ;;
        esac
        at=$((at + 1))
    done
    words=$(_jobs_py_words "$command" "$number" "$before" "$current")
    COMPREPLY=()
    case " $words " in
        *" @files "*)
            COMPREPLY=($(compgen -f -- "$current"))
            words=${{words//@files/}} ;;
    esac
    COMPREPLY+=($(compgen -W "$words" -- "$current"))
}}
complete -F _jobs_py jobs.py jobs.pyz
complete -o bashdefault -o default -F _jobs_py python3 python
"""
ZSH = """\
# Install: python3 jobs.py completion zsh > ~/.jobs.zsh; and last in ~/.zshrc: . ~/.jobs.zsh
""" + SHARED + """
_jobs_py() {{
    local current=${{words[CURRENT]}} before=${{words[CURRENT-1]}}
    local command= number=1 at=2 word
    local -a found
    case ${{words[1]:t}} in
        python*)
            case ${{words[2]:t}} in jobs.py|jobs.pyz) ;; *) _files; return ;; esac
            (( CURRENT > 2 )) || {{ _files; return }}
            at=3 ;;
    esac
    while (( at < CURRENT )); do
        word=${{words[at]}}
        case $word in
            {takes_value}) (( at++ )) ;;
            -*) ;;
            *) if [[ -z $command ]]; then command=$word; else (( number++ )); fi ;;
        esac
        (( at++ ))
    done
    found=(${{=$(_jobs_py_words "$command" "$number" "$before" "$current")}})
    if (( ${{found[(I)@files]}} )); then
        found=(${{found:#@files}})
        _files
    fi
    (( ${{#found}} )) && compadd -- $found
}}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
compdef _jobs_py jobs.py jobs.pyz python3 python
"""
FISH = """\
# Install: python3 jobs.py completion fish > ~/.config/fish/conf.d/jobs-py.fish

function __jobs_py_values
    switch $argv[1]
{values}
        case '*'
            return 1
    end
end
function __jobs_py_options
    switch $argv[1]
{options}
    end
end
function __jobs_py_positions
    switch $argv[1]
{positions}
    end
end
# Whether jobs.py is what is typed, by itself or after python3
function __jobs_py_is
    set -l typed (commandline -opc)
    string match -qr '^python' -- (basename -- $typed[1]); or return 0
    test (count $typed) -gt 1; and string match -qr '^jobs\\\\.pyz?$' -- (basename -- $typed[2])
end
function __jobs_py
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    set -l at 2
    string match -qr '^python' -- (basename -- $typed[1]); and set at 3
    set -l command ''
    set -l number 1
    while test $at -le (count $typed)
        switch $typed[$at]
            case {takes_value}
                set at (math $at + 1)
            case '-*'
            case '*'
                if test -z "$command"
                    set command $typed[$at]
                else
                    set number (math $number + 1)
                end
        end
        set at (math $at + 1)
    end
    set -l words
    switch $typed[-1]
        case '-*'
            if set words (__jobs_py_values "$command:$typed[-1]")
                __jobs_py_print $current $words
                return
            end
    end
    switch "$current"
        case '-*'
            __jobs_py_options "$command"
        case '*'
            __jobs_py_print "$current" (__jobs_py_positions "$command:$number")
    end
end
function __jobs_py_print
    for word in $argv[2..-1]
        if test $word = @files
            __fish_complete_path $argv[1]
        else
            echo $word
        end
    end
end
complete -c jobs.py -f -a '(__jobs_py)'
complete -c jobs.pyz -f -a '(__jobs_py)'
complete -c python3 -n __jobs_py_is -f -a '(__jobs_py)'
complete -c python -n __jobs_py_is -f -a '(__jobs_py)'
"""
