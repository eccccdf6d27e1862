#!/bin/bash
# Shards made by different schemas: whatever brings two of them together refuses, naming both sides, or says
# what it cannot know.
. "$(dirname "$0")/lib.sh"

# schema NAME [sed script]: the one that all logs here are prepared by, changed by the script.
schema() {
    cat >"$dir/base.ini" <<'INI'
[log]
missing = NULL
impression = id
click = click
conversion = buy
user = user, age
item = item, tags
[column.item]
kind = id
[column.age]
kind = numeric
uniform = 0, 100, 20
[column.tags]
multi = |
INI
    sed "${2:-}" "$dir/base.ini" >"$dir/$1.ini"
}
# log FROM TO [format of an item's id]: rows FROM to TO of one endless log.
log() {
    awk -v from="$1" -v to="$2" -v item="${3:-%d}" 'BEGIN {
        print "id,click,buy,user,age,item,tags"
        for (i = from; i < to; i++) {
            u = (i * 7919) % 97; k = (i * 104729) % 61
            printf "%d,%d,%d,u%d,%d," item ",t%d|t%d\n", i, i % 3 == 0, i % 6 == 0, u, u, k + 1000, k % 5, k % 7
        }
    }'
}
prepare() { # schema, log
    ok "$ESMM" prep --format csv --schema "$dir/$1.ini" --input "$dir/$2.csv" --out "$dir/$1-$2"
}
train() { # in place of lib.sh's
    "$ESMM" train --servers 1 --workers 1 --set train.batch=256 --set model.tower=8 "$@"
}

step "logs and schemas"
log 0 4000 >"$dir/old.csv"
log 4000 6000 >"$dir/new.csv"
schema base
schema hash '/^\[column.item\]/,/^kind/d'
schema steps 's/uniform = .*/uniform = 0, 100, 10/'
schema wide 's/uniform = .*/uniform = 0, 200, 20/'
schema single '/^\[column.tags\]/,/^multi/d'
schema missing 's/^missing = NULL/missing = -/'
schema moved 's/^user = .*/user = user/; s/^item = .*/item = item, tags, age/'
schema fewer 's/^item = .*/item = item/; /^\[column.tags\]/,/^multi/d'
prepare base old
for s in base hash steps wide single missing moved fewer; do
    prepare $s new
done

step "train --eval, before anything begins"
refused() { # schema, field, what the one side has, the other
    expect 1 train --data "$dir/base-old" --eval "$dir/$1-new" --out "$dir/never"
    says "field '$2': $dir/base-old has $3; $dir/$1-new has $4"
    [ ! -e "$dir/never" ] || die "$dir/never was made"
}
refused hash item "kind = id" "kind = hash:"
refused steps age "kind = numeric, 21 bounds from 0 to 100" "kind = numeric, 11 bounds from 0 to 100"
refused wide age "kind = numeric, 21 bounds from 0 to 100" "kind = numeric, 21 bounds from 0 to 200 .bound 2 is 5 and 10"
refused single tags "kind = hash, multi = [|]" "kind = hash:"

step "warnings of train --eval on the terminal"
ok train --data "$dir/base-old" --eval "$dir/base-new" --out "$dir/run"
grep -q "warning" "$dir/out" && die "a warning where nothing differs"
ok train --data "$dir/base-old" --eval "$dir/missing-new" --out "$dir/run-missing"
says "warning: field 'age' .and 3 more.: $dir/base-old has missing = 'NULL'; $dir/missing-new has missing = '-'"
ok train --data "$dir/base-old" --eval "$dir/moved-new" --out "$dir/run-moved"
says "warning: field 'age': $dir/moved-new has it on the item side, $dir/base-old on the user side: the model" \
    "warning: field 'age': $dir/base-old has it on the user side, $dir/moved-new on the item side: it counts as empty"
ok train --data "$dir/base-old" --eval "$dir/fewer-new" --out "$dir/run-fewer"
says "warning: field 'tags': $dir/base-old has it on the item side, $dir/fewer-new does not have it: it counts"

step "eval, predict, compare, resume"
for s in hash steps wide single; do
    for command in "eval" "predict --out $dir/p.csv"; do
        expect 1 "$ESMM" $command --checkpoint "$dir/run" --data "$dir/$s-new"
        says "field '[a-z]*': the checkpoint $dir/run/checkpoints/step-[0-9]* was trained with kind = [a-z]*.*; $dir/$s-new has"
    done
    expect 1 "$ESMM" compare --data "$dir/base-old" --eval "$dir/$s-new" --out "$dir/table"
    says "field '[a-z]*': $dir/base-old has .*; $dir/$s-new has"
    expect 1 train --data "$dir/$s-new" --out "$dir/run" --resume
    says "cannot resume.*: field '[a-z]*': the checkpoint $dir/run/checkpoints/step-[0-9]* was trained with .*; $dir/$s-new has"
