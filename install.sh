#!/bin/sh
cr=$(printf '\r'); if grep -q "$cr\$" "$0"; then tr -d '\r' <"$0" >"$0.lf" && mv "$0.lf" "$0" && exec sh "$0" "$@"; fi # an upload may have made CRLF of the line ends
# Makes the bundle, sets a host up, tries the jobs out, runs the tests: see usage below. POSIX sh, from any folder, safe
# to repeat. Every thing that is missing gets one sentence; only what cannot go on without it stops.
set -eu

PATH=${PATH:-/usr/bin:/bin}:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
export PATH
home=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)

usage() {
    cat <<END
./install.sh bundle [ZIP] make a zip of all that a host needs, packages inside, to upload and extract
./install.sh              set up this host: packages, private folders, config.ini, database. On a terminal it asks
                          for the few values that matter; nothing that is there is overwritten
./install.sh --with LIST  the same, and the packages for: mysql, domains, rq, celery (separated by commas)
./install.sh demo [ARGS]  a sample service in a folder of its own, real runs, everything shown; changes nothing else
./install.sh test         run the quick tests in an environment of their own; hardly any needs a server
./install.sh test --all   all of them for which this machine has the servers
./install.sh test ARGS    those that pytest selects by ARGS
./install.sh test-env     only create that environment, and print the path of its Python
./install.sh missing      print what this machine lacks of these servers: apt-get install \$(./install.sh missing)

PYTHON=/path/to/python3   which Python to use; otherwise the newest one found (3.9 or later)
END
}

say() { printf '%s\n' "$*"; }
warn() { printf 'install.sh: %s\n' "$*" >&2; }
die() { warn "$*"; exit 1; }

wrong_word() {
    warn "$1 (./install.sh --help shows what there is)"
    exit 2
}

# --- Python

