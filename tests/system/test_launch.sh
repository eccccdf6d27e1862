#!/bin/bash
# esmm train --hostfile, and scripts/launch.sh, across three "machines": network namespaces on a bridge, an sshd in each, one file
# system. The launcher has a namespace of its own, so nothing here touches this machine's network.
# shellcheck disable=SC2317  # functions that check and the trap call
set -euo pipefail
export LC_ALL=C
unset OPENBLAS_CORETYPE # which ssh does not pass on: the same code here and there, or the bits differ

skip() {
    echo "skipped: $*"
    exit 77
}
[ "$(id -u)" -eq 0 ] || skip "needs root, for network namespaces"
sshd=$(command -v sshd || echo /usr/sbin/sshd)
for tool in "$sshd" ssh ssh-keygen ip setsid; do
    command -v "$tool" >/dev/null || skip "needs $tool"
done
prefix=esmm$$
ip netns add "$prefix-l" 2>/dev/null || skip "this machine allows no network namespaces"
ip netns exec "$prefix-l" true 2>/dev/null || {
    ip netns delete "$prefix-l"
    skip "nothing can be mounted here (ip netns exec; a chroot, perhaps)"
}

base=$(mktemp -d)
work="$base/a job's files" # every path of the job has blanks and a quote in it
declare -A number=([alpha]=1 [beta]=2 [gamma]=3)
failures=0

clean() {
    local name
    for name in l "${!number[@]}"; do
        ip netns pids "$prefix-$name" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
        ip netns delete "$prefix-$name" 2>/dev/null || true
    done
    wait 2>/dev/null
    rm -rf "$base"
} 2>/dev/null
trap clean EXIT

# --- the machines --------------------------------------------------------------------------------

address() { # NAME
    echo "10.213.0.${number[$1]}"
}

make_network() {
    local name
    ip -n "$prefix-l" link set lo up
    ip -n "$prefix-l" link add bridge type bridge
    ip -n "$prefix-l" address add 10.213.0.254/24 dev bridge
    ip -n "$prefix-l" link set bridge up
    for name in "${!number[@]}"; do
        ip netns add "$prefix-$name"
        ip -n "$prefix-$name" link set lo up
        ip -n "$prefix-l" link add "$name" type veth peer name eth0 netns "$prefix-$name"
        ip -n "$prefix-l" link set "$name" master bridge up
        ip -n "$prefix-$name" address add "$(address "$name")/24" dev eth0
        ip -n "$prefix-$name" link set eth0 up
    done
}

# What is special about a machine is mounted where only it sees it: `ip netns exec` gives its command
# a mount namespace of its own. gamma has another esmm under odd/bin, no data under odd/data, and
# broken ones under odd/broken; beta does not share odd/run.
start_sshd() { # NAME
    local name=$1 special=':'
    case $name in
    beta) special="mount -t tmpfs none '$base/odd/run'" ;;
    gamma) special="mount --bind '$base/odd/old' '$base/odd/bin' && mount -t tmpfs none '$base/odd/data' &&
        mount -t tmpfs none '$base/odd/broken' && cp '$base/odd/data.manifest' '$base/odd/broken/manifest'" ;;
    esac
    cat >"$base/ssh/$name.conf" <<END
ListenAddress $(address "$name")
Port 22
HostKey $base/ssh/host
AuthorizedKeysFile $base/ssh/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
END
    ip netns exec "$prefix-$name" sh -c "$special && exec '$sshd' -D -e -f '$base/ssh/$name.conf'" \
        </dev/null 2>"$base/ssh/$name.log" &
}

make_machines() {
    local name
    mkdir -p /run/sshd "$base/ssh" "$base/odd"/{run,bin,old,data,broken}
    ssh-keygen -q -t ed25519 -N '' -f "$base/ssh/host"
    ssh-keygen -q -t ed25519 -N '' -f "$base/ssh/user"
    printf '#!/bin/sh\necho esmm 0.0.7\n' >"$base/odd/old/esmm"
    chmod +x "$base/odd/old/esmm"
    cp "$ESMM" "$base/odd/bin/esmm"
    cp "$work/train/"* "$base/odd/data"
    cp "$work/train/"* "$base/odd/broken"
    cp "$work/train/manifest" "$base/odd/data.manifest"
    make_network
    cat >"$base/ssh/config" <<END
Host *
    User root
    IdentityFile $base/ssh/user
    IdentitiesOnly yes
    UserKnownHostsFile $base/ssh/known
    GlobalKnownHostsFile none
    KexAlgorithms curve25519-sha256
    StrictHostKeyChecking yes
END
    for name in "${!number[@]}"; do
        echo "$(address "$name") $(cut -d' ' -f1-2 "$base/ssh/host.pub")" >>"$base/ssh/known"
        printf 'Host %s\n    HostName %s\n' "$name" "$(address "$name")" >>"$base/ssh/config"
        start_sshd "$name"
    done
    printf 'Host delta\n    HostName 10.213.0.9\n' >>"$base/ssh/config"
    cat >"$base/hosts" <<END
# three machines
alpha slots=1 addr=$(address alpha)

root@beta slots=2 addr=$(address beta)   # a user, too
gamma slots=1 addr=$(address gamma)
END
}

