#!/bin/bash
# The pages say what is there: docs/config.md is the output of `esmm config`, every page that a source
# mentions exists, and every relative link of a page resolves.
set -euo pipefail
cd "$REPO"
failed=0
complain() {
    echo "$*" >&2
    failed=1
}

# The table that begins with the header of `esmm config`, up to its end.
table=$(awk '/^\| key \| default \| range \| meaning \|$/ { on = 1 } on && !/^\|/ { exit } on' docs/config.md)
if ! difference=$(diff <(echo "$table") <("$ESMM" config)); then
    complain "docs/config.md (<) and 'esmm config' (>) differ:
$difference"
fi

mapfile -t sources < <(find . \( -name .git -o -name build -o -name runs \) -prune -o \
    -type f ! -name test_docs.sh -print)
while IFS=: read -r file page; do
    [ -e "$page" ] || complain "$file mentions $page, which does not exist"
done < <(grep -HoIE '\<docs/[A-Za-z0-9_-]+\.md\>' "${sources[@]}" | sed 's|^\./||' | sort -u)

# Text outside of fenced code, a line each: FILE <tab> TEXT.
mapfile -t pages < <(find . \( -name .git -o -name build -o -name runs \) -prune -o \
    -type f -name '*.md' -print | sed 's|^\./||')
text() {
    awk -v OFS='\t' 'FNR == 1 { fenced = 0 } /^ *```/ { fenced = !fenced; next } !fenced { print FILENAME, $0 }' \
        "${pages[@]}"
}
links=0
while IFS=$'\t' read -r file target; do
    target=${target%%#*}
    links=$((links + 1))
    if [ -n "$target" ]; then
        [ -e "$(dirname "$file")/$target" ] ||
            complain "$file links to $target, which does not exist"
    fi
done < <(text | perl -ne 'my ($f, $l) = split /\t/, $_, 2;
    while ($l =~ /\]\(([^)\s]+)\)/g) { print "$f\t$1\n" unless $1 =~ /^[a-z]+:/ }')

# A page named in passing, as in `rows.md`, is one of docs/.
while IFS=$'\t' read -r file name; do
    [ -e "docs/$name" ] || [ -e "$(dirname "$file")/$name" ] || [ -e "$name" ] ||
        complain "$file names $name, which does not exist"
done < <(text | perl -ne 'my ($f, $l) = split /\t/, $_, 2;
    while ($l =~ /`([A-Za-z0-9_-]+\.md)`/g) { print "$f\t$1\n" }' | sort -u)

echo "${#pages[@]} pages, $links links, $(($(wc -l <<<"$table") - 2)) configuration keys"
exit "$failed"
