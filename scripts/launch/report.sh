# shellcheck shell=bash disable=SC2034,SC2154  # shares its variables with launch.sh
# report.sh - progress while the job runs, and what it came to. Sourced by launch.sh.

progress_every_s=5

number_of() { # KEY JSON FORMAT: sets REPLY; false if it is absent or undefined
    local pattern="\"$1\": *([-+0-9.eE]+)"
    [[ $2 =~ $pattern ]] || return 1
    # shellcheck disable=SC2059  # the format is ours
    printf -v REPLY "$3" "${BASH_REMATCH[1]}"
}

# A JSON line of the coordinator (docs/coordinator.md) as one for people.
show_progress() { # JSON
    local text seconds
    number_of epoch "$1" %.0f || return 0
    text="epoch $((REPLY + 1))"
    ! number_of impressions "$1" %.0f || text+="  $REPLY impressions"
    ! number_of impressions_per_s "$1" %.0f || text+="  $REPLY/s"
    ! number_of loss "$1" %.5f || text+="  loss $REPLY"
    if number_of auc_ctr_running "$1" %.4f; then
        text+="  auc ctr $REPLY"
        ! number_of auc_ctr_running_bound "$1" %.4f || text+="±$REPLY"
        ! number_of auc_ctcvr_running "$1" %.4f || text+=" ctcvr $REPLY"
        ! number_of auc_ctcvr_running_bound "$1" %.4f || text+="±$REPLY"
    fi
    ! number_of staleness_mean "$1" %.1f || text+="  staleness $REPLY"
    if number_of eta_s "$1" %.0f; then
        seconds=$REPLY
        printf -v REPLY '%02d:%02d:%02d' $((seconds / 3600)) $((seconds / 60 % 60)) $((seconds % 60))
        text+="  eta $REPLY"
    fi
    say "$text"
}

# What the coordinator writes to standard output, from there.
show_output() {
    local line next=0
    while IFS= read -r line; do
        if [[ $line != "{"* ]]; then
            say "$line"
        elif [ "$SECONDS" -ge "$next" ]; then
            next=$((SECONDS + progress_every_s))
            show_progress "$line"
        fi
    done
}

print_summary() { # JSON
    local text
    number_of impressions "$1" %.0f || REPLY=0
    text="trained $REPLY impressions"
    ! number_of seconds "$1" %.1f || text+=" in $REPLY s"
    ! number_of impressions_per_s "$1" %.0f || text+=" ($REPLY/s)"
    ! number_of loss "$1" %.6f || text+=", final loss $REPLY"
    echo "$text"
    if number_of auc_ctr "$1" %.5f; then
        text="evaluation: AUC ctr (all) $REPLY"
        ! number_of auc_cvr_clicked "$1" %.5f || text+="   cvr (clicked) $REPLY"
        ! number_of auc_ctcvr "$1" %.5f || text+="   ctcvr (all) $REPLY"
        echo "$text"
    fi
    # Those of "fields" with more values without a row than training made one expect (docs/metrics.md).
    awk '/": [{]$/ { name = $0 }
        /"share": / { share = 100 * $2 }
        /"doubtful": true/ {
            sub(/^ *"/, "", name); sub(/": [{]$/, "", name)
            printf "warning: field \047%s\047: the model has no row for %.4g %% of its values: see metrics.md\n", name, share
        }' <<<"$1"
}

report_end() {
    local summary='' checkpoint=''
    if ask_coordinator end ''; then
        summary=$(sed -n '/^{/,/^}/p' "$tmp/end.out")
        checkpoint=$(sed -n 's/^checkpoint //p' "$tmp/end.out")
    fi
    if [ -z "$cause" ]; then
        if [ -n "$nothing_left" ]; then
            echo "$out holds a complete run: nothing is left to train. More --epochs or --max-steps go on from it"
        elif [ -n "$summary" ]; then
            print_summary "$summary"
        fi
        [ -z "$checkpoint" ] || echo "checkpoint: $checkpoint"
        echo "summary:    $out/summary.json (on ${host[0]})"
        [ "$outcome" != "done" ] || exit 0
        say "launch.sh: stopped; continue with --resume"
        exit "$outcome"
    fi
    if [ -n "$checkpoint" ]; then
        checkpoint="newest checkpoint: $checkpoint; ${lasting:+it would fail again: mend that first, then }continue with --resume"
    fi
    say "launch.sh: $cause; its log: $cause_log; ${checkpoint:-no checkpoint is known}"
    exit 1
}
