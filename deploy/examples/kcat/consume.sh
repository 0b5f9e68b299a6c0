#!/usr/bin/env bash
# An example of a consumer of refined events with kcat and awk: prints the new events since its last run, one JSON object a
# line, and ends. Repeats are dropped, in a run and from run to run.
#
#   apt-get install kcat
#   ./consume.sh 127.0.0.1:19092                  # topic carom.events, state in ./events.state
#   ./consume.sh 127.0.0.1:19092 PREFIX.events FILE
#
#   kcat ─▶ partition, offset, headers, value ─▶ awk: ce_origin after the last? ─▶ stdout
#                                                  └─▶ state file, replaced when all is printed
#
# The state file has a line `next PARTITION OFFSET` for each partition of the topic, and a line
# `last PARTITION ORIGIN-PARTITION OFFSET N` for each partition of carom.raw that its events came from. Last origins are kept
# for each partition of the topic, because across partitions they are in no order; and with the offsets, because a repeat may
# stand after what an earlier run has read.
#
# If a run fails, the state stays as it was, and the next run prints again what this one has printed.
set -euo pipefail
broker="${1:?usage: consume.sh HOST:PORT [TOPIC [STATE FILE]]}"
topic="${2:-carom.events}"
state="${3:-events.state}"

touch "$state"
rm -f "$state.new" # of a run that failed
partitions="$(kcat -L -b "$broker" -t "$topic" | awk '$1 == "partition" { sub(",", "", $2); print $2 }')"
[ -n "$partitions" ] || { echo "consume.sh: $broker has no topic $topic" >&2; exit 1; }

read_new() {
  local p from
  for p in $partitions; do
    from="$(awk -v p="$p" '$1 == "next" && $2 == p { print $3 }' "$state")"
    # error: what retention took before we came is not passed over silently.
    kcat -C -q -e -b "$broker" -t "$topic" -p "$p" -o "${from:-beginning}" -X topic.auto.offset.reset=error \
      -f '%p\t%o\t%h\t%s\n'
  done
}

read_new | awk -F '\t' -v state="$state" '
  BEGIN {
    while ((getline line < state) > 0) {
      split(line, f, " ")
      if (f[1] == "next") next_offset[f[2]] = f[3]
      if (f[1] == "last") { last_offset[f[2] " " f[3]] = f[4]; last_n[f[2] " " f[3]] = f[5] }
    }
    close(state)
  }
  {
    next_offset[$1] = $2 + 1
    headers = "," $3 ","
    if (!match(headers, /,ce_origin=[0-9]+\/[0-9]+\/[0-9]+,/)) {
      print "consume.sh: partition " $1 ", offset " $2 ": no header ce_origin: not a record of Carom" > "/dev/stderr"
      failed = 1
      exit 1
    }
    split(substr(headers, RSTART + 11, RLENGTH - 12), o, "/") # partition, offset, n
    key = $1 " " o[1]
    if (key in last_n && (o[2] + 0 < last_offset[key] + 0 || o[2] + 0 == last_offset[key] + 0 && o[3] + 0 <= last_n[key] + 0)) next
    last_offset[key] = o[2]; last_n[key] = o[3]
    print $4
  }
  END {
    if (failed) exit 1
    for (p in next_offset) printf "next %s %.0f\n", p, next_offset[p] > (state ".new")
    for (key in last_n) print "last", key, last_offset[key], last_n[key] > (state ".new")
  }'
if [ -f "$state.new" ]; then mv "$state.new" "$state"; fi
