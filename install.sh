#!/bin/sh
cr=$(printf '\r'); if grep -q "$cr\$" "$0"; then tr -d '\r' <"$0" >"$0.lf" && mv "$0.lf" "$0" && exec sh "$0" "$@"; fi # an upload may have made CRLF of the line ends
#
# Sets a host up, tries the jobs out, runs the tests: see usage below. POSIX sh, from any folder, safe to repeat.
# Every thing that is missing gets one sentence; only what cannot go on without it stops.
set -eu

PATH=${PATH:-/usr/bin:/bin}:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
export PATH
home=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)

usage() {
    cat <<END
./install.sh              set up this host: packages, private folders, config.ini, database; prints the crontab
./install.sh demo [ARGS]  a sample service in a folder of its own, real runs, everything shown; changes nothing else
./install.sh bundle [ARGS]  get the packages, and make one zip of all that a host without a shell needs
./install.sh test [ARGS]  run the tests in an environment of their own; ARGS go to pytest
./install.sh test-env     only make that environment, and print the path of its Python

PYTHON=/path/to/python3   which Python to use; otherwise the newest one found (3.9 or later)
END
}

say() { printf '%s\n' "$*"; }
warn() { printf 'install.sh: %s\n' "$*" >&2; }
die() { warn "$*"; exit 1; }

# --- Python

# The newest of them is not always called python3; hosts with CloudLinux keep theirs in /opt/alt.
candidates() {
    if [ -n "${PYTHON:-}" ]; then
        say "$PYTHON"
        return
    fi
    for name in python3 /usr/bin/python3 /usr/local/bin/python3 python3.15 python3.14 python3.13 python3.12 \
        python3.11 python3.10 python3.9 /opt/alt/python3*/bin/python3; do
        say "$name"
    done
}

