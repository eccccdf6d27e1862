#!/bin/bash
# scripts/delay.py in small, both ways of judging: every method has a row, the slices of the
# prequential one are the second half of the log, and a second run only reads what is there.
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || {
    echo "skipped: scripts/delay.py needs python3"
    exit 77
}
delay() { # OUT options...
    local out=$1
    shift
    python3 "$REPO/scripts/delay.py" --esmm "$ESMM" --out "$dir/$out" --seeds 1 --impressions 12000 \
        --users 200 --items 200 --days 2 --attribution 1 --dfm-window 43200 --batch 64 --set net.heartbeat_ms=100 "$@"
}
rows() { grep -c '^| [a-z-]* | [a-z-]* | 0\.[0-9]* | .* | [0-9.]* |$' "$1"; }

step "at the end of the stream"
ok delay end --holdout 3000 --methods dfm
equal "rows of the table" "$(rows "$dir/out")" 1

step "prequential, on a log that drifts"
ok delay slices --prequential 9 --drift 0.5 --methods "vanilla log oracle"
equal "rows of the table, the log being left out" "$(rows "$dir/out")" 2
says "^auc_cvr_clicked, oracle less vanilla: day 2 [+-]0\.[0-9]*$"
grep '^|' "$dir/out" >"$dir/table"
# Hours 24 to 48 hold two whole slices of 9, which begin at a multiple of 9.
equal "slices" "$(cd "$dir/slices/seed-1" && echo slice-*)" "slice-27 slice-36"
for begin in 27 36; do
    from=$((12000 * begin / 48)) to=$((12000 * (begin + 9) / 48))
    ok "$ESMM" inspect "$dir/slices/seed-1/slice-$begin"
    says "^impressions  $((to - from)) "
    awk -F, -v from="$from" -v to="$to" 'NR > 1 && $1 > from && $1 <= to { n += $6; c += $6 * $7 }
        END { print n, c }' "$dir/slices/seed-1/raw/train/log.csv" >"$dir/counted"
    read -r clicks conversions <"$dir/counted"
    says "^clicks       $clicks " "^conversions  $conversions "
done
[ ! -e "$dir/slices/seed-1/run-oracle" ] || die "a run was left behind"

step "again, from what is there"
ok delay slices --prequential 9 --drift 0.5 --methods "vanilla log oracle" --esmm "$ESMM"
grep '^|' "$dir/out" | cmp -s - "$dir/table" || die "another table"

step "refused"
expect 1 delay no --prequential 30
says "has no whole slice"
expect 1 delay no --methods "oracle esdfm"
says "no method 'esdfm'"
no_leftovers
