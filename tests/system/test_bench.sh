#!/bin/bash
# The bench runs: every part at its quick size, tables and picture made of its numbers. Its times are not
# looked at.
. "$REPO/tests/system/lib.sh"

build=$(dirname "$ESMM")
if ! command -v python3 >/dev/null; then
    echo "skipped: the bench needs python3"
    exit 77
elif [ ! -x "$build/bench_server" ]; then
    echo "skipped: the benches are not built (cmake --build ... --target benches)"
    exit 77
fi

step "every part, quick"
ok python3 "$REPO/bench/run.py" --quick --build "$build" --out "$dir/bench" --tmp "$TMPDIR"
says "^skipped: the peer"
for part in machine system server parts shard timer model table growth tools; do
    says "^\{\"part\": \"$part\""
done

step "tables and picture"
ok python3 "$REPO/bench/report.py" "$dir/bench/results.jsonl" --svg "$dir/roofline.svg"
for title in "The whole system" "By stage" "The server alone" "The model alone" Parts Growth Tools; do
    says "^### $title"
done
ok python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "$dir/roofline.svg"

step "into a page, between its marks only"
printf 'before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n' >"$dir/page.md"
ok python3 "$REPO/bench/report.py" "$dir/bench/results.jsonl" --into "$dir/page.md"
equal "first line" "$(head -n 1 "$dir/page.md")" before
equal "last line" "$(tail -n 1 "$dir/page.md")" after
equal "old lines" "$(grep -cx old "$dir/page.md")" 0

step "an unknown part is refused"
expect 1 python3 "$REPO/bench/run.py" --quick --build "$build" --out "$dir/x" --parts nothing
says "unknown part nothing"