# Sets $python and $version (such as 3.13).
find_python() {
    judge='import sys
if sys.version_info < (3, 9): sys.exit("is Python %d.%d" % sys.version_info[:2])
try: import sqlite3
except ImportError: sys.exit("has no sqlite3 module")
print("%d%02d %d.%d %s" % (sys.version_info[:2] * 2 + (sys.executable,)))'
    python='' best=0 refused='' names=$(candidates)
    while IFS= read -r name; do
        path=$(command -v "$name" 2>/dev/null) || continue
        if found=$("$path" -c "$judge" 2>&1); then
            rank=${found%% *} found=${found#* }
            if [ "$rank" -gt "$best" ]; then
                best=$rank version=${found%% *} python=${found#* }
            fi
        else
            refused="$refused; $name $(say "$found" | tail -n 1)"
        fi
    done <<END
$names
END
    [ -n "$python" ] || die "needs Python 3.9 or later with its sqlite3 module, and found none${refused}." \
        "If there is one by another name, say PYTHON=/path/to/python3 $0"
}

has_venv() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }

pip_install() { "$@" --quiet --disable-pip-version-check --no-input; }

# --- A host

set_up() {
    cd "$home"
    umask 077
    find_python
    packages
    say "Python: $version ($python)"
    folders
    configuration
    database
    printf "\nCrontab: these lines go to your host's cron page, or into \`crontab -e\`.\n\n"
    "$python" jobs.py crontab
}

# Into .venv, or into vendor/ where Python came without its venv module. $python becomes the one to use.
packages() {
    wanted=$({ cat requirements.txt; say "$python $version"; } | cksum)
    if has_venv "$python"; then
        # One made for a Python that the host has since replaced does not start any more.
        if ! .venv/bin/python -c '' 2>/dev/null; then
            rm -rf .venv
            "$python" -m venv .venv
        fi
        python=$home/.venv/bin/python
        fill .venv "$python" -m pip install -r requirements.txt
    elif "$python" -m pip --version >/dev/null 2>&1; then
        mkdir -p vendor
        fill vendor "$python" -m pip install --upgrade --target vendor -r requirements.txt
    else
        warn "$python has neither the venv module nor pip, so no package was installed (Debian: apt-get install" \
            "python3-venv). SQLite needs none; MySQL needs PyMySQL, a .env file python-dotenv."
    fi
}

# fill FOLDER COMMAND...: installs, unless the same was installed there before.
fill() {
    folder=$1
    shift
    if [ "$(cat "$folder/.installed" 2>/dev/null)" = "$wanted" ]; then
        say "Packages: $folder is up to date"
    elif pip_install "$@"; then
        say "$wanted" >"$folder/.installed"
        say "Packages: installed into $folder"
    else
        warn "the packages could not be installed, for the reason above. SQLite needs none; MySQL needs PyMySQL," \
            "a .env file python-dotenv. Fix it and run this again."
    fi
}

folders() {
    mkdir -p var
    chmod 700 var
    say "Folders: var is private"
}

configuration() {
    if [ -f config.ini ]; then
        say "Configuration: config.ini is there already"
    else
        cp config.ini.example config.ini
        say "Configuration: made config.ini from config.ini.example; every option is explained in it"
    fi
    chmod 600 config.ini
    if [ -f .env ]; then chmod 600 .env; fi
}

database() {
    "$python" jobs.py migrate || die "the database is not ready, for the reason above. Fix it and run this again."
    say "Database: ready"
    "$python" jobs.py config check || die "edit config.ini as said above, then run this again."
}

# --- The tests

can_apt() { command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }

# What the tests talk to, and the Debian package it comes in: each test says so as program("cron", "cron").
# Only a module of Perl, `A::B`, stands here.
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

# Each missing program is named, and installed where we may.
get_programs() {
    missing=''
    for pair in $(programs); do
        package=${pair#*=}
        is_there "${pair%=*}" || case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
    done
    case $python in
        /usr/bin/python3 | /usr/bin/python3.*) has_venv "$python" || missing="$missing python$version-venv" ;;
    esac
    if [ -z "$missing" ]; then
        return
    elif can_apt; then
        warn "installing$missing"
        # shellcheck disable=SC2086  # a list of names
        apt_install $missing || warn "apt-get could not install$missing, for the reason above; tests that need it will say so"
    else
        warn "not installed:$missing (Debian names); tests that need it will say so"
    fi
}

# The packages that run on every Python that we do, whichever makes the bundle, and of those only the files whose
# hashes are known; then `jobs.py bundle` does the rest.
bundle() {
    cd "$home"
    find_python
    mkdir -p dist
    pip=$python
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        has_venv "$python" || die "$python has neither pip nor the venv module, and the packages are got by pip" \
            "(Debian: apt-get install python3-venv)"
        [ -x dist/pip/bin/python ] || "$python" -m venv dist/pip
        pip=dist/pip/bin/python
    fi
    rm -rf dist/packages
    pip_install "$pip" -m pip install --target dist/packages --python-version 3.9 --only-binary :all: --no-deps \
        --require-hashes -r requirements-bundle.txt ||
        die "the packages could not be fetched, for the reason above"
    exec "$python" jobs.py bundle --packages dist/packages "$@"
}

# Without a question, and without starting a service: the tests start servers of their own.
apt_install() {
    root=''
    [ "$(id -u)" = 0 ] || root='sudo -n'
    $root sh -s -- "$@" <<'END' >&2
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi
apt-get update -qq
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
END
}

# Sets $environment: kept outside the work tree, so that a fresh clone finds it again; one for each Python and
# each requirements-dev.txt.
test_environment() {
    find_python
    get_programs
    has_venv "$python" || die "$python has no venv module (Debian: apt-get install python$version-venv), and the tests" \
        "need packages. Name a Python that has it: PYTHON=/path/to/python3 $0 test"
    key=$({ cat "$home/requirements.txt" "$home/requirements-dev.txt"; "$python" -c \
        'import sys; print(sys.version, sys.executable)'; } | cksum | cut -d ' ' -f 1)
    cache=${XDG_CACHE_HOME:-$("$python" -c 'import os; print(os.path.expanduser("~"))')/.cache}/mail-jobs-tests
    if mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]; then
        environment=$cache/python$version-$key
    else
        environment=$home/.venv-test
    fi
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
    '') set_up ;;
    demo)
        shift
        find_python
        exec "$python" "$home/jobs.py" demo "$@"
        ;;
    bundle)
        shift
        bundle "$@"
        ;;
    test)
        shift
        test_environment
        cd "$home"
        exec "$environment/bin/python" -m pytest "$@"
        ;;
    test-env)
        test_environment
        say "$environment/bin/python"
        ;;
    -h | --help | help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
