# shellcheck shell=bash disable=SC2034,SC2154  # shares its variables with launch.sh
# check.sh - everything that can be known to be wrong before anything is started. Sourced by launch.sh.
#
# All hosts are asked at once (probe.sh), and all problems are told at once. A host with servers is
# then asked whether it sees the marker that the coordinator's host has put into the run directory.

probe_s=40 # the answer of one host, with its connection
marker=.launch-$$-$RANDOM
run_made=kept
started=no # roles
declare -A asked=()
problems=()

# Exits as a signal asks when there is nothing to save. The arguments are processes to end.
stop_if_told() {
    if [ "$stop_count" -gt 0 ] && [ "$started" = no ]; then
        stop_count=0
        kill "$@" 2>/dev/null || true
        tidy
        say "stopped by SIG$stop_signal before anything was started"
        exit $((128 + $(kill -l "$stop_signal")))
    fi
}

# Takes back what the checks have made.
tidy() {
    if [ -s "$tmp/make.out" ]; then
        ask_coordinator clean "$run_made" || true
    fi
    rmdir "$out/logs" 2>/dev/null || true # if nothing is in it
    [ "$out_made" = no ] || rmdir "$out" 2>/dev/null || true
}

ask() { # KEY INDEX COMMAND: begins to ask; the answer goes to $tmp/KEY.out
    (
        trap - EXIT
        exec timeout -k 2 "$probe_s" "${ssh[@]}" "${host[$2]}" "$3" \
            <"$here/launch/probe.sh" >"$tmp/$1.out" 2>"$tmp/$1.err"
    ) &
    asked[$1]=$!
}

last_line_of() { # FILE: sets REPLY
    REPLY=$(tail -n 1 "$1" 2>/dev/null | tr -d '\r' | tr '[:cntrl:]' ' ')
    REPLY=${REPLY%% }
}

# Waits for an answer; false, with a problem noted, if there is no whole one.
take_answer() { # KEY INDEX
    local status=0
    wait "${asked[$1]}" || status=$?
    stop_if_told "${asked[@]}"
    last_line_of "$tmp/$1.err"
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then
        REPLY="no answer within $probe_s s"
    elif [ "$status" = 255 ]; then
        REPLY="not reachable: ${REPLY:-ssh gave no reason}"
    elif ! grep -qx answered "$tmp/$1.out"; then
        REPLY="cannot be asked (exit code $status): ${REPLY:-no answer}"
    else
        return 0
    fi
    problems+=("${host[$2]}: $REPLY")
    return 1
}

take_problems() { # KEY INDEX
    local line
    while IFS= read -r line; do
        problems+=("${host[$2]}: ${line#problem }")
    done < <(grep '^problem ' "$tmp/$1.out")
}

# Shards are named by number: on other data a worker would train something else without noticing.
compare_data() { # INDEX
    local sums
    sums=$(grep '^data ' "$tmp/host-$1.out") || return 0
    if [ -z "${data_sums:-}" ]; then
        data_sums=$sums
        data_host=${host[$1]}
    elif [ "$sums" != "$data_sums" ]; then
        problems+=("${host[$1]}: the data under ${data[*]}${eval[*]:+ or ${eval[*]}} differ from those on $data_host")
    fi
}

ask_coordinator() { # make|clean|end ARGUMENT: false if there is no answer
    run_command "$1" "$2"
    ask "$1" 0 "$REPLY"
    take_answer "$1" 0
}

give_up() {
    local problem
    tidy
    for problem in "${problems[@]}"; do
        say "  $problem"
    done
    say "launch.sh: nothing was started: ${#problems[@]} problems, listed above"
    exit 1
}

check_hosts() {
    local i serving=() reached=()
    for i in "${!host[@]}"; do
        roles_on "$i"
        if [ -n "$REPLY" ]; then
            probe_command "$i" first
            ask "host-$i" "$i" "$REPLY"
        fi
    done
    run_command make "$resume"
    ask make 0 "$REPLY"
    for i in "${!host[@]}"; do
        [ -n "${asked[host-$i]:-}" ] || continue
        take_answer "host-$i" "$i" || continue
        take_problems "host-$i" "$i"
        compare_data "$i"
        reached+=("$i")
    done
    if [ "${reached[0]:-}" != 0 ]; then
        wait "${asked[make]}" || true # its connection's failure has been told
    elif take_answer make 0; then
        take_problems make 0
        ! grep -qx made "$tmp/make.out" || run_made=made
        if ! grep -q '^problem cannot write' "$tmp/make.out"; then
            for i in "${reached[@]:1}"; do
                probe_command "$i" second
                if [ "$probe_serves" = yes ]; then
                    ask "shared-$i" "$i" "$REPLY"
                    serving+=("$i")
                fi
            done
        fi
    fi
    for i in "${serving[@]}"; do
        ! take_answer "shared-$i" "$i" || take_problems "shared-$i" "$i"
    done
    if [ ${#problems[@]} -gt 0 ]; then
        give_up
    fi
}

write_config() {
    local status=0
    config_command
    (
        trap - EXIT
        exec timeout -k 2 "$probe_s" "${ssh[@]}" "${host[0]}" "$REPLY" <<<"$config" 2>"$tmp/config.err"
    ) &
    wait $! || status=$?
    stop_if_told $!
    if [ "$status" -ne 0 ]; then
        last_line_of "$tmp/config.err"
        problems+=("${host[0]}: cannot write $out/$marker.ini: $REPLY")
        give_up
    fi
}