done
ok "$ESMM" eval --checkpoint "$dir/run" --data "$dir/missing-new"
says "warn .*missing = 'NULL'; .*missing = '-'"
[ ! -e "$dir/p.csv" ] && [ ! -e "$dir/table" ] || die "something was written"

step "inspect --text goes by the schema in the checkpoint"
inspect() { "$ESMM" inspect "$dir/run" "$@"; }
same_row() { # key, text
    inspect --key "$1" >"$dir/by_key" 2>&1 || die "no row $1"
    ok inspect --text "$2"
    cmp -s "$dir/by_key" "$dir/out" || die "--text $2 is not --key $1"
}
same_row item:1005 item:1005
same_row item:1005 item:0001005.0
same_row item:1005 "item: 1005"
same_row age:10 age:47
same_row age:1 age:0
expect 1 inspect --text age:NULL
says "'NULL' is no value of field 'age', but a missing one"
ok inspect --text user:u3
hashed=$(sed -n 's/^key  *user:\([0-9]*\),.*/\1/p' "$dir/out")
same_row "user:$hashed" user:u3
expect 1 inspect --text user:u333
says "has no row user:"
expect 2 inspect --text "tags:t1|t2"
says "has the separator of field 'tags' in it: one value at a time"
expect 1 inspect --text item:1005x
says "'1005x', field 'item' .kind = id.: a feature id is not a number"
expect 1 inspect --text nothing:1
says "begins with none of its fields"
expect 2 inspect --text item
expect 2 inspect --text item:1005 --key item:1005
ok inspect --json --text item:1005
says '"field":"item","id":1005,'
ok inspect
says "^age +kind = numeric, 21 bounds from 0 to 100$" "^tags +kind = hash, multi = [|]$"
ok "$ESMM" inspect "$dir/base-new"
says "^item +item +2000  kind = id$"

step "exports say it too"
ok "$ESMM" export "$dir/run" --out "$dir/npy"
tr -d ' \n' <"$dir/npy/manifest.json" >"$dir/out"
says '"texts":[{]"kind":"numeric","bounds":.0,5,1e[+]01,15,' '"texts":[{]"kind":"hash","hash":"xxh3-64","multi":124,"missing":."NULL"'
ok "$ESMM" export "$dir/run" --format dump --out "$dir/dump"
tr -d ' \n' <"$dir/dump/fields.json" >"$dir/out"
says '"item":[{]"kind":"id","missing":."NULL".[}]'

step "shards of an older version: unknown, once"
cat >"$dir/golden.ini" <<'INI'
[log]
impression = id
click = c
conversion = b
user = u
item = i, age
[column.i]
kind = id
[column.age]
kind = numeric
bounds = 18, 25
INI
(
    echo id,c,b,u,i,age
    for k in $(seq 1 40); do echo "$k,$((k % 2)),$((k % 4 == 1)),u$((k / 4)),$((k % 7)),$k"; done
) >"$dir/log.csv"
prepare golden log
cp -r "$dir/golden-log" "$dir/older"
cp "$REPO/tests/golden/old_shards.manifest" "$dir/older/manifest"
ok "$ESMM" inspect "$dir/older" --verify
unknown="field 'u' .and 2 more.: .* has kind = hash; $dir/older has kind = unknown: an older version or another"
ok train --data "$dir/golden-log" --eval "$dir/older" --out "$dir/run-golden"
says "warning: $unknown"
equal "warnings" "$(grep -c "does not say how texts became ids" "$dir/out")" 1
ok "$ESMM" eval --checkpoint "$dir/run-golden" --data "$dir/older"
says "warn .*field 'u' .and 2 more.: .* was trained with kind = hash; $dir/older has kind = unknown"
equal "warnings" "$(grep -c "does not say how texts became ids" "$dir/out")" 1
ok train --data "$dir/older" --out "$dir/run-older"
ok "$ESMM" eval --checkpoint "$dir/run-older" --data "$dir/golden-log"
says "warn .*field 'u' .and 2 more.: .* was trained with kind = unknown; $dir/golden-log has kind = hash"
expect 1 "$ESMM" inspect "$dir/run-older" --text i:3
says "field 'i': .* does not say how texts became ids .*: give the id, --key i:ID"

step "records of a stream say it too"
times() { # schema
    sed -i 's/^user = /time = t\nconversion_time = t2\nuser = /' "$dir/$1.ini"
}
schema timed
times timed
schema timed-hash '/^\[column.item\]/,/^kind/d'
times timed-hash
awk 'NR == 1 { print $0 ",t,t2" } NR > 1 { t = 1600000000 + NR * 60; print $0 "," t "," t + 30 }' \
    "$dir/old.csv" >"$dir/stream.csv"
