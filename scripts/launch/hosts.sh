# shellcheck shell=bash disable=SC2034,SC2154  # shares its variables with launch.sh
# hosts.sh - the hostfile, and which role runs where. Sourced by launch.sh.
#
#     host[i] slots[i] address[i]    destination for ssh, roles it takes, name others reach it by
#     names                          roles in the order they are started: coord-0 ps-0 … worker-0 …
#     at[name] port[name]            index of its host, first port it listens on

host=() slots=() address=() names=()
declare -A at=() port=()


read_hostfile() { # FILE
    local file=$1 line number=0 words lines i
    local name='[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?'
    { [ -f "$file" ] && [ -r "$file" ]; } || usage "cannot read the hostfile $file"
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
        number=$((number + 1))
        line=${line%$'\r'}
        read -ra words <<<"${line%%#*}"
        [ ${#words[@]} -gt 0 ] || continue
        [[ ${words[0]} =~ ^([A-Za-z0-9_][A-Za-z0-9_.-]*@)?$name$ ]] ||
            usage "$file:$number: '${words[0]}' is not a host, expected [user@]host"
        for i in "${host[@]}"; do
            [ "$i" != "${words[0]}" ] || usage "$file:$number: $i is listed twice"
        done
        host+=("${words[0]}")
        slots+=(1)
        address+=("${words[0]#*@}")
        for i in "${words[@]:1}"; do
            if [[ $i =~ ^slots=([1-9][0-9]{0,3})$ ]]; then
                slots[-1]=${BASH_REMATCH[1]}
            elif [[ $i =~ ^addr=($name)$ ]]; then
                address[-1]=${BASH_REMATCH[1]}
            else
                usage "$file:$number: '$i' is not understood, expected slots=N (1 to 9999)" \
                    "or addr=NAME"
            fi
        done
    done
    [ ${#host[@]} -gt 0 ] || usage "$file lists no hosts"
    for i in "${!address[@]}"; do
        if [ ${#host[@]} -gt 1 ] && [[ ${address[i]} =~ ^(localhost|127\..*)$ ]]; then
            usage "$file: the others cannot reach ${host[i]} as ${address[i]}; give it addr=NAME"
        fi
    done
}

# Round after round over the hosts that have a slot left: servers first, then workers. The
# coordinator is on the first host and takes no slot: it needs little.
place_roles() {
    local total=0 i=0 k name used=() next_port=() server_threads
    server_threads=$(sed -n '/^\[server\]/,/^\[/s/^threads = //p' <<<"$config")
    for k in "${!host[@]}"; do
        total=$((total + slots[k]))
        used+=(0)
        next_port+=($((port_base + 1)))
    done
    if [ $((servers + workers)) -gt "$total" ]; then
        usage "$servers servers and $workers workers need $((servers + workers)) slots;" \
            "$hostfile has $total"
    fi
    names=(coord-0)
    at[coord-0]=0
    port[coord-0]=$port_base
    for ((k = 0; k < servers; k++)); do names+=("ps-$k"); done
    for ((k = 0; k < workers; k++)); do names+=("worker-$k"); done
    for name in "${names[@]:1}"; do
        while [ "${used[i]}" -ge "${slots[i]}" ]; do
            i=$(((i + 1) % ${#host[@]}))
        done
        at[$name]=$i
        used[i]=$((used[i] + 1))
        if [[ $name == ps-* ]]; then
            port[$name]=${next_port[i]}
            next_port[i]=$((next_port[i] + server_threads))
            [ "${next_port[i]}" -le 65536 ] ||
                usage "--port-base $port_base leaves too few ports for the servers on ${host[i]}"
        fi
        i=$(((i + 1) % ${#host[@]}))
    done
    ports_of_server=$server_threads
}

tag() { # ROLE: sets REPLY to "[host role-N]"
    local where=${host[${at[$1]}]}
    REPLY="[${where#*@} $1]"
}

roles_on() { # INDEX: sets REPLY to its roles, separated by blanks
    local name list=()
    for name in "${names[@]}"; do
        if [ "${at[$name]}" = "$1" ]; then
            list+=("$name")
        fi
    done
    REPLY=${list[*]}
}

show_placement() {
    local i
    say "$servers servers and $workers workers ($threads trainer threads each) on ${#host[@]} hosts;" \
        "run directory $out"
    for i in "${!host[@]}"; do
        roles_on "$i"
        say "  ${host[i]} (${slots[i]} slots): ${REPLY:-nothing}"
    done
}