# Sets $python and $version (such as 3.13): the newest, which is not always called python3. Hosts with CloudLinux keep
# theirs in /opt/alt.
find_python() {
    judge='import sys
if sys.version_info < (3, 9): sys.exit("is Python %d.%d" % sys.version_info[:2])
try: import sqlite3
except ImportError: sys.exit("has no sqlite3 module")
print("%d%02d %d.%d %s" % (sys.version_info[:2] * 2 + (sys.executable,)))'
    python='' best=0 refused=''
    set -- python3 /usr/bin/python3 /usr/local/bin/python3 python3.15 python3.14 python3.13 python3.12 python3.11 \
        python3.10 python3.9 /opt/alt/python3*/bin/python3
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; fi
    for name in "$@"; do
        path=$(command -v "$name" 2>/dev/null) || continue
        if found=$("$path" -c "$judge" 2>&1); then
            rank=${found%% *} found=${found#* }
            if [ "$rank" -gt "$best" ]; then
                best=$rank version=${found%% *} python=${found#* }
            fi
        else
            refused="$refused; $name $(say "$found" | tail -n 1)"
        fi
    done
    [ -n "$python" ] || die "needs Python 3.9 or later with its sqlite3 module, and found none${refused}." \
        "If there is one by another name, run PYTHON=/path/to/python3 $0"
}

has_venv() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }

pip_install() { PIP_ROOT_USER_ACTION=ignore "$@" --quiet --disable-pip-version-check --no-input; }

# --- The bundle

# bundle [ZIP]: the program, its documentation and the packages in one folder, as a control panel's file manager
# extracts it. Nothing that is a host's own is inside, so that extracting it over an earlier one keeps that. The packages
# are pure Python for any version that we run on, and only the files whose hashes are known. jobs_lib/modules.txt has
# the SHA-256 of each module, theirs too, by which `doctor` knows one that is missing or of another version.
bundle() {
    cd "$home"
    find_python
    zip=${1:-dist/jobs-$("$python" -c 'from jobs_lib.folders import VERSION; print(VERSION)').zip}
    umask 022
    trap 'rm -rf dist/jobs dist/pip; rmdir dist 2>/dev/null || :' EXIT    # also when it fails
    rm -rf dist/jobs
    mkdir -p dist/jobs "$(dirname -- "$zip")"
    pip=$python
    if ! "$pip" -m pip --version >/dev/null 2>&1; then
        has_venv "$python" || die "$python has neither pip nor the venv module, and the packages are fetched by pip" \
            "(Debian: apt-get install python3-venv)"
        "$python" -m venv dist/pip
        pip=dist/pip/bin/python
    fi
    pip_install "$pip" -m pip install --target dist/jobs/vendor --no-compile --python-version 3.9 \
        --only-binary :all: --no-deps --require-hashes -r requirements-bundle.txt ||
        die "the packages could not be fetched, for the reason above"
    cp -Rp jobs.py jobs_lib .htaccess config.ini.example .env.example crontab.txt README.md CHANGELOG.md LICENSE docs \
        dist/jobs
    "$python" jobs.py config example --short >dist/jobs/config.ini.short
    (
        cd dist/jobs
        rm -rf vendor/bin docs/generate docs/dev
        # no link leads to a page that is not here
        sed -i -E 's/\[([^]]*)\]\((docs\/)?(dev\/[a-z]+|CONTRIBUTING)\.md(#[^)]*)?\)/\1/g' \
            README.md CHANGELOG.md docs/*.md
        # of install.sh, which is not here either
        sed -i -e 's|^./install.sh demo  |python3 jobs.py demo|; /^.\/install.sh /d' \
            -e '/^On two processors/,/^$/d' README.md
        find . -name __pycache__ -prune -exec rm -rf {} +
        find . -type d -exec chmod 755 {} + -o -exec chmod 644 {} +
        "$python" -c 'import glob, hashlib
for path in sorted(glob.glob("jobs_lib/**/*.py", recursive=True) + glob.glob("vendor/**/*.py", recursive=True)):
    print(hashlib.sha256(open(path, "rb").read()).hexdigest(), "", path)' >jobs_lib/modules.txt
    )
    rm -f "$zip"
    "$python" -m zipfile -c "$zip" dist/jobs
    say "Made $zip. Upload it beside public_html and extract it there: that makes the folder jobs." \
        "Next: docs/install.md."
}

# --- A host

# set_up [--with LIST]
set_up() {
    with=''
    case ${1:-} in
        --with=*) with=${1#--with=} ;;
        --with)
            [ $# -gt 1 ] || wrong_word "--with: expected a list after it, such as mysql,rq"
            with=$2
            shift
            ;;
    esac
    [ $# -le 1 ] || wrong_word "unexpected argument: $2"
    extras=$(extras "$with") || exit 2
    cd "$home"
    [ -w . ] || die "user $(id -un) cannot write to $home: run it as the user that owns the folder, or give" \
        "the folder to this user"
    umask 077
    find_python
    packages
    say "Python: $version ($python)"
    mkdir -p var
    chmod 700 var
    say "Folders: var is private"
    configuration
    database
    next_steps
}

# extras LIST: the words of the list and of former installations, one a line. What is always installed is none.
extras() {
    for word in $(say "$1" | tr ',' ' '); do
        case $word in
            mysql | domains) ;;
            rq | celery) say "$word" ;;
            *)
                warn "--with $word: expected mysql, domains, rq or celery"
                exit 2
                ;;
        esac
    done
    cat "$home/.venv/.with" "$home/vendor/.with" 2>/dev/null || true
}

# What the workers need, of requirements-workers.txt: `rq redis` for RQ, `celery redis` for Celery.
worker_packages() {
    for word in $extras; do
        grep -E "^($word|redis)[<>=]" requirements-workers.txt | sed 's/ *#.*//'
    done | sort -u
}

# Into .venv, or into vendor/ where Python came without its venv module. $python becomes the one to use. A system's own
# Python is left alone: Debian refuses to install into it ("externally-managed").
packages() {
    extras=$(say "$extras" | sort -u)
    more=$(worker_packages)
    wanted=$({ cat requirements-bundle.txt; say "$python $version $more"; } | cksum)
    if has_venv "$python"; then
        # One made for a Python that the host has since replaced does not start any more, and one that was killed while
        # it was made has no pip.
        if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
            rm -rf .venv
            "$python" -m venv .venv
        fi
        python=$home/.venv/bin/python
        fill .venv "$python" -m pip install
    elif "$python" -m pip --version >/dev/null 2>&1; then
        mkdir -p vendor
        fill vendor "$python" -m pip install --upgrade --target vendor
    else
        warn "$python has neither the venv module nor pip, so no package was installed (Debian: apt-get install" \
            "python3-venv). $NEEDED"
    fi
}

