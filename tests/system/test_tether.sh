#!/bin/bash
# A role under `esmm tether` ends with its connection, whatever happens to launcher, role or tether.
# shellcheck disable=SC2317  # functions that check calls
set -euo pipefail
dir=$(mktemp -d)
trap 'kill -KILL $(jobs -p) 2>/dev/null || true; rm -rf "$dir"' EXIT
failures=0
check() { # WHAT CONDITION...
    if "${@:2}"; then
        echo "ok: $1"
    else
        echo "FAILED: $1"
        cat "$dir/log"
        failures=$((failures + 1))
    fi
}

# A server that waits for its coordinator lives long and needs nothing. Sets tether, role, fd.
start() { # TETHER OPTION...
    rm -f "$dir/in" "$dir/log"
    mkfifo "$dir/in"
    exec {fd}<>"$dir/in"
    "$ESMM" tether "$@" ps --coord tcp://127.0.0.1:9 --index 3 --listen tcp://127.0.0.1:0 \
        <"$dir/in" >"$dir/log" 2>&1 {fd}>&- &
    tether=$!
    for _ in {1..100}; do
        # Once it listens, its handlers stand.
        grep -q 'listens on tcp://127.0.0.1:' "$dir/log" 2>/dev/null && break
        sleep 0.05
    done
    role=$(sed -n 's/.*the ps is process //p' "$dir/log")
}
code() { # waits for the tether, at most ten seconds; sets rc
    for _ in {1..200}; do
        kill -0 "$tether" 2>/dev/null || break
        sleep 0.05
    done
    kill -KILL "$tether" 2>/dev/null || true
    rc=0
    wait "$tether" 2>/dev/null || rc=$?
    exec {fd}>&-
}
gone() { # or a zombie: not every init collects its orphans
    for _ in {1..40}; do
        grep -q '^State:[[:space:]]*[^Z]' "/proc/$role/status" 2>/dev/null || return 0
        sleep 0.05
    done
    return 1
}
said() { grep -q "$1" "$dir/log"; }

start --lifeline 1
check "the role runs" kill -0 "$role"
exec {fd}>&-
exec {fd}</dev/null
for _ in {1..20}; do
    said "connection is closed: the ps goes on without it for 1 s" && break
    sleep 0.05
done
check "the tether says that its input is closed" said "connection is closed: the ps goes on without it for 1 s"
check "and the role goes on" kill -0 "$role"
code
check "then the role is ended in order" test "$rc" -eq 143
check "the role says what ended it" said 'stopped by signal 15'
check "and so does the tether" said "nothing was heard of the launcher for 1 s (--lifeline): ending the ps"
check "no role is left" gone

start --lifeline 1
code
check "silence ends the role" said "nothing was heard of the launcher for 1 s"
check "no role is left after silence" gone

start --lifeline 2
for _ in {1..8}; do
    sleep 0.4
    echo beat >&"$fd"
done
check "beats keep it alive" kill -0 "$role"
echo int >&"$fd"
code
check "'int' reaches the role" said 'stopped by signal 2'

start
echo kill >&"$fd"
code
check "'kill' kills; the exit code tells the signal" test "$rc" -eq 137
check "the log tells the signal" said 'the ps was killed by signal 9'

start --lifeline 1 --grace 1
kill -STOP "$role"
exec {fd}>&-
exec {fd}</dev/null
code
check "a role that does not answer is killed after the grace time" test "$rc" -eq 137
check "no stopped role is left" gone

start
kill -KILL "$tether"
code
check "a role does not outlive its tether" gone

start
kill -TERM "$tether"
code
check "a signal to the tether is passed on" said 'stopped by signal 15'

start
(exec {fd}>&-; sleep 0.2; exec "$ESMM" tether --lifeline 1 --replace "$role" ps --coord tcp://127.0.0.1:9 --index 3 \
    --listen tcp://127.0.0.1:0 </dev/null >"$dir/second" 2>&1) & second=$!
code
check "--replace kills the same role" test "$rc" -eq 137
wait "$second" || true
check "and starts its own" grep -q 'killing it' "$dir/second"
start
"$ESMM" tether --lifeline 1 --replace "$role" ps --coord tcp://127.0.0.1:9 --index 4 --listen tcp://127.0.0.1:0 \
    </dev/null >"$dir/second" 2>&1 || true
check "--replace leaves another role alone" kill -0 "$role"
echo kill >&"$fd"
code

rc=0
"$ESMM" tether train </dev/null 2>"$dir/log" || rc=$?
check "only roles are tethered" test "$rc" -eq 2
rc=0
mkfifo "$dir/quiet"
exec {fd}<>"$dir/quiet"
"$ESMM" tether ps --nonsense <"$dir/quiet" >"$dir/log" 2>&1 || rc=$?
check "a bad option of the role is the role's exit code" test "$rc" -eq 2

# A role may not have got far when the order comes; it must not be lost on the way.
rc=0
began=$SECONDS
for _ in {1..20}; do
    echo term | "$ESMM" tether ps --coord tcp://127.0.0.1:9 --index 3 --listen tcp://127.0.0.1:0 \
        >"$dir/log" 2>&1 || rc=$?
done
check "an order at once is not lost" test $((SECONDS - began)) -lt 25
exit $((failures > 0))
