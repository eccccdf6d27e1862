# shellcheck shell=bash disable=SC2034,SC2154  # shares its variables with launch.sh
# watch.sh - the running job: starts the roles, keeps their logs, ends them all. Sourced by launch.sh.
#
# A role is an ssh process whose standard input is a fifo that this shell holds open: its lifeline.
# Every beat_s a "beat" is written to all of them, and what a role is told (int, term, kill) goes
# the same way. When this shell ends, however it ends, the lifelines close and the far ends of them
# (esmm tether) end the roles. Each role has a process here that reads its output; when that is at
# its end it writes "end ROLE CODE" into the fifo of events, which is all that the loop waits for.
#
#     run ──signal, or a worker that failed──▶ save ──▶ follow ──▶ term ──▶ kill ──▶ cut
#                                          coordinator   it has    all are told to end, are killed,
#                                           is to save    ended     and their connections are cut
#
# Each phase but the first has a deadline; the next begins at it. The job is over when all roles are.

beat_s=5
opening_max=5 # connections that a host is offered at once: sshd drops them from 10 on (MaxStartups)
restarts_max=3
restart_after_s=2
follow_s=15   # for the others to end after a coordinator that ended well
fail_s=5      # after one that did not; also of each of the last phases
lost_s=2      # a server is gone: nothing can be saved, nobody ends by itself
save_failed_s=30 # a worker failed: what can still be saved in so long is

declare -A state=() due=() lifeline=() restarts=() # state: waiting opening up ended
declare -A process=() replace=() # its number there; the option that removes an old one
phase=run deadline=0
cause='' cause_log='' outcome=''
nothing_left='' # yes: the coordinator found a complete run
lasting=''     # yes: a role ended with 3, it would fail again (tools/common/tools.h)
stops_heeded=0

now() { # sets REPLY to seconds that no clock setting moves
    read -r REPLY _ </proc/uptime
    REPLY=${REPLY%.*}
}

# --- one role ------------------------------------------------------------------------------------

tell() { # ROLE WORD
    if [ -n "${lifeline[$1]:-}" ]; then
        printf '%s\n' "$2" >&"${lifeline[$1]}" || true
    fi
}

tell_all() { # WORD
    local name
    for name in "${!lifeline[@]}"; do
        tell "$name" "$1"
    done
}

keep_log() { # ROLE: reads its lines
    local line log tag last=''
    tag "$1"
    tag=$REPLY
    exec {log}>>"$out/logs/$1.log"
    while IFS= read -r line || [ -n "$line" ]; do
        last=$line
        printf '%s\n' "$line" >&"$log" || true
        printf '%s %s\n' "$tag" "$line" >&"$terminal" || true
        if [[ $line =~ ' tether the '[a-z]+' is process '([0-9]+)$ ]]; then
            printf 'up %s %s\n' "$1" "${BASH_REMATCH[1]}" >&"$events"
        fi
    done 2>/dev/null
    # Kept apart from the log, into which another launch may write.
    printf "%s\n" "$last" 2>/dev/null >"$tmp/$1.last" || true
}

# In a process of its own, which no signal to this script's group ends.
run_role() { # ROLE FIFO
    local name=$1 in fd status=0
    trap - EXIT
    trap '' INT TERM HUP QUIT
    exec {in}<"$2"
    for fd in "${lifeline[@]}"; do
        exec {fd}>&-
    done
    {
        setsid "${ssh[@]}" "${host[${at[$name]}]}" "${tether[$name]}${replace[$name]:-} ${command[$name]}" \
            <&"$in" > >(show_output 2>&"$terminal") {events}>&- &
        echo $! >"$tmp/$name.pid"
        wait $! || status=$?
        echo "$status" >"$tmp/$name.status"
    } 2>&1 | keep_log "$name"
    printf 'end %s %s\n' "$name" "$(<"$tmp/$name.status")" >&"$events"
}

open_role() { # ROLE
    local fd fifo="$tmp/$1.in.${restarts[$1]}"
    mkfifo "$fifo"
    exec {fd}<>"$fifo"
    lifeline[$1]=$fd
    state[$1]=opening
    run_role "$1" "$fifo" &
}

open_waiting() {
    local name i opening=()
    now
    for i in "${!host[@]}"; do opening+=(0); done
    for name in "${names[@]}"; do
        i=${at[$name]}
        [ "${state[$name]}" != opening ] || opening[i]=$((opening[i] + 1))
    done
    for name in "${names[@]}"; do
        i=${at[$name]}
        if [ "${state[$name]}" = waiting ] && [ "${due[$name]}" -le "$REPLY" ] &&
            [ "${opening[i]}" -lt "$opening_max" ]; then
            open_role "$name"
            opening[i]=$((opening[i] + 1))
        fi
    done
}

# --- phases --------------------------------------------------------------------------------------

enter() { # PHASE [SECONDS]
    local name
    phase=$1
    for name in "${names[@]}"; do
        [ "${state[$name]}" != waiting ] || state[$name]=ended
    done
    now
    deadline=$((REPLY + ${2:-$fail_s}))
    case $phase in
    term | kill) tell_all "$phase" ;;
    cut)
        for name in "${!lifeline[@]}"; do
            say "cutting the connection of $name"
            kill -KILL "$(<"$tmp/$name.pid")" 2>/dev/null || true
        done
        ;;
    esac
}