NEEDED='SQLite needs none; MySQL needs PyMySQL, a .env file python-dotenv.'

# fill FOLDER PIP...: installs, unless the same was installed there before. Of the packages of the bundle only the files
# whose hashes are known.
fill() {
    folder=$1
    shift
    if [ "$(cat "$folder/.installed" 2>/dev/null)" = "$wanted" ]; then
        say "Packages: $folder is up to date"
    elif pip_install "$@" --require-hashes -r requirements-bundle.txt && install_more "$@"; then
        say "$wanted" >"$folder/.installed"
        say "$extras" >"$folder/.with"
        say "Packages: installed into $folder"
    else
        warn "the packages could not be installed, for the reason above. $NEEDED Fix it and run this again."
    fi
}

install_more() {
    [ -n "$more" ] || return 0
    # shellcheck disable=SC2086  # a list of packages, each without a space
    pip_install "$@" $more
}

configuration() {
    if [ -f config.ini ]; then
        say "Configuration: config.ini already exists. \`$(start) config set\` changes a value; to be asked again," \
            "delete the file first"
    else
        "$python" jobs.py config example --short >config.ini.new
        mv config.ini.new config.ini
        say "Configuration: made a short config.ini; config.ini.example has all options, each explained"
        if [ -t 0 ] && [ -t 1 ]; then ask_values; fi
    fi
    chmod 600 config.ini
    if [ -f .env ]; then chmod 600 .env; fi
}

# The few values that no service can do without. Each is checked, and can be changed at any time.
ask_values() {
    printf '\n%s\n' "A few questions. Enter leaves a value as it is; \`jobs.py config set\` changes it at any time."
    ask mail.domain "The domain of your service, such as example.org"
    domain=$answer
    ask mail.from "The address that alerts come from and bounces of notices go to${domain:+, such as notices@$domain}"
    ask mail.host "Your mail relay, such as mail.example.org"
    ask mail.port "Its port (Enter: 587)"
    ask mail.security "Its encryption: starttls, tls for port 465, or none for one on this host (Enter: starttls)"
    ask mail.username "Your user name there"
    if [ -n "$answer" ]; then set_secret mail.password "Your password there"; fi
    ask core.app_url "Your web app, such as https://www.example.org, for links in mails"
    ask alerts.email "Your own address, for alerts"
    ask archive.store "Where old audit rows are archived, such as var/archives (Enter: they are deleted unarchived)"
    printf 'Is your database MySQL or MariaDB, not SQLite? [y/N] '
    read -r answer || answer=''
    case $answer in [yY]*) set_secret core.database "Its URL, mysql://user:password@localhost/name" \
        ", then run this again. For now SQLite is used" ;; esac
    say
}

# ask OPTION QUESTION: asks until the value can be, or is empty. Sets $answer.
ask() {
    while :; do
        printf '%s: ' "$2"
        read -r answer || answer=''
        if [ -z "$answer" ] || "$python" jobs.py config set "$1" "$answer"; then return; fi
    done
}

# set_secret OPTION QUESTION [MORE]: what is typed is not shown. Three attempts; then MORE is said.
set_secret() {
    say "$2. What you type is not shown."
    for _ in 1 2 3; do
        if "$python" jobs.py config set "$1"; then return; elif [ $? = 2 ]; then break; fi # Enter alone
    done
    warn "$1 is not set: \`$(start) config set $1\` asks again${3:-}"
}

database() {
    "$python" jobs.py migrate ||
        die "the database is not ready, for the reason above. Fix it and run this again." \
            "\`$(start) config set core.database\` asks for another one."
    say "Database: ready"
    found=$("$python" jobs.py config check 2>&1) || {
        say "$found" >&2
        die "correct config.ini as shown above, then run this again."
    }
    say "Configuration: $(say "$found" | tail -n 1)"
}

# How jobs.py is started by hand: by any Python of the version that has the packages.
start() {
    other=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || other=''
    if [ "$other" = "$version" ]; then say "python3 jobs.py"; else say "${python#"$home"/} jobs.py"; fi
}

