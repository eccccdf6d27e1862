#!/usr/bin/env bash
# Several directories of shards as one data set: what comes of them is what comes of one directory
# with the same shards.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cat >"$dir/log.schema" <<'END'
[log]
click = click
conversion = buy
impression = id
item = user, item
END
# log FROM TO: rows of a log, each its own group; any split of it at a thousand gives the same shards.
log() {
    awk -v from="$1" -v to="$2" 'BEGIN {
        print "id,user,item,click,buy"
        for (i = from; i < to; i++) {
            u = (i * 7919) % 101; p = (i * 104729) % 211
            c = (u + p) % 7 < 2; b = c && (u * p) % 5 == 0
            print i "," u "," p "," c "," b
        }
    }'
}
prep() { # NAME INPUT...: shards of 1000 rows in $dir/NAME
    local name=$1 file inputs=()
    shift
    for file in "$@"; do inputs+=(--input "$file"); done
    ok "$ESMM" prep --format csv --schema "$dir/log.schema" "${inputs[@]}" --shard-impressions "${rows:-1000}" --out "$dir/$name"
}
mkdir "$dir/raw"
log 0 8000 >"$dir/raw/all.csv"
log 0 3000 >"$dir/raw/1.csv"
log 3000 4000 >"$dir/raw/2.csv"
log 4000 8000 >"$dir/raw/10.csv"
prep all "$dir/raw/all.csv"
prep day-1 "$dir/raw/1.csv"
prep day-2 "$dir/raw/2.csv"
prep day-10 "$dir/raw/10.csv"

step "many files are one log: the shards of one file, whichever way they are named"
rows=10000 # headers count while a shard is filled
prep whole "$dir/raw/all.csv"
prep joined "$dir/raw/1.csv" "$dir/raw/2.csv" "$dir/raw/10.csv"
says 'lines +8003 = 3 header \+ 8000 impressions' 'files +3, '
mkdir "$dir/hive" "$dir/hive/day=1" "$dir/hive/day=2"
cp "$dir/raw/1.csv" "$dir/hive/day=1/part-0"
cp "$dir/raw/2.csv" "$dir/hive/day=2/part-0"
cp "$dir/raw/10.csv" "$dir/hive/day=2/part-1"
touch "$dir/hive/day=2/_SUCCESS" "$dir/hive/day=2/part-2"
prep hived "$dir/hive/day=*"
for name in joined hived; do
    for shard in "$dir"/whole/shard-*; do
        cmp "$shard" "$dir/$name/${shard##*/}" || die "$name has another ${shard##*/}"
    done
done

step "a job on three directories is the job on one"
plan=(--deterministic --servers 1 --workers 1)
three=(--data "$dir/day-1" --data "$dir/day-2" --data "$dir/day-10")
train_on=(--data "$dir/all")
train one "${plan[@]}" --eval "$dir/all"
train_on=("${three[@]}")
train many "${plan[@]}" --eval "$dir/day-1" --eval "$dir/day-2" --eval "$dir/day-10"
says 'training on 8000 impressions in 8 shards of 3 directories: '
for name in one many; do
    npy "$name" "$name.npy"
    sed -i '/"config"/d' "$dir/$name.npy/manifest.json"
done
same_tree "$dir/one.npy" "$dir/many.npy"
for key in impressions auc_ctr auc_ctcvr; do
    equal "$key" "$(number "$dir/many/summary.json" "$key")" "$(number "$dir/one/summary.json" "$key")"
done

step "predictions and figures likewise"
ok "$ESMM" predict --checkpoint "$dir/one" --data "$dir/all" --out "$dir/one.csv"
ok "$ESMM" predict --checkpoint "$dir/one" "${three[@]}" --threads 2 --out "$dir/many.csv"
cmp "$dir/one.csv" "$dir/many.csv" || die "predictions differ"
ok "$ESMM" eval --checkpoint "$dir/one" --data "$dir/all" --json --bootstrap 40
auc=$(number "$dir/out" auc_ctr)
ok "$ESMM" eval --checkpoint "$dir/one" "${three[@]}" --json --bootstrap 40
equal "auc_ctr" "$(number "$dir/out" auc_ctr)" "$auc"

step "a pattern that the shell did not expand is taken in bytewise order"
train_on=(--data "$dir/day-*")
train pattern "${plan[@]}" --max-steps 2
says 'of 3 directories'
train_on=(--data "$dir/day-1" --data "$dir/day-10" --data "$dir/day-2")
train pattern "${plan[@]}" --max-steps 4 --resume # the same directories in the same order: the same job
expect 1 "$ESMM" train --data "$dir/week-*" --out "$dir/no"
says 'nothing matches .*week-\*'

step "another order is another job; so is one directory less"
expect 1 "$ESMM" train "${three[@]}" --out "$dir/pattern" --resume "${small[@]}" "${prompt[@]}" "${plan[@]}"
says 'trained on other data than .*day-1 and 2 more, or on these in another order'
expect 1 "$ESMM" train --data "$dir/day-1" --out "$dir/pattern" --resume "${small[@]}" "${prompt[@]}" "${plan[@]}"
says 'trained on other data than'

step "the same directory twice is refused"
expect 1 "$ESMM" train --data "$dir/day-1" --data "$dir/../${dir##*/}/day-1" --out "$dir/no"
says 'are the same directory: its impressions would count twice'
expect 2 "$ESMM" train --stream "$dir/day-1" --stream "$dir/day-2" --out "$dir/no"
says '^esmm train: --stream is given twice'

step "compare trains on all of them"
ok "$ESMM" compare "${three[@]}" --eval "$dir/day-*" --methods esmm --seeds 1 --bootstrap 0 --threads 1 \
    --set model.tower=16,8 --set table.dim=4 --set train.batch=256 --out "$dir/compared"
equal "impressions of the run" "$(number "$dir/compared/runs/esmm-1/summary.json" impressions)" 8000
