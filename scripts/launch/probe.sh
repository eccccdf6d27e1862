# shellcheck shell=sh
# probe.sh - what `esmm train --hostfile` asks a host before it starts anything there, and at the end.
# The program carries this text. It runs on the host, read from standard input by
# `sh -s -- QUESTION ARGUMENT...`, so it is plain POSIX shell and needs nothing but cksum. ESMM_CPUINFO
# names another file than /proc/cpuinfo, for tests. Answers are lines:
#
#     problem TEXT       something that would make the job fail
#     data CKSUM         of the manifests of the data directories
#     checkpoint PATH    the newest one; summary.json follows
#     answered           the last line; without it the answer is not whole

problem() {
    printf 'problem %s\n' "$*"
}

# What the CPU lacks of FLAGS, each named as in /proc/cpuinfo. Nothing if that file does not tell.
lacks() { # FLAG...
    have=$(sed -n 's/^flags[^:]*:\(.*\)/\1 /p' "${ESMM_CPUINFO:-/proc/cpuinfo}" 2>/dev/null | head -n 1)
    for flag in "$@"; do
        case ${have:-" $flag "} in
        *" $flag "*) ;;
        *) printf ' %s' "$flag" ;;
        esac
    done
}

# MACHINE and FLAGS: what the launcher's program was built for. A program of this machine's own kind is
# asked itself.
check_program() { # PROGRAM VERSION MACHINE FLAGS
    machine=$(uname -m)
    lacking=
    # shellcheck disable=SC2086
    [ "$machine" != "$3" ] || lacking=$(lacks $4)
    if [ ! -e "$1" ]; then
        problem "no program $1"
    elif [ ! -f "$1" ] || [ ! -x "$1" ]; then
        problem "$1 cannot be executed"
    elif [ -n "$lacking" ]; then
        problem "this CPU cannot run $1: it lacks$lacking (as /proc/cpuinfo names them)"
    elif ! found=$("$1" --version </dev/null 2>&1); then
        [ "$machine" = "$3" ] || found="$found; this machine is $machine, the launcher's program is for $3"
        problem "$1 does not run: $found"
    elif [ "${found%%
*}" != "$2" ]; then
        problem "$1 is '${found%%
*}', the launcher's is '$2'"
    fi
}

check_data() { # DIR
    if [ ! -d "$1" ]; then
        problem "no data directory $1"
    elif [ ! -r "$1/manifest" ]; then
        problem "$1 has no readable manifest: is it a directory that esmm prep made?"
    else
        for file in "$1"/*; do
            if [ ! -r "$file" ]; then
                problem "cannot read $file"
                break
            fi
        done
    fi
}

# Whether something listens on a port is read from the kernel's table: no tool is everywhere.
check_port() { # PORT
    hex=$(printf '%04X' "$1")
    for table in /proc/net/tcp /proc/net/tcp6; do
        if [ -r "$table" ] && grep -qiE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A " "$table"; then
            problem "port $1 is taken; choose another --port-base"
            return
        fi
    done
}

host() { # PROGRAM VERSION MACHINE FLAGS DIRS DIR... PORT...
    check_program "$1" "$2" "$3" "$4"
    dirs=$5
    shift 5
    sums=
    unread=
    while [ "$dirs" -gt 0 ]; do
        if [ -r "$1/manifest" ]; then
            sums="$sums $(cksum <"$1/manifest")"
        else
            unread=yes
        fi
        check_data "$1"
        shift
        dirs=$((dirs - 1))
    done
    [ -z "$sums" ] || [ -n "$unread" ] || printf 'data%s\n' "$sums"
    for port in "$@"; do
        check_port "$port"
    done
    echo answered
}

# The run directory, and a marker in it that the hosts of servers are to see. It is there until the
# launcher says "keep", or is gone; then what was made here is not kept, if it is empty.
make() { # RUN MARKER RESUME
    made=
    [ -d "$1" ] || made=yes
    if ! why=$(mkdir -p "$1" 2>&1) || ! why=$( (: >"$1/$2") 2>&1); then
        problem "cannot write to the run directory $1: ${why##*: }"
    elif [ -e "$1/manifest" ]; then
        problem "$1 has a manifest: it holds shards or is a checkpoint; a run needs a directory of its own"
    elif [ "$3" = no ] && [ -e "$1/checkpoints/latest" ]; then
        problem "$1 already holds a run: give --resume to continue it, or another --out"
    fi
    echo answered
    trap '' HUP INT TERM
    read -r word
    rm -f "$1/$2"
    if [ "$word" != keep ] && [ -n "$made" ]; then
        rmdir "$1/logs" "$1" 2>/dev/null
    fi
}

shared() { # RUN MARKER
    for try in 1 2 3 4 5; do
        [ ! -e "$1/$2" ] || break
        [ "$try" = 5 ] || sleep 1
    done
    if [ ! -e "$1/$2" ]; then
        problem "does not see the run directory $1 of the coordinator's host; servers write their" \
            "parts of a checkpoint there, so it must be on a file system that these hosts share"
    elif ! why=$( (: >"$1/$2.$$") 2>&1); then
        problem "cannot write to the run directory $1: ${why##*: }"
    else
        rm -f "$1/$2.$$"
    fi
    echo answered
}

end() { # RUN
    if newest=$(readlink "$1/checkpoints/latest"); then
        printf 'checkpoint %s\n' "$1/checkpoints/$newest"
    fi
    cat "$1/summary.json" 2>/dev/null
    echo answered
}

# The last line, so that all of this has been read when it is run.
"$@"
