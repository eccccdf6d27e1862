# lib.sh - what the system tests share: a scratch directory, data, jobs, and checks that name the
# step that failed. Needs $ESMM. Not a test of its own.
#
# Every job runs with TMPDIR in the scratch directory, so that `no_leftovers` can see socket
# directories, and with the scratch directory in its command line, so that it can see processes.
set -u
dir=$(mktemp -d "${TMPDIR:-/tmp}/esmm-system-XXXXXX")
export TMPDIR=$dir/tmp
mkdir -p "$TMPDIR"
step_name="start"
began=$SECONDS

cleanup() {
    local code=$? pids
    pids=$(processes)
    [ -n "$pids" ] && kill -9 $pids 2>/dev/null
    rm -rf "$dir"
    exit "$code"
}
trap cleanup EXIT

# Processes of this test, a pid and its command line each: those that name its scratch directory.
process_lines() {
    local p words
    for p in /proc/[0-9]*; do
        words=()
        mapfile -d '' -t words <"$p/cmdline" || continue
        case "${words[0]:-} ${words[*]:1}" in
        *esmm\ *"$dir"*) echo "${p#/proc/} esmm ${words[*]:1}" ;;
        esac
    done 2>/dev/null
}
processes() {
    process_lines | cut -d ' ' -f 1
}

step() {
    step_name=$*
    printf '%3d s  %s\n' $((SECONDS - began)) "$*"
}

die() {
    echo "FAILED in step '$step_name': $*"
    if [ -s "$dir/out" ]; then
        echo "--- what the command said:"
        tail -n 20 "$dir/out"
    fi
    local log
    for log in "$dir"/*/logs/*.log; do
        if [ "$log" -nt "$dir/out" ] 2>/dev/null || [ -n "${SHOW_LOGS:-}" ]; then
            echo "--- $log"
            tail -n 5 "$log"
        fi
    done
    exit 1
}

# Runs a command that must succeed; what it says is in $dir/out.
ok() {
    "$@" >"$dir/out" 2>&1 </dev/null || die "exit code $? of: $*"
}

# expect CODE command...: the command must end with that exit code.
expect() {
    local want=$1 code=0
    shift
    "$@" >"$dir/out" 2>&1 </dev/null || code=$?
    [ "$code" = "$want" ] || die "exit code $code, expected $want, of: $*"
}

# says PATTERN...: the last command said each (extended regular expression).
says() {
    local pattern
    for pattern in "$@"; do
        grep -Eq -- "$pattern" "$dir/out" || die "it did not say '$pattern'"
    done
}

# equal WHAT A B
equal() {
    [ "$2" = "$3" ] || die "$1: '$2', expected '$3'"
}

# The same files with the same bytes.
same_tree() {
    diff -r "$1" "$2" >"$dir/diff" 2>&1 || die "$1 and $2 differ: $(head -n 3 "$dir/diff")"
}

# wait_until SECONDS WHAT command...: polls until the command succeeds.
wait_until() {
    local left=$(($1 * 50)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || die "waited in vain for: $what"
        sleep 0.02
    done
}

# number FILE KEY [n]: the n-th (first) number under the key in a JSON file of ours.
number() {
    grep -oE "\"$2\": ?[-0-9.e+]+" "$1" | sed -n "${3:-1}s/.*: *//p"
}
# The same for "text".
text() {
    grep -oE "\"$2\": ?\"[^\"]*\"" "$1" | head -n 1 | sed 's/.*: *"//; s/"$//'
}

# make_data NAME IMPRESSIONS SEED [esmm prep options]: shards in $dir/NAME, raw log in $dir/NAME.raw.
make_data() {
    local name=$1 impressions=$2 seed=$3
    shift 3
    ok "$ESMM" synth --impressions "$impressions" --seed "$seed" --users 1500 --items 3000 \
        --ctr 0.1 --cvr 0.1 --out "$dir/$name.raw"
    ok "$ESMM" prep --format aliccp --skeleton "$dir/$name.raw/train/sample_skeleton.csv" \
        --common "$dir/$name.raw/train/common_features.csv" --out "$dir/$name" "$@"
}

