#!/bin/bash
# A log with times into streams of training records: counts against a second reading of the log in
# awk, the order in which the directory's files appear, a stop signal, and a job that trains on it.
. "$(dirname "$0")/lib.sh"

step "a log with times"
ok "$ESMM" synth --impressions 20000 --seed 3 --users 500 --items 800 --ctr 0.2 --cvr 0.3 --days 3 --out "$dir/raw"
log=$dir/raw/train/log.csv
ok "$ESMM" prep --format csv --schema "$dir/raw/train/log.schema" --input "$log" --out "$dir/shards" \
    --shard-impressions 4096
says "^impressions  20000" "^rejected     0"

# want STREAM: how many records of each kind the log gives, window 3600, attribution 100000.
want() {
    awk -F, -v stream="$1" 'NR > 1 {
        if ($6 == 0) { both++; next }
        delay = $5 == "" ? -1 : $5 - $4
        converts = delay >= 0 && delay <= 100000
        late = converts && delay > (stream == "fnw" ? -1 : 3600)
        if (stream == "vanilla") { both += 1 + late; next }
        click++
        conversion++
        if (stream == "defer") final++
        else if (stream != "oracle" && stream != "dfm") lates += late
    } END {
        if (both) print "records " both " both terms"
        if (click) print "records " click " CTR term"
        if (conversion) print "records " conversion " CTCVR term"
        if (lates) print "records " lates " late conversion"
        if (final) print "records " final " final label" }' "$log"
}
for stream in vanilla oracle fnw es-dfm defer dfm; do
    step "stream $stream"
    window=3600
    [ "$stream" = fnw ] && window=0
    ok "$ESMM" records --data "$dir/shards" --out "$dir/$stream" --stream "$stream" --window "$window" \
        --attribution 100000
    equal "records of $stream" "$(tr -s ' ' <"$dir/out" | grep ^records)" "$(want "$stream")"
    [ -e "$dir/$stream/end" ] || die "no end"
    ok "$ESMM" inspect "$dir/$stream" --verify
    says "^whole:" "^stream       $stream$" "^times        in all shards" "^kinds        in all shards"
done
ok "$ESMM" inspect "$dir/$stream" # of which the manifest does not count each field's values
says '^[a-z]+ +(user|item) +not said  kind = '
grep -qE '^[a-z]+ +(user|item) +0 ' "$dir/out" && die "values that are not counted are shown as 0"
ok "$ESMM" inspect "$dir/shards"
says "^stream       not said" "^times        in all shards" "^kinds        none" "^behaviours   none"

step "the same log in milliseconds, and by a clock of its own, gives the same shards and records"
schema=$dir/raw/train/log.schema
awk -F, -v OFS=, 'NR > 1 { for (k = 3; k <= 5; k++) if ($k != "") $k = $k "042" } { print }' "$log" >"$dir/ms.csv"
awk -F, -v OFS=, 'NR > 1 { for (k = 3; k <= 5; k++) if ($k != "") $k -= 1500000000 } { print }' "$log" >"$dir/own.csv"
{ cat "$schema" && printf '[log]\ntime_origin = 1500000000\n'; } >"$dir/own.schema"
cp "$schema" "$dir/ms.schema"
for clock in ms own; do
    ok "$ESMM" prep --format csv --schema "$dir/$clock.schema" --input "$dir/$clock.csv" --out "$dir/shards-$clock" \
        --shard-impressions 4096
    says "^rejected     0" "^times .*; time_unit = ${clock/own/s}"
    ok "$ESMM" records --data "$dir/shards-$clock" --out "$dir/es-dfm-$clock" --stream es-dfm --window 3600 \
        --attribution 100000
    for pair in shards es-dfm; do
        diff -r -x manifest "$dir/$pair" "$dir/$pair-$clock" >"$dir/out" || die "$pair of $clock differ"
    done
done

step "what follows the directory sees: a manifest without shards, shards in order, the end"
"$ESMM" records --data "$dir/shards" --out "$dir/slow" --stream es-dfm --window 3600 \
    --attribution 100000 --pause 100 >"$dir/out" 2>&1 &
