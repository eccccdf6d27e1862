# shellcheck shell=bash disable=SC2034,SC2154  # shares its variables with launch.sh
# roles.sh - the exact commands: one for each role, and what stands around them. Sourced by launch.sh.
#
# A remote command is one string that a login shell reads, so every argument is quoted, once. The
# role runs under `esmm tether`, which ends it when its connection does (tools/run/tether.c).

declare -A command=()         # without what stands before:
declare -A tether=()          # "PROGRAM tether --grace S"

quote() { # ARGUMENT...: sets REPLY to them as a Bourne shell reads them
    local argument quoted=() escaped="'\\''"
    for argument in "$@"; do
        if [[ $argument =~ ^[A-Za-z0-9_./:,@%+=-]+$ ]]; then
            quoted+=("$argument")
        else
            quoted+=("'${argument//\'/"$escaped"}'")
        fi
    done
    REPLY=${quoted[*]}
}

make_commands() {
    local name index words directory coordinator="tcp://${address[0]}:$port_base"
    for name in "${names[@]}"; do
        index=${name#*-}
        words=("${name%-*}")
        case $name in
        coord-*)
            words+=(--listen "tcp://*:$port_base" "${data_options[@]}" "${eval_options[@]}"
                --out "$out" --conf "$out/$marker.ini" --servers "$servers" --workers "$workers"
                --progress-fd 1)
            [ "$resume" = no ] || words+=(--resume)
            ;;
        ps-*)
            words+=(--coord "$coordinator" --index "$index" --listen "tcp://*:${port[$name]}"
                --advertise "${address[${at[$name]}]}" --threads "$ports_of_server")
            ;;
        worker-*)
            words+=(--coord "$coordinator" --index "$index" --threads "$threads")
            for directory in "${data[@]}"; do words+=(--data "$directory"); done
            words+=("${eval_options[@]}")
            [ "$trace" = no ] || words+=(--trace "$out/logs/trace-$index.tsv")
            ;;
        esac
        words+=(--timeout "$timeout_ms")
        quote "${words[@]}"
        command[$name]=$REPLY
        quote "$program" tether --grace "$grace_s"
        tether[$name]=$REPLY
        if [ "$trace" = yes ] && [[ $name == worker-* ]]; then
            quote "$out/logs"
            tether[$name]="mkdir -p $REPLY && ${tether[$name]}"
        fi
    done
}

# The probe of host INDEX, whose script goes to its standard input. Sets REPLY.
probe_command() { # INDEX first|second
    local i=$1 round=$2 name k ports=() works=no serves=no dirs=()
    for name in "${names[@]}"; do
        [ "${at[$name]}" = "$i" ] || continue
        case $name in
        coord-*) ports+=("$port_base"); works=yes ;;
        ps-*)
            serves=yes
            for ((k = 0; k < ports_of_server; k++)); do ports+=($((${port[$name]} + k))); done
            ;;
        worker-*) works=yes ;;
        esac
    done
    if [ "$round" = second ]; then
        quote shared "$out" "$marker"
    else
        [ "$works" = no ] || dirs=("${data[@]}" "${eval[@]}")
        quote host "$program" "$version" "${#dirs[@]}" "${dirs[@]}" "${ports[@]}"
    fi
    probe_serves=$serves
    REPLY="sh -s -- $REPLY"
}

# Of the coordinator's host alone: the run directory. Sets REPLY.
run_command() { # make|clean|end ARGUMENT
    quote "$1" "$out" "$marker" "$2"
    REPLY="sh -s -- $REPLY"
}

# The last thing before the roles: the marker has served. The configuration goes under a name of this
# launch's own: config.ini is written by the coordinator, once it holds the run directory. Sets REPLY.
config_command() {
    quote "$out/$marker"
    local rm="rm -f $REPLY"
    quote "$out/$marker.ini"
    REPLY="$rm; cat >$REPLY"
}

print_plan() {
    local i name shown words
    shown_ssh() { # INDEX COMMAND
        quote "${ssh[@]}" "${host[$1]}" "$2"
        printf '%s' "$REPLY"
    }
    quote "$here/launch/probe.sh"
    words=$REPLY
    for i in "${!host[@]}"; do
        roles_on "$i"
        printf '# %s (%s slots): %s\n' "${host[i]}" "${slots[i]}" "${REPLY:-nothing}"
        shown=" $REPLY"
        [ -n "$REPLY" ] || continue
        probe_command "$i" first
        printf '%s <%s\n' "$(shown_ssh "$i" "$REPLY")" "$words"
        if [ "$i" = 0 ]; then
            run_command make "$resume"
            printf '%s <%s\n' "$(shown_ssh 0 "$REPLY")" "$words"
        elif [ "$probe_serves" = yes ]; then
            probe_command "$i" second
            printf '%s <%s\n' "$(shown_ssh "$i" "$REPLY")" "$words"
        fi
        if [ "$i" = 0 ]; then
            config_command
            printf '%s <<END\n%s\nEND\n' "$(shown_ssh 0 "$REPLY")" "$config"
        fi
        for name in $shown; do
            printf '%s\n' "$(shown_ssh "$i" "${tether[$name]} ${command[$name]}")"
        done
    done
}