esmm_left() { # are there processes of esmm in the namespaces?
    local name pid
    for name in "${!number[@]}"; do
        for pid in $(ip netns pids "$prefix-$name"); do
            case $(readlink "/proc/$pid/exe") in
            */esmm) return 0 ;;
            esac
        done
    done
    return 1
}
none_left() { ! esmm_left; }
none_soon() { within 10 none_left; }

pid_of() { # NAME ROLE [INDEX]: of the role itself, not of its tether
    local pid words
    for pid in $(ip netns pids "$prefix-$1"); do
        mapfile -d '' -t words <"/proc/$pid/cmdline" 2>/dev/null || continue
        if [ "${words[1]:-}" = "$2" ] && [[ -z ${3:-} || " ${words[*]} " == *" --index $3 "* ]]; then
            echo "$pid"
        fi
    done
}
parent_of() { # PID
    sed -n 's/^PPid:\t//p' "/proc/$1/status"
}

# --- launching and judging -----------------------------------------------------------------------

# shellcheck disable=SC2054
model=(--set model.tower=16,8 --set table.dim=4 --set net.heartbeat_ms=200 --batch 128)
forever=(--epochs 100000)

launch() { # OPTION...: to its end; sets rc
    rc=0
    ip netns exec "$prefix-l" timeout 60 "$REPO/scripts/launch.sh" \
        --ssh "${ssh_to:-ssh -F $base/ssh/config}" "$@" >"$base/out" 2>"$base/err" </dev/null || rc=$?
}

# In a process group of its own, as a terminal would have it, with the signals it would have; without
# the wrapper.
launch_behind() { # OPTION...: sets launcher
    setsid env --default-signal=INT,QUIT ip netns exec "$prefix-l" "$ESMM" train \
        --ssh "ssh -F $base/ssh/config" "$@" >"$base/out" 2>"$base/err" </dev/null &
    launcher=$!
}
finish() { # SECONDS: waits for the launcher; sets rc
    within "$1" launcher_ended || kill -KILL -- "-$launcher" 2>/dev/null || true
    rc=0
    wait "$launcher" 2>/dev/null || rc=$?
}
launcher_ended() { ! kill -0 "$launcher" 2>/dev/null; }

