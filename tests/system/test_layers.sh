#!/bin/bash
# The rooms of the house (docs/design.md): an include points down the layers, nouns include each other in
# no circle, a folder has at most 26 nouns, no two files of sibling folders have one name, and functions
# fit a screen.
set -euo pipefail
cd "$REPO"

perl -e '
use strict;
my $NOUNS_MAX = 26;
my @PARTS = qw(common coord ps worker tools tests/naive);

# Each folder, and what it may include beside itself. A folder stands for all that it may include, too.
my @LAYERS = (
    ["common/cpu"],
    ["common/fault"],
    ["common/base",       "common/cpu", "common/fault"],
    ["common/job",        "common/base"],
    ["common/field",      "common/job"],
    ["common/data",       "common/field"],
    ["common/metric",     "common/data"],
    ["common/checkpoint", "common/data"],
    ["common/net",        "common/metric", "common/checkpoint"],
    ["coord/grant",       "common/net"],
    ["coord/journal",     "common/net"],
    ["coord",             "coord/grant", "coord/journal"],
    ["ps/table",          "common/checkpoint"],
    ["ps",                "ps/table", "common/net"],
    ["worker/kernel",     "common/job"],
    ["worker/model",      "worker/kernel", "common/net"],
    ["worker",            "worker/model"],
    ["tools/common",      "coord", "ps", "worker"],
    ["tools/run",         "tools/common"],
    ["tools/score",       "tools/common"],
    ["tools/log",         "tools/common"],
    ["tools/prep",        "tools/log"],
    ["tools/synth",       "tools/common"],
    ["tools/records",     "tools/common"],
    ["tools/inspect",     "tools/common"],
    ["tools/export",      "tools/common"],
    ["tools/checkpoint",  "tools/common"],
    ["tools/compare",     "tools/run", "tools/score"],
    ["tools",             "tools/prep", "tools/synth", "tools/records", "tools/inspect", "tools/export",
                          "tools/checkpoint", "tools/compare"],
    ["tests/naive",       "worker", "ps"],
);
my %may;
for my $layer (@LAYERS) {
    my ($folder, @below) = @$layer;
    $may{$folder} = { $folder => 1, map { %{ $may{$_} } } @below };
}

my $failed = 0;
sub complain { print STDERR "@_\n"; $failed = 1 }

my @files = sort grep { m{\.[ch]$} } split /\n/, `find @PARTS -type f`;
my %is = map { $_ => 1 } @files;
my (%nouns, %room, %uses, %where, @lengths);

for my $file (@files) {
    my ($folder, $name) = $file =~ m{^(.*)/([^/]+)\.[ch]$};
    $may{$folder} or complain("$file: no layer has the folder $folder");
    $nouns{$folder}{$name} = 1;
    open my $in, "<", $file or die "$file: $!\n";
    my ($function, $begin);
    while (<$in>) {
        if (my ($path) = /^#include "([^"]+)"/) {
            my $target = $path =~ m{/} ? $path : "$folder/$path";
            next if $path =~ m{\.pb-c\.h$|^probe_script\.h$}; # generated
            $is{$target} or complain("$file:$.: includes $path, which is no file of $folder"), next;
            my ($there) = $target =~ m{^(.*)/};
            $may{$folder}{$there} or complain("$file:$.: $folder includes $target, which lies above or beside it");
            s/\.[ch]$// for (my ($from, $to) = ($file, $target));
            $uses{$from}{$to} = "$file:$." if $from ne $to;
        }
        if (/^\w.*\{$/ && /\(/ && !/^(struct|enum|union)\b[^(]*\{$/ || /^ {4,}.*\) \{$/ && !defined $begin && $function) {
            $begin = $.;
        }
        $function = /^\w[^;={]*\(/ ? 1 : $function; # a head that goes on in the next line
        if (/^\}/) {
            push @lengths, [$. - $begin + 1, "$file:$begin"] if defined $begin;
            ($begin, $function) = ();
        }
    }
    my $parent = $folder =~ m{^(.*)/} ? $1 : "";
    my $twin = $where{"$parent/*/" . ($file =~ m{([^/]+)$})[0]};
    complain("$file and $twin have one name") if $twin;
    $where{"$parent/*/" . ($file =~ m{([^/]+)$})[0]} = $file;
}

for my $folder (sort keys %nouns) {
    my $n = keys %{ $nouns{$folder} };
    complain("$folder has $n nouns, and should have at most $NOUNS_MAX") if $n > $NOUNS_MAX;
}

# Circles: a walk that comes back to a noun of its own path.
my (%state, @path, %told);
sub walk {
    my ($noun) = @_;
    $state{$noun} = 1;
    push @path, $noun;
    for my $next (sort keys %{ $uses{$noun} || {} }) {
        if (($state{$next} || 0) == 1) {
            my @circle = @path;
            shift @circle while $circle[0] ne $next;
            complain("circle: " . join(" -> ", @circle, $next) . " ($uses{$noun}{$next})");
        } elsif (!$state{$next}) {
            walk($next);
        }
    }
    pop @path;
    $state{$noun} = 2;
}
walk($_) for grep { !$state{$_} } sort keys %uses;

@lengths = sort { $a->[0] <=> $b->[0] } @lengths;
my $p99 = $lengths[int(0.99 * @lengths)][0];
complain("the 99th percentile of the lengths of functions is $p99 lines, and should be at most 35") if $p99 > 35;
complain("$$_[1]: a function of $$_[0] lines, of at most 70") for grep { $$_[0] > 70 } @lengths;
printf "%d files in %d folders, %d functions: median %d lines, p99 %d, longest %d\n", scalar @files,
    scalar keys %nouns, scalar @lengths, $lengths[@lengths / 2][0], $p99, $lengths[-1][0];
exit $failed;
'
