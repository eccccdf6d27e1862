#!/bin/bash
# esmm train --hostfile without other machines: a shell stands for ssh. (With them: test_launch.sh.)
# What two launchers do in one run directory, what is left of one that is killed, and what becomes of
# odd roles.
. "$(dirname "$0")/lib.sh"
hosts_here
run_of() { # RUN options...
    local out=$1
    shift
    "$ESMM" train "${here[@]}" "${train_on[@]}" --out "$dir/$out" "${small[@]}" "${prompt[@]}" "$@"
}
behind() { # FILE RUN options...: in the background; its pid in $job, its output in FILE
    local file=$1 out=$2
    shift 2
    "$ESMM" train "${here[@]}" "${train_on[@]}" --out "$dir/$out" "${small[@]}" "${prompt[@]}" "$@" \
        >"$file" 2>&1 </dev/null &
    job=$!
}
trains() { grep -q '"step":[1-9]' "$dir/$1/metrics.jsonl"; }
ports_free() { # of coordinator and servers
    local hex
    hex=$(printf '%04X' "${here[5]}")
    ! grep -q ":$hex 00000000:0000 0A" /proc/net/tcp
}

step "data"
make_data data 8000 5 --shard-impressions 1000

step "a whole job, and nothing is left of the launcher"
ok run_of run --eval "$dir/data"
says "^2 servers and 2 workers \(1 trainer threads each\) on 1 hosts; run directory $dir/run$" \
    "^  localhost \(8 slots\): coord-0 ps-0 ps-1 worker-0 worker-1$" \
    "^\[localhost worker-1\] .*" "^trained 8000 impressions in .*, final loss 0\.[0-9]+$" \
    "^evaluation: AUC ctr \(all\) 0\." "^checkpoint: $dir/run/checkpoints/step-[0-9]+$" \
    "^summary:    $dir/run/summary.json \(on localhost\)$"
equal "files of the run" "$(ls -A "$dir/run" | tr '\n' ' ')" "checkpoints config.ini logs metrics.jsonl summary.json "
grep -q "^tower = 16,8$" "$dir/run/config.ini" || die "the configuration did not arrive"
equal "logs" "$(ls "$dir/run/logs" | tr '\n' ' ')" "coord-0.log ps-0.log ps-1.log worker-0.log worker-1.log "

step "the command line"
expect 2 "$ESMM" train "${train_on[@]}" --out "$dir/none" --port-base 5
says "^esmm train: --hostfile is missing: --program, --port-base, --ssh, --lifeline and --dry-run are for"
expect 2 run_of none --workers 9
says "^esmm train: 2 servers and 9 workers need 11 slots; the hostfile has 8$"
expect 2 "$REPO/scripts/launch.sh" "${train_on[@]}" --out "$dir/none"
says "^launch.sh: --hostfile is missing$"
ok "$REPO/scripts/launch.sh" "${here[@]}" "${train_on[@]}" --out "$dir/none" --dry-run
says "^# localhost \(8 slots\): coord-0 ps-0 ps-1 worker-0 worker-1$" "tether --lifeline 120 --grace 300 worker --coord tcp://localhost:"
[ ! -e "$dir/none" ] || die "a dry run has made its run directory"

step "a second launcher in the same place names the first, and leaves it alone"
behind "$dir/first.out" first --epochs 100000
wait_until 30 "the first to train" trains first
ls "$dir/first/logs" >"$dir/first.logs"
expect 1 run_of first --epochs 100000
says "^esmm train: $dir/first .*process $job"
expect 1 run_of second # another run directory, the same ports
says "^  localhost: port ${here[5]} is taken; choose another --port-base$" "nothing was started: 3 problems"
[ ! -e "$dir/second" ] || die "the refused one has left its run directory"
equal "logs" "$(ls "$dir/first/logs")" "$(cat "$dir/first.logs")"
kill -0 "$job" || die "the first has ended"
kill -TERM "$job"
ends 143 30
grep -q "^checkpoint: " "$dir/first.out" || die "the first did not save"
[ ! -e "$dir/first/launch.lock" ] || die "the lock is left"
wait_until 10 "the ports to be free" ports_free

step "a launcher that is killed while it asks leaves nothing"
cat >"$dir/slow" <<END
#!/bin/sh
touch "$dir/asked"
sleep 2
END
chmod +x "$dir/slow"
behind "$dir/out" killed --program "$dir/slow"
marker_there() { [ -e "$dir/asked" ] && [ -n "$(ls -A "$dir/killed" | grep '^\.launch-')" ]; }
wait_until 10 "the marker" marker_there
{ kill -9 "$job" && wait "$job"; } 2>/dev/null
gone() { [ -z "$(ls -A "$dir/killed" | grep '^\.launch-')" ]; }
wait_until 10 "the marker to be gone" gone

step "and one that is stopped there takes back what it made"
rm -f "$dir/asked"
behind "$dir/out" stopped --program "$dir/slow"
wait_until 10 "the question" test -e "$dir/asked"
kill -HUP "$job"
ends 129 10
says "^esmm train: stopped by SIGHUP before anything was started$"
[ ! -e "$dir/stopped" ] || die "the run directory is left"

step "kill -9 of the launcher of a running job: it ends, saved, and no file of the launcher is left"
behind "$dir/out" orphan --epochs 100000 --lifeline 2
wait_until 30 "the job to train" trains orphan
{ kill -9 "$job" && wait "$job"; } 2>/dev/null
wait_until 20 "the ports to be free" ports_free
wait_until 10 "the checkpoint" has_checkpoint orphan
equal "left by the launcher" "$(ls -A "$dir/orphan" | grep '^\.')" ""
ok run_of orphan --epochs 1 --max-steps 1 --resume # a lock whose holder is gone is none
wait_until 10 "the ports to be free" ports_free

step "a second signal stops at once, whoever does not answer"
behind "$dir/out" second-signal --epochs 100000
wait_until 30 "the job to train" trains second-signal
kill -STOP "$(sed -n 's/.* tether the coord is process //p' "$dir/second-signal/logs/coord-0.log")"
kill -INT "$job"
wait_until 5 "the first to be heard" grep -q "^stopping: saving a checkpoint first" "$dir/out"
kill -INT "$job"
ends 1 20
says "^esmm train: \[localhost coord-0\] was stopped at once by a second signal; its log: .*; no checkpoint is known$"
wait_until 10 "the ports to be free" ports_free

step "a worker's last words are read whole, also without a line end"
cat >"$dir/odd-esmm" <<END
#!/bin/sh
case "\$*" in
*" worker "*"--index 1 "*)
    sleep 1
    echo "said elsewhere"
    printf 'esmm worker: half of ' >&2
    sleep 1
    printf 'a line' >&2
    exit 1
    ;;
esac
exec "$ESMM" "\$@"
END
chmod +x "$dir/odd-esmm"
expect 1 run_of odd --program "$dir/odd-esmm"
says "^esmm train: \[localhost worker-1\] ended with exit code 1: half of a line; its log: $dir/odd/logs/worker-1.log; "
equal "the log" "$(tr '\n' '|' <"$dir/odd/logs/worker-1.log")" "said elsewhere|esmm worker: half of a line|"
wait_until 10 "the ports to be free" ports_free
no_leftovers 5
step "done"