pid=$!
wait_until 10 "the first shard" test -e "$dir/slow/shard-00000.bin"
ok "$ESMM" inspect "$dir/slow"
says "^impressions  0 " "^stream       es-dfm$"
for number in 1 2 3; do
    wait_until 10 "shard $number" test -e "$dir/slow/shard-0000$number.bin"
    [ -e "$dir/slow/shard-0000$((number - 1)).bin" ] || die "shard $number came before the one before"
    [ ! -e "$dir/slow/end" ] || die "the end came before the last shard"
done
kill -INT "$pid"
code=0
wait "$pid" || code=$?
equal "exit code after SIGINT" "$code" 130
[ ! -e "$dir/slow/end" ] || die "a stopped stream has an end"
for shard in "$dir"/slow/shard-*.bin; do
    cmp -s "$shard" "$dir/es-dfm/${shard##*/}" || die "${shard##*/} differs from the whole stream's"
done

step "training on a whole stream"
ok "$ESMM" train --data "$dir/es-dfm" --out "$dir/run" "${small[@]}" --set train.shuffle=false

step "every method of model.delay on its stream, from training to scores"
while read -r method stream heads; do
    ok "$ESMM" train --data "$dir/$stream" --eval "$dir/shards" --out "$dir/run-$method" "${small[@]}" \
        --set train.shuffle=false --set "model.delay=$method"
    ok "$ESMM" export "$dir/run-$method" --out "$dir/export-$method"
    equal "towers of $method" "$(cd "$dir/export-$method/dense" && echo *.w1.npy)" \
        "$(printf '%s\n' ctr cvr $heads | sort | sed 's/$/.w1.npy/' | tr '\n' ' ' | sed 's/ $//')"
done <<'END'
fnw fnw
pu fnw
es-dfm es-dfm rn
defuse es-dfm rn dp
defer defer dp
dfm dfm lag
END

step "a method on another's stream: refused where the job begins, whoever begins it"
while read -r method stream; do
    for how in --data --stream; do
        expect 1 "$ESMM" train "$how" "$dir/$stream" --out "$dir/no" "${small[@]}" \
            --set "model.delay=$method"
        says "$dir/$stream is a stream $stream, and model.delay = $method is made for"
        equal "lines" "$(wc -l <"$dir/out")" 1
        [ ! -e "$dir/no" ] || die "a run directory was made"
    done
done <<'END'
es-dfm fnw
fnw es-dfm
dfm oracle
END
expect 3 "$ESMM" coord --data "$dir/defer" --out "$dir/no" --listen "ipc://$dir/coord" "${small[@]}" \
    --set model.delay=pu
grep -q "$dir/defer is a stream defer, and model.delay = pu is made for" "$dir/out" "$dir/no/logs/"* ||
    die "the coordinator does not say why"
rm -rf "$dir/no"
ok "$ESMM" train --data "$dir/defer" --out "$dir/left-out" "${small[@]}" --set model.delay=es-dfm
ok "$ESMM" train --data "$dir/shards" --out "$dir/log-first" "${small[@]}" --set model.delay=dfm

step "a model of behaviours on data without any says so; with some it does not"
awk -F, -v OFS=, '{ print $0, NR == 1 ? "cart" : $6 }' "$log" >"$dir/carts.csv"
sed 's/^click = click$/&\nbehaviours = cart/' "$dir/raw/train/log.schema" >"$dir/carts.schema"
ok "$ESMM" prep --format csv --schema "$dir/carts.schema" --input "$dir/carts.csv" --out "$dir/carts"
ok "$ESMM" inspect "$dir/carts"
says "^behaviours   1$"
for run in "chain --data shards" "esm2 --data shards" "chain --stream es-dfm" "chain --data carts" \
    "esmm --data shards"; do
    read -r name how data <<<"$run"
    ok "$ESMM" train "$how" "$dir/$data" --out "$dir/run-$name-$data" "${small[@]}" --set "model.name=$name"
    case $run in
    *carts | esmm*) ! grep -q "warning: model.name" "$dir/out" || die "a warning of $run" ;;
    *) says "warning: model.name = $name learns from behaviours .*$dir/$data has none" ;;
    esac
done
expect 1 "$ESMM" train --data "$dir/es-dfm" --out "$dir/no" "${small[@]}" --set model.name=base \
    --set model.delay=fnw
says "model.delay is a choice of model.name = esmm"
no_leftovers 5