within() { # SECONDS COMMAND...: true as soon as it is
    local tries=$(($1 * 10))
    shift
    while ! "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
said() { grep -qE -- "$1" "$base/out" "$base/err"; }
not_said() { ! said "$1"; }
last_said() { tail -n 1 "$base/err" | grep -qE -- "$1"; }
steps_done() { # RUN: has the job trained something?
    grep -q '"step":[1-9]' "$1/metrics.jsonl" 2>/dev/null
}

check() { # WHAT COMMAND...
    if "${@:2}"; then
        echo "ok: $1"
    else
        echo "FAILED: $1"
        sed 's/^/    /' "$base/out" "$base/err" | tail -n 60
        failures=$((failures + 1))
    fi
}
begin() {
    echo "--- $* ($SECONDS s)"
}
key() { # FILE KEY
    sed -n "s/^ *\"$2\": \(.*[^,]\),\{0,1\}\$/\1/p" "$1" | head -n 1
}

# --- data ----------------------------------------------------------------------------------------

mkdir -p "$work"
"$ESMM" synth --impressions 8000 --holdout 2000 --seed 1 --out "$work/log" >/dev/null
for part in train eval; do
    "$ESMM" prep --format aliccp --skeleton "$work/log/$part/sample_skeleton.csv" \
        --common "$work/log/$part/common_features.csv" --shard-impressions 1000 --out "$work/$part" \
        >/dev/null
done
cp -r "$work/eval" "$work/more"
make_machines
data=(--data "$work/train" --data "$work/more")
all=(--hostfile "$base/hosts" "${data[@]}" --servers 2 --workers 2 "${model[@]}")
eval=(--eval "$work/eval")

begin "the command line"
ssh_to="$base/no such ssh" launch "${all[@]}" --out "$work/none" --dry-run --port-base 27800
check "--dry-run ends well and runs nothing" test "$rc" -eq 0
check "it shows where roles go" said '^# root@beta \(2 slots\): ps-1 worker-1$'
check "it shows the server's command" said "tether --lifeline 120 --grace 300 ps --coord tcp://10.213.0.1:27800 --index 1 --listen '\\\\''tcp://\*:27801'\\\\'' --advertise 10.213.0.2 "
check "it makes nothing" test ! -e "$work/none"
launch --hostfile "$base/hosts" --data "$work/train" --servers 2 --out "$work/none" --workers 3
check "too few slots" test "$rc" -eq 2
check "are counted" last_said 'need 5 slots; .*has 4$'
echo "omega slot=4" >>"$base/hosts"
launch "${all[@]}" --out "$work/none"
check "a bad line of the hostfile" test "$rc" -eq 2
check "is named" last_said "/hosts:[0-9]+: 'slot=4' is not understood"
sed -i '$d' "$base/hosts"
launch "${all[@]}" --out "$work/none" --workers 3
check "an option given twice is named" last_said "^esmm train: --workers is given twice: '2', then '3'"
launch "${all[@]}" --out "$work/none" --set train.batsh=3
check "a wrong key is found before anything is started" test "$rc" -eq 1

begin "a whole job, the same as on one machine"
for name in alpha beta gamma; do
    within 10 ip netns exec "$prefix-l" ssh -F "$base/ssh/config" -n "$name" true 2>"$base/err" || {
        cat "$base/err" "$base/ssh/$name.log"
        exit 1
    }
done
launch "${all[@]}" "${eval[@]}" --out "$work/run" --deterministic --epochs 2 --trace
check "ends well" test "$rc" -eq 0
check "no process is left" none_left
check "logs have the host's tag" said '^\[beta ps-1\] .* info ps-1 serving'
check "logs are kept" grep -q 'all roles are there' "$work/run/logs/coord-0.log"
check "traces are written" grep -q . "$work/run/logs/trace-0.tsv" "$work/run/logs/trace-1.tsv"
check "the summary is shown" said '^trained [0-9]+ impressions in .* final loss [0-9]\.'
"$ESMM" train "${data[@]}" "${eval[@]}" --out "$work/local" "${model[@]}" --deterministic \
    --epochs 2 >"$base/local.out" 2>&1
for k in status impressions steps auc_ctr auc_ctcvr rows_created; do
    check "as on one machine: $k" test "$(key "$work/run/summary.json" "$k")" = \
        "$(key "$work/local/summary.json" "$k")"
done
same_parts() { # of the newest checkpoints
    local part
    for part in "$work/local/checkpoints/latest"/part-*; do
        cmp "$part" "$work/run/checkpoints/latest/${part##*/}" || return 1
    done
}
check "as on one machine: every byte of the checkpoint" same_parts
launch "${all[@]}" --out "$work/run"
check "nothing of the launcher is left" test -z "$(find "$work/run" -name '.launch*' -o -name launch.lock)"
check "a second job in its place is refused" test "$rc" -eq 1
check "before anything is started" said 'alpha: .*already holds a run: give --resume'

begin "a complete job is resumed"
cp "$work/run/summary.json" "$base/summary.before"
since=$SECONDS
launch "${all[@]}" "${eval[@]}" --out "$work/run" --deterministic --epochs 2 --resume
check "ends well" test "$rc" -eq 0
check "without waiting for roles that have nothing to do" test $((SECONDS - since)) -lt 12
check "it says that nothing is left" said '/run holds a complete run: nothing is left to train. More --epochs'
check "and shows no training" test "$(grep -c '^trained ' "$base/out")" = 0
check "the summary is left alone" cmp "$work/run/summary.json" "$base/summary.before"
check "no process is left" none_left

begin "a stream is followed while it grows"
"$ESMM" synth --impressions 4000 --ctr 0.3 --cvr 0.2 --days 2 --seed 1 --out "$work/days" >/dev/null
"$ESMM" prep --format csv --schema "$work/days/train/log.schema" --input "$work/days/train/log.csv" --out "$work/log-shards" \
    >/dev/null
"$ESMM" records --data "$work/log-shards" --stream es-dfm --attribution 86400 --pause 100 --out "$work/stream" >/dev/null &
records=$!
within 10 test -e "$work/stream/manifest"
launch --hostfile "$base/hosts" --stream "$work/stream" --out "$work/followed" --servers 2 --workers 2 "${model[@]}" \
    --set model.delay=es-dfm
wait "$records"
check "ends well" test "$rc" -eq 0
check "after the last shard" test "$(key "$work/followed/summary.json" impressions)" = \
    "$("$ESMM" inspect "$work/stream" --json | tr ',' '\n' | sed -n 's/.*"impressions": *\([0-9]*\).*/\1/p' | head -n 1)"
check "no process is left" none_left

begin "everything that is wrong is told at once"
sed "1idelta slots=4 addr=10.213.0.9" "$base/hosts" >"$base/hosts.down"
launch --hostfile "$base/hosts.down" --data "$work/train" --out "$base/odd/none" --servers 2 --workers 2 \
    --set server.threads=2
check "an unreachable host" said '^  delta: not reachable: .*10\.213\.0\.9 port 22'
check "fails the launch" test "$rc" -eq 1
launch --hostfile "$base/hosts" --data "$base/odd/data" --out "$base/odd/run/x" --servers 2 --workers 2 \
    --program "$base/odd/bin/esmm" --port-base 21
check "another version" said "^  gamma: .*/odd/bin/esmm is 'esmm 0.0.7', the launcher's is 'esmm [0-9.]+'"
check "missing data" said '^  gamma: .*/odd/data has no readable manifest'
check "a run directory that is not shared" said '^  root@beta: does not see the run directory'
check "a port that is taken" said '^  alpha: port 22 is taken'
check "are counted" last_said 'nothing was started: 5 problems'
check "nothing was started" none_left
check "nothing is left in the run directory" test ! -e "$base/odd/run/x"

begin "a worker is killed, another loses its connection, then Ctrl-C"
launch_behind "${all[@]}" --out "$work/ctrlc" "${forever[@]}"
check "the job trains" within 30 steps_done "$work/ctrlc"
kill -KILL "$(pid_of gamma worker 0)"
check "the killed worker is started again" within 15 said '^\[gamma worker-0\] was killed by signal 9 \(KILL\); started again \(restart 1\)'
session=$(parent_of "$(parent_of "$(pid_of beta worker 1)")")
kill -KILL "$session"
check "so is the one without connection" within 30 said '^\[beta worker-1\] lost its connection: .*; started again \(restart 1\)'
check "which removes the old process first" within 15 said '^\[beta worker-1\] .* runs this worker still: killing it'
back() { [ "$(grep -c "coord worker $1: host" "$work/ctrlc/logs/coord-0.log")" -eq 2 ]; }
check "the coordinator takes the one back" within 20 back 0
check "and the other" within 20 back 1
kill -INT -- "-$launcher"
finish 30
check "Ctrl-C ends with 130" test "$rc" -eq 130
check "a checkpoint is saved" test -s "$work/ctrlc/checkpoints/latest/manifest"
check "and named" said "^checkpoint: .*/checkpoints/step-[0-9]+$"
check "no process is left" none_left

begin "a server is killed, then the coordinator"
launch_behind "${all[@]}" --out "$work/ctrlc" "${forever[@]}" --resume
check "the stopped job goes on" within 30 said 'resuming from .*/checkpoints/step-'
check "and trains" within 30 said 'all roles are there'
kill -KILL "$(pid_of alpha ps 0)"
check "the server is started again" within 15 said '^\[alpha ps-0\] was killed by signal 9 \(KILL\); started again \(restart 1\)'
check "all go back to the checkpoint" within 30 said 'training goes on after [0-9.]+ s, from step'
kill -KILL "$(pid_of alpha coord)"
check "the coordinator is started again" within 15 said '^\[alpha coord-0\] was killed by signal 9 \(KILL\); started again \(restart 1\)'
check "and takes the job over" within 15 said 'taking over job'
kill -INT -- "-$launcher"
finish 30
check "Ctrl-C ends with 130" test "$rc" -eq 130
check "no process is left" none_left

begin "a worker fails"
launch --hostfile "$base/hosts" --data "$base/odd/broken" --servers 2 --workers 2 "${model[@]}" --out "$work/fails" "${forever[@]}"
check "and the launch with it" test "$rc" -eq 1
check "the cause comes last" last_said '^esmm train: \[gamma worker-0\] ended with exit code 3: .*/odd/broken/shard-.*; its log: .*/worker-0.log; newest checkpoint: '
check "what the others did is saved" test -s "$work/fails/checkpoints/latest/manifest"
check "no process is left" none_left

begin "the launcher itself is killed"
launch_behind "${all[@]}" --out "$work/orphan" "${forever[@]}" --lifeline 2
check "the job trains" within 30 steps_done "$work/orphan"
kill -KILL "$launcher"
finish 1
check "the roles end" none_soon
check "and save what they have" test -s "$work/orphan/checkpoints/latest/manifest"

begin "TERM"
launch_behind "${all[@]}" --out "$work/term" "${forever[@]}" --set server.threads=2
check "the job trains" within 30 steps_done "$work/term"
kill -TERM "$launcher"
finish 30
check "ends with 143" test "$rc" -eq 143
check "a checkpoint is saved" test -s "$work/term/checkpoints/latest/manifest"
check "no process is left" none_left

echo "$SECONDS s"
exit $((failures > 0))
