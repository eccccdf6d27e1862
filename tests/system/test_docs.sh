#!/bin/bash
# The pages say what is there: docs/config.md is the output of `esmm config`, every page that a source
# mentions exists, every relative link of a page resolves, and names in comments and pages are names of code.
set -euo pipefail
cd "$REPO"
failed=0
complain() {
    echo "$*" >&2
    failed=1
}

# What stands between `<!-- esmm WORDS -->` and `<!-- end -->` is the output of that command: tables of options
# and of keys. `test_docs.sh --write` puts it there.
made() { # PAGE: the page as it should be
    perl -0777 -pe 's{^(<!-- esmm ([a-z -]+) -->\n).*?^(<!-- end -->)$}{
        my ($head, $words, $end) = ($1, $2, $3);
        my $out = qx{"$ENV{ESMM}" $words};
        $? == 0 or die "esmm $words failed\n";
        $head . $out . $end}gmse' "$1"
}
for page in docs/*.md; do
    if [ "${1:-}" = --write ]; then
        made "$page" >"$page.new" && mv "$page.new" "$page"
    elif ! difference=$(diff "$page" <(made "$page")); then
        complain "$page (<) is not what esmm prints (>); tests/system/test_docs.sh --write mends it:
$difference"
    fi
done
for command in $("$ESMM" --help | sed -nE 's/^  ([a-z]+) .*/\1/p'); do
    case $command in
    config | faults) ;; # have none
    *) grep -q "^<!-- esmm $command --markdown -->$" docs/*.md || complain "no page has the options of esmm $command" ;;
    esac
done

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

# A name with an underscore, in a comment of a source or on a page, is one that some code has, or of
# which it is said here that it is not ours: the words of formulas and of other people's programs.
# (One or two letters after the last underscore, or one before the first, are an index of a formula.)
others="neg_below neg_tie l2_ftrl unordered_map sample_test sample_train sample_skeleton_test
    common_features_test common_index new_user_class_level"
while IFS= read -r name; do
    complain "$name, which no code has"
done < <(printf '%s\n' "${sources[@]}" | perl -ne '
    BEGIN { $others{$_} = 1 for split " ", shift @ARGV }
    chomp; s{^\./}{}; my $file = $_;
    next if $file =~ m{^findings/|^docs/logs\.md$|\.(txt|tsv|manifest)$}; # names of others
    (my $base = $file) =~ s{.*/|\.\w+$}{}g;
    @code{$base, "system_$base"} = (1, 1);
    open my $in, "<", $file or next;
    my $text = do { local $/; <$in> };
    if ($file =~ /\.md$/) { push @said, [$file, $text]; next }
    if ($file =~ /\.[ch]$/) { # comments aside; strings are code
        $text =~ s{("(?:[^"\\\n]|\\.)*"|\x27(?:[^\x27\\\n]|\\.)*\x27)|(/\*.*?\*/)}
                  {if (defined $2) { push @said, [$file, $2]; " " } else { $1 }}gse;
    }
    $code{$_} = 1 for $text =~ /\w+/g;
    END {
        my %told;
        for (@said) {
            my ($file, $text) = @$_;
            for ($text =~ m{(?<![\w./-])([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?!\w)}g) {
                next if $code{$_} || $others{$_} || /_[a-z0-9]{1,2}$/ || /^[a-z]_/ || $told{"$file$_"}++;
                print "$file names $_\n";
            }
        }
    }' "$others")

echo "${#pages[@]} pages, $links links, $(cat docs/*.md | grep -c "^<!-- esmm ") printed tables"
exit "$failed"