# A model small enough to be quick, and timing that finds the dead within seconds.
small=(--set model.tower=16,8 --set table.dim=4 --set train.batch=256)
prompt=(--set net.heartbeat_ms=100 --set net.request_ms=500 --set net.lease_ms=2000
    --set net.give_up_ms=4000)

# hosts_here: `here` is what makes esmm train run on the host of a hostfile: this machine, reached by a
# shell that stands for ssh.
hosts_here() {
    printf '#!/bin/sh\nfor last in "$@"; do :; done\nexec sh -c "$last"\n' >"$dir/ssh-here"
    chmod +x "$dir/ssh-here"
    echo "localhost slots=8" >"$dir/hosts"
    here=(--hostfile "$dir/hosts" --ssh "$dir/ssh-here" --port-base $((20000 + $$ % 1000 * 10)))
}

# What train and train_start train on.
train_on=(--data "$dir/data")
# train_start OUT options...: esmm train in the background; its pid in $job, output in $dir/out.
train_start() {
    local out=$1
    shift
    "$ESMM" train "${train_on[@]}" --out "$dir/$out" "${small[@]}" "${prompt[@]}" "$@" \
        >"$dir/out" 2>&1 </dev/null &
    job=$!
}
# train OUT options...: the same, waited for; must succeed.
train() {
    local out=$1
    shift
    ok "$ESMM" train "${train_on[@]}" --out "$dir/$out" "${small[@]}" "${prompt[@]}" "$@"
}
# ends CODE SECONDS: the job in the background ends with that code within so many seconds.
ends() {
    local left=$(($2 * 20)) code=0
    {   # quietly: bash has its own words for the killed
        while [ "$left" -gt 0 ] && kill -0 "$job"; do
            left=$((left - 1))
            sleep 0.05
        done
        [ "$left" -gt 0 ] || die "still running after $2 s, expected exit code $1" 2>&1
        wait "$job" || code=$?
    } 2>/dev/null
    [ "$code" = "$1" ] || die "exit code $code, expected $1"
}

# find_roles WORKERS [SERVERS]: pids of the job's roles, once so many are there, in $coord, ${ps[I]}, ${worker[I]}.
find_roles() {
    local left=500 pid name role rest
    while [ "$left" -gt 0 ]; do
        coord= ps=() worker=()
        while read -r pid name role rest; do
            case $role in
            coord) coord=$pid ;;
            ps) rest=${rest#*--index }; ps[${rest%% *}]=$pid ;;
            worker) rest=${rest#*--index }; worker[${rest%% *}]=$pid ;;
            esac
        done < <(process_lines)
        [ "${#worker[@]}" = "$1" ] && [ "${#ps[@]}" -ge "${2:-1}" ] && [ -n "$coord" ] && return
        left=$((left - 1))
        sleep 0.02
    done
    die "$1 workers did not start"
}

has_checkpoint() {
    [ -e "$dir/$1/checkpoints/latest/manifest" ]
}
# The newest checkpoint of a run, and its step.
newest() {
    ls -d "$dir/$1"/checkpoints/step-* | grep -v '\.tmp$' | tail -n 1
}
newest_step() {
    local name
    name=$(newest "$1")
    echo $((10#${name##*/step-}))
}

no_process() {
    [ -z "$(processes)" ]
}
no_leftovers() {
    wait_until "${1:-1}" "all processes to be gone" no_process
    local left
    left=$(ls "$TMPDIR")
    equal "left over in TMPDIR" "$left" ""
}

dump() {
    ok "$ESMM" export "$dir/$1" --format dump --out "$dir/$2"
}
npy() {
    ok "$ESMM" export "$dir/$1" --format npy --out "$dir/$2"
}