advance() {
    now
    if [ "$phase" = run ] || [ "$REPLY" -lt "$deadline" ]; then
        return
    fi
    case $phase in
    save)
        fail coord-0 "did not end within its time to save"
        enter term
        ;;
    follow) enter term ;;
    term) enter kill ;;
    kill) enter cut ;;
    cut) phase=over ;;
    esac
}

over() {
    [ "$phase" = over ] || { [ "$phase" != run ] && [ ${#lifeline[@]} -eq 0 ]; }
}

# --- what happens --------------------------------------------------------------------------------

fail() { # ROLE WHAT: the first cause stands
    if [ -z "$cause" ]; then
        tag "$1"
        cause="$REPLY $2"
        cause_log="$out/logs/$1.log"
    fi
}

describe_end() { # ROLE CODE: sets REPLY
    if [ "$2" = 255 ]; then
        last_line_of "$tmp/$1.last"
        REPLY="lost its connection: $REPLY"
    elif [ "$2" -gt 128 ]; then
        REPLY="was killed by signal $(($2 - 128)) ($(kill -l $(($2 - 128)) 2>/dev/null || echo unknown))"
    else
        last_line_of "$tmp/$1.last"
        REPLY="ended with exit code $2: $REPLY"
    fi
}

coordinator_ended() { # CODE
    case $1 in
    0)
        outcome="done"
        last_line_of "$tmp/coord-0.last"
        [[ $REPLY != *": nothing is left to train" ]] || nothing_left=yes
        ;;
    130 | 143)
        outcome=$1
        [ "$stop_signal" != HUP ] || outcome=129
        ;;
    *)
        describe_end coord-0 "$1"
        fail coord-0 "$REPLY"
        ;;
    esac
    case $phase${nothing_left:+-$nothing_left} in
    run-yes | save-yes) enter term ;; # the others have never met it
    run | save) enter follow "$([ -z "$outcome" ] && echo "$fail_s" || echo "$follow_s")" ;;
    esac
}

# A worker whose process or machine died is replaced; one that says it failed would fail again.
worker_ended() { # ROLE CODE
    local name=$1 where
    describe_end "$name" "$2"
    where=$REPLY
    tag "$name"
    if [ "$2" -le 128 ]; then
        fail "$name" "$where"
        tell coord-0 term
        enter save "$((grace_s < save_failed_s ? grace_s : save_failed_s))"
    elif [ "${restarts[$name]}" -lt "$restarts_max" ]; then
        restarts[$name]=$((restarts[$name] + 1))
        say "$REPLY $where; started again (${restarts[$name]} of $restarts_max)"
        state[$name]=waiting
        [ "$2" != 255 ] || [ -z "${process[$name]:-}" ] || replace[$name]=" --replace ${process[$name]}"
        now
        due[$name]=$((REPLY + restart_after_s))
    else
        say "$REPLY $where; the job goes on without it"
    fi
}

role_ended() { # ROLE CODE
    local name=$1 code=$2 fd=${lifeline[$1]}
    exec {fd}>&-
    unset "lifeline[$name]"
    state[$name]=ended
    [ "$code" != 3 ] || lasting=yes
    if [ "$name" = coord-0 ]; then
        coordinator_ended "$code"
        return
    fi
    case $code in
    0 | 130 | 143) return ;; # told to, just before the coordinator's own end was noticed
    esac
    case $phase-$name in
    run-ps-* | save-ps-*)
        describe_end "$name" "$code"
        fail "$name" "$REPLY"
        enter term "$lost_s"
        ;;
    run-worker-*) worker_ended "$name" "$code" ;;
    esac
}

# The first signal is the coordinator's to obey: it saves and ends the job. The second is an order.
heed_signal() {
    if [ "$stop_count" -le "$stops_heeded" ]; then
        return
    fi
    stops_heeded=$((stops_heeded + 1))
    if [ "$phase" = run ] && [ -n "${lifeline[coord-0]:-}" ]; then
        say "stopping: saving a checkpoint first (a second signal stops at once)"
        tell coord-0 "$([ "$stop_signal" = INT ] && echo int || echo term)"
        enter save "$grace_s"
    elif [ "$phase" = save ]; then
        fail coord-0 "was stopped at once by a second signal"
        enter term
    elif [ "$phase" = term ]; then
        enter kill
    fi
}

watch_roles() {
    local name what code line partial='' next_beat=0
    mkfifo "$tmp/events"
    exec {events}<>"$tmp/events" {terminal}>&2
    for name in "${names[@]}"; do
        state[$name]=waiting
        due[$name]=0
        restarts[$name]=0
    done
    until over; do
        open_waiting
        # The half second may end in the midst of a line: its beginning is kept, or a role's end is lost.
        if ! IFS= read -r -t 0.5 -u "$events" line; then
            partial+=$line
        else
            read -r what name code <<<"$partial$line"
            partial=''
            case $what in
            up)
                state[$name]=up
                process[$name]=$code
                ;;
            end) role_ended "$name" "$code" ;;
            esac
        fi
        now
        if [ "$REPLY" -ge "$next_beat" ]; then
            tell_all beat
            next_beat=$((REPLY + beat_s))
        fi
        heed_signal
        advance
    done
}