next_steps() {
    jobs=$(start)
    [ "$jobs" = 'python3 jobs.py' ] || more=". On this host its \`python3 jobs.py\` is \`$jobs\`"
    cron="crontab                    the line for your host's cron page"
    if command -v crontab >/dev/null 2>&1; then cron='crontab --install          from then on cron runs the jobs'; fi
    cat <<END

Next:
  $jobs config check               what config.ini lacks, and why; \`config set\` changes it
  $jobs doctor                     is all else in order?
  $jobs mail test you@example.org  does mail leave?
  $jobs $cron
Continue with docs/install.md${more:-}.
END
}

# --- The tests

# What the tests talk to, and the Debian package it comes in: each test says so as program("cron", "cron").
programs() {
    say Mail::SRS=libmail-srs-perl
    grep -rhoE --include='*.py' --exclude-dir=benchmarks 'program\("[^"]+", "[^"]+"\)' "$home/tests" |
        sed -E 's/program\("(.*)", "(.*)"\)/\1=\2/'
}

is_there() {
    case $1 in
        *::*) perl "-M$1" -e 1 >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# The Debian packages of programs that tests want and that are not here. Nothing of this script installs them: the
# machine may serve mail, and another mail server would be removed by Postfix.
missing() {
    for pair in $(programs); do
        is_there "${pair%=*}" || say "${pair#*=}"
    done | sort -u
}

# How many tests run at once: some only wait, so one more than there are processors. Not where ARGS say otherwise.
parallel() {
    case " $* " in
        *" -n"* | *" --pdb "* | *" --co "* | *" --collect-only "* | *" -p no:xdist "*) return ;;
    esac
    say "-n $(($(getconf _NPROCESSORS_ONLN 2>/dev/null || say 1) + 1)) --dist worksteal"
}

# Sets $environment: kept outside the work tree, so that a fresh clone finds it again; one for each Python and
# each requirements-dev.txt.
test_environment() {
    find_python
    has_venv "$python" || die "$python has no venv module (Debian: apt-get install python$version-venv), and the tests" \
        "need packages. Name a Python that has it: PYTHON=/path/to/python3 $0 test"
    key=$({ cat "$home/requirements.txt" "$home/requirements-dev.txt"; "$python" -c \
        'import sys; print(sys.version, sys.executable)'; } | cksum | cut -d ' ' -f 1)
    cache=${XDG_CACHE_HOME:-$("$python" -c 'import os; print(os.path.expanduser("~"))')/.cache}/mail-jobs-tests
    environment=$home/.venv-test
    if mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]; then environment=$cache/python$version-$key; fi
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$environment.lock"
        flock 9
    fi
    if [ "$(cat "$environment/.installed" 2>/dev/null)" != "$key" ] || ! "$environment/bin/python" -c ''; then
        warn "making the test environment for Python $version in $environment"
        rm -rf "$environment"
        "$python" -m venv "$environment"
        pip_install "$environment/bin/python" -m pip install -r "$home/requirements-dev.txt" ||
            die "the packages of requirements-dev.txt could not be installed, for the reason above"
        say "$key" >"$environment/.installed"
    fi
    exec 9>&-
}

case ${1:-} in
    '' | --with | --with=*) set_up "$@" ;;
    demo)
        shift
        find_python
        exec "$python" "$home/jobs.py" demo "$@"
        ;;
    bundle)
        [ $# -le 2 ] || wrong_word "unexpected argument: $3"
        case ${2:-} in -*) wrong_word "bundle $2: expected the name of a zip" ;; esac
        bundle "${2:-}"
        ;;
    test)
        shift
        test_environment
        cd "$home"
        tier=''
        if [ "${1:-}" = --all ]; then shift; elif [ $# = 0 ]; then tier='not slow'; fi
        if [ $# = 0 ]; then
            set -- ${tier:+-m "$tier"}
            lacking=$(missing | tr '\n' ' ')
            if [ -n "$lacking" ]; then warn "this machine lacks ${lacking% }: tests that need them are left out"; fi
        fi
        # shellcheck disable=SC2046  # words
        exec "$environment/bin/python" -m pytest $(parallel "$@") "$@"
        ;;
    test-env)
        [ $# = 1 ] || wrong_word "unexpected argument: $2"
        test_environment
        say "$environment/bin/python"
        ;;
    missing)
        [ $# = 1 ] || wrong_word "unexpected argument: $2"
        missing
        ;;
    -h | --help | help) usage ;;
    *) wrong_word "there is no $1" ;;
esac
