#!/bin/bash
# Jobs that are killed at random times and at named points count every impression exactly once an epoch: the first few
# trials of scripts/chaos.sh, which says more. And its fault points: named, unlike each other, enough of them.
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "skipped: needs python3"; exit 77; }

step "fault points"
"$ESMM" faults >"$dir/faults"
(cd "$REPO" && git grep -ohE 'FAULT\("[^"]*"\);' -- 'common/*.c' 'coord/*.c' 'ps/*.c' 'worker/*.c' 'tools/*.c') |
    sed 's/FAULT("//; s/");//' | LC_ALL=C sort >"$dir/written"
diff "$dir/written" <(LC_ALL=C sort "$dir/faults") >"$dir/out" || die "esmm faults has others than the sources"
equal "names that stand twice" "$(uniq -d "$dir/written")" ""
equal "names of another form" "$(grep -vE '^[a-z]+(\.[a-z]+){1,2}$' "$dir/written")" ""
[ "$(wc -l <"$dir/written")" -ge 60 ] || die "only $(wc -l <"$dir/written") points"
expect 2 env ESMM_FAULT=ps.push.aplied:1 "$ESMM" config
says "^esmm: ESMM_FAULT: 'ps.push.aplied:1' is not NAME:N"

# Small and short; the seeds are of trials that all kinds of faults reach.
small=(--impressions 3000 --passes 0.4 --keep "$dir/chaos")
step "a few trials"
ok "$REPO/scripts/chaos.sh" --esmm "$ESMM" --seed 8 --trials 4 --kinds kill,fault,twice,again "${small[@]}"
says "^all +4 +0 " "^[1-9][0-9]* signals and faults reached a process"

step "what was not counted is found"
cat >"$dir/once.py" <<'END'
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from array import array
from oracle import Oracle
one = {"once/emb.npy": array("f", [1, 1, 1]), "once/ids.npy": array("Q", [7, 8, 9]), "item/emb.npy": array("f", [3]),
       "user/emb.npy": array("f", [3])}
o = Oracle(one, 3)
def after(**change):
    two = {name: array(v.typecode, v if name.endswith("ids.npy") else [2 * x for x in v]) for name, v in one.items()}
    two.update({name.replace("_", "/") + ".npy": v for name, v in change.items()})
    return o.check(two, {"impressions": 6}, 2)
assert o.truth() == [] and after() == []
assert "1 too many, 0 too few" in after(once_emb=array("f", [2, 3, 2]))[0]
assert "0 too many, 1 too few" in after(item_emb=array("f", [5]))[0]
assert "2 values, expected 3" in after(once_emb=array("f", [2, 2]))[0]
assert after(once_ids=array("Q", [7, 8, 10])) and o.check({}, {"impressions": 5}, 2)
END
ok python3 "$dir/once.py" "$REPO/scripts/chaos"
step "done"