prepare timed stream
prepare timed-hash stream
ok "$ESMM" records --data "$dir/timed-stream" --out "$dir/records" --stream es-dfm
ok "$ESMM" inspect "$dir/records" --json
says '"name":"item","side":"item","values":null,"kind":"id"' '"name":"tags",[^{]*"kind":"hash","hash":"xxh3-64","multi":124'
expect 1 "$ESMM" train --stream "$dir/records" --eval "$dir/hash-new" --out "$dir/never"
says "field 'item': $dir/records has kind = id; $dir/hash-new has kind = hash"
ok "$ESMM" records --data "$dir/timed-hash-stream" --out "$dir/records-hash" --stream es-dfm
follow() {
    "$ESMM" train --servers 1 --workers 1 --set train.batch=256 --set model.tower=8 --set model.delay=es-dfm \
        --out "$dir/run-stream" "$@"
}
ok follow --stream "$dir/records"
expect 1 follow --stream "$dir/records-hash" --resume
says "cannot resume.*: field 'item': the checkpoint .* was trained with kind = id; $dir/records-hash has kind = hash"

step "values without a row: the same share wherever it is counted, and no cry of wolf"
ok train --data "$dir/base-old" --eval "$dir/base-new" --out "$dir/run-seen" --set train.epochs=2
says "^field +values +without row +new in training$" "^user +2000 +0 % +2.425 %$" "^item +2000 +0 % +1.525 %$"
grep -q "warning" "$dir/out" && die "a warning where nothing is wrong"
log 4000 6000 | sed 's/,u5,/,u500,/' >"$dir/some.csv" # one user in 97 is new
prepare base some
ok train --data "$dir/base-old" --eval "$dir/base-some" --out "$dir/run-some"
says "^user +2000 +1 % +2.425 %$"
grep -q "warning" "$dir/out" && die "a warning where little is new"
ok "$ESMM" eval --checkpoint "$dir/run-some" --data "$dir/base-some" --json
cp "$dir/out" "$dir/eval.json"
for key in values unseen share share_first; do
    equal "$key" "$(sed 's/.*"user"//' "$dir/eval.json" | grep -oE "\"$key\": ?[0-9.]*" | head -n 1 | grep -oE '[0-9.]+$')" \
        "$(sed -n '/"user": {/,$p' "$dir/run-some/summary.json" | grep -oE "\"$key\": ?[0-9.]*" | head -n 1 | grep -oE '[0-9.]+$')"
done

step "ids written otherwise than in the training log"
prepare hash old
ok train --data "$dir/hash-old" --out "$dir/run-hash"
for format in "%d.0" " %d" "%06d"; do
    log 4000 6000 "$format" >"$dir/other.csv"
    rm -rf "$dir/hash-other"
    prepare hash other
    doubt="field 'item': the model has no row for 100 % of its values, where at most 1.525 % were to be expected"
    rm -rf "$dir/run-other"
    ok train --data "$dir/hash-old" --eval "$dir/hash-other" --out "$dir/run-other"
    says "warning: $doubt" "^item +2000 +100 % +1.525 %  !$"
    grep -q "$doubt" "$dir/run-other/logs/coord-0.log" || die "the coordinator's log does not say it"
    if [ "$format" = "%d.0" ]; then
        hosts_here
        ok train --data "$dir/hash-old" --eval "$dir/hash-other" --out "$dir/run-far" "${here[@]}"
        says "^warning: field 'item': the model has no row for 100 % of its values"
    fi
    ok "$ESMM" eval --checkpoint "$dir/run-hash" --data "$dir/hash-other"
    says "warn .*$doubt" "^item +2000 +100 % +1.525 %  !$"
    ok "$ESMM" predict --checkpoint "$dir/run-hash" --data "$dir/hash-other" --out "$dir/p.csv"
    says "warn .*$doubt" "^item +2000 +100 % +1.525 %  !$"
    equal "warnings" "$(grep -c "were to be expected" "$dir/out")" 1
    rm -rf "$dir/base-other" # kind = id reads them all as the same number
    prepare base other
    ok "$ESMM" eval --checkpoint "$dir/run" --data "$dir/base-other"
    says "^item +2000 +0 % +1.525 %$"
done

step "a column without a value is a field"
log 0 2000 | sed 's/u[0-9]*,[0-9]*,/,NULL,/' >"$dir/empty.csv"
prepare base empty
says "^age +user +0$" "^user +user +0$"
ok train --data "$dir/base-empty" --eval "$dir/base-new" --out "$dir/run-empty" --set field.age.dim=4 \
    --set model.input=concat
says "warning: field 'age': the model has no row for 100 % of its values, where at most 0 %" "^tags +4000 +0 % +0.175 %$"
grep -q "item" <(grep warning "$dir/out") && die "a warning of item"
ok "$ESMM" eval --checkpoint "$dir/run-empty" --data "$dir/base-empty"
says "^age +0 +0 % +0 %$"
grep -q "warn" "$dir/out" && die "a warning where no value is"
echo "passed"
