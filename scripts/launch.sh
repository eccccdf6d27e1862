#!/usr/bin/env bash
# Runs one training job across the machines of a hostfile, over ssh; docs/launch.md tells the rest:
#
#     scripts/launch.sh --hostfile FILE --data DIR --out RUN [--servers N] [--workers N] [options]
#
#   --hostfile FILE       lines 'host slots=N [addr=NAME]'; user@host; '#' begins a comment
#   --servers N           parameter servers (2)
#   --workers N           workers (2)
#   --data DIR            training shards, under this path on every host with a worker; may be given often
#   --stream DIR          instead: a directory that grows (docs/stream.md), shared by all these hosts
#   --eval DIR            shards to evaluate on, likewise
#   --out RUN             run directory; on hosts with servers it must be a shared one
#   --program PATH        esmm on the hosts (that of this tree)
#   --port-base P         the coordinator's port; servers take those after it (27500)
#   --ssh COMMAND         how to reach a host, e.g. 'ssh -F my.conf' (ssh)
#   --grace S             for the last checkpoint when stopped (300)
#   --dry-run             print what would be run on which host; run nothing
#
# Options as of esmm train: --conf --set --threads --epochs --batch --max-steps --seed --memory
# --checkpoint-every --timeout --deterministic --resume --trace.
#
# Exit code: 0 done, 1 failed, 2 wrong command line, 130 or 143 stopped by a signal, and saved.
# shellcheck source-path=SCRIPTDIR disable=SC2034,SC2317
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/launch/hosts.sh"
. "$here/launch/roles.sh"
. "$here/launch/check.sh"
. "$here/launch/report.sh"
. "$here/launch/watch.sh"

say() {
    printf '%s\n' "$*" >&2 || true
}
usage() {
    say "launch.sh: $*"
    exit 2
}

# --- options -------------------------------------------------------------------------------------
esmm=${ESMM:-$here/../build/release/esmm} # this machine's: knows and checks the job's options
hostfile='' data=() data_option=--data eval=() out='' program=''
servers=2 workers=2 threads=1 timeout_ms=60000
port_base=27500 grace_s=300
resume=no trace=no dry_run=no
ssh_text=ssh
job=() # options that make the configuration

absolute() { # PATH: sets REPLY
    case $1 in
    /*) REPLY=$1 ;;
    *) REPLY=$PWD/$1 ;;
    esac
}
number() { # OPTION VALUE LOWEST HIGHEST
    if ! [[ $2 =~ ^[0-9]{1,9}$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        usage "$1 is '$2', expected a number from $3 to $4"
    fi
}

declare -A given=()
once() { # OPTION: ends if it was given before
    [ -z "${given[$1]:-}" ] || usage "$1 is given twice"
    given[$1]=yes
}

while [ $# -gt 0 ]; do
    case $1 in
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
    esac
    case $1 in
    --data | --eval | --conf | --set) ;;
    --*) once "$1" ;;
    esac
    case $1 in
    --dry-run) dry_run=yes; shift; continue ;;
    --resume) resume=yes; shift; continue ;;
    --trace) trace=yes; shift; continue ;;
    --deterministic) job+=("$1"); shift; continue ;;
    -h | --help) sed -n '2,/^# Exit code/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --*) [ $# -ge 2 ] || usage "unknown option, or one whose value is missing: '$1'; see --help" ;;
    esac
    case $1 in
    --hostfile) hostfile=$2 ;;
    --servers) number "$1" "$2" 1 256; servers=$((10#$2)) ;;
    --workers) number "$1" "$2" 1 10000; workers=$((10#$2)) ;;
    --threads) number "$1" "$2" 1 64; threads=$((10#$2)) ;;
    --timeout) number "$1" "$2" 1 86400000; timeout_ms=$((10#$2)) ;;
    --port-base) number "$1" "$2" 1 65535; port_base=$((10#$2)) ;;
    --grace) number "$1" "$2" 1 86400; grace_s=$((10#$2)) ;;
    --data | --stream)
        [ ${#data[@]} = 0 ] || [ "$data_option" = "$1" ] || usage "--data and --stream exclude each other"
        absolute "$2"
        data+=("$REPLY") data_option=$1
        ;;
    --eval) absolute "$2"; eval+=("$REPLY") ;;
    --out) absolute "$2"; out=$REPLY ;;
    --program) absolute "$2"; program=$REPLY ;;
    --ssh) ssh_text=$2 ;;
    --conf | --set | --epochs | --batch | --max-steps | --seed | --memory | --checkpoint-every)
        job+=("$1" "$2") ;;
    *) usage "unknown option '$1'; see --help" ;;
    esac
    shift 2
done
[ -n "$hostfile" ] || usage "--hostfile is missing"
[ ${#data[@]} -gt 0 ] || usage "--data (or --stream) is missing: the directory of training shards"
[ -n "$out" ] || usage "--out is missing: the run directory"
[ -x "$esmm" ] || usage "no program at $esmm: build it, or set ESMM to where it is"
absolute "$esmm"
esmm=$(cd "$(dirname "$REPLY")" && pwd)/$(basename "$REPLY")
program=${program:-$esmm}

# Quotes in the ssh command are honoured; nothing in it is expanded.
words=$(xargs -n 1 printf '%s\n' <<<"$ssh_text" 2>/dev/null) || words=
[ -n "$words" ] || usage "--ssh '$ssh_text' is not a command"
mapfile -t ssh <<<"$words"
ssh+=(-T -x -a -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5
    -o ServerAliveCountMax=3 -o ControlPath=none)

# --- the job -------------------------------------------------------------------------------------
data_options=() eval_options=()
for directory in "${data[@]}"; do data_options+=("$data_option" "$directory"); done
for directory in "${eval[@]}"; do eval_options+=(--eval "$directory"); done
config=$("$esmm" coord --listen "tcp://*:$port_base" "${data_options[@]}" --out "$out" "${job[@]}" \
    --print-config) || exit 2
version=$("$esmm" --version)
read_hostfile "$hostfile"
place_roles
[ "$dry_run" = no ] || marker=.launch-MARKER
make_commands
if [ "$dry_run" = yes ]; then
    print_plan
    exit 0
fi

tmp=$(mktemp -d)
finish() {
    # A child that a signal meets before it has dropped this trap must not clean up for us.
    if [ "$BASHPID" = $$ ]; then
        rm -rf "$tmp"
    fi
}
trap finish EXIT
stop_signal='' stop_count=0
trap 'stop_signal=INT; stop_count=$((stop_count + 1))' INT
trap 'stop_signal=TERM; stop_count=$((stop_count + 1))' TERM
trap 'stop_signal=HUP; stop_count=$((stop_count + 1))' HUP
trap '' TSTP PIPE # a launcher that is suspended cannot hold its roles

out_made=no # on this machine
[ -d "$out" ] || out_made=yes
mkdir -p "$out/logs" 2>/dev/null || usage "cannot make $out/logs on this machine, for the logs"
check_hosts
write_config
show_placement
started=yes
watch_roles
report_end
