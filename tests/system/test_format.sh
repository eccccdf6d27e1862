#!/bin/bash
# The sources look as .clang-format says, and no line of theirs is beyond 100 columns but for a string.
set -euo pipefail
cd "$REPO"
version=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
if [ "$version" != 14 ]; then
    echo "skipped: needs clang-format 14 (Debian 12's), other versions break lines elsewhere"
    exit 77
fi
mapfile -t sources < <(find common coord ps worker tools tests bench -name '*.[ch]')
failed=0
if ! clang-format --dry-run -Werror "${sources[@]}" >/dev/null 2>&1; then
    clang-format --dry-run "${sources[@]}" 2>&1 | grep warning | head -20 >&2 || true
    echo "run: clang-format -i FILE" >&2
    failed=1
fi
if awk 'length > 100 && !/"/ { print FILENAME ":" FNR ": " length " columns"; found = 1 } END { exit found }' \
    "${sources[@]}" >&2; then :; else failed=1; fi
echo "${#sources[@]} files"
exit "$failed"
