#!/bin/sh
# What a request costs the harness, beside wrk, on a server that does nothing: fasthttp that answers with a pixel. CPU
# time is user and system of the sending process, divided by its requests; all rounds are interleaved. Then, how late
# the harness starts requests at several rates.
#
#	CAROM=bin/carom ROUNDS=5 SECONDS_EACH=4 CONNECTIONS='64 256' RATES='1000 10000 20000' bench/wire/selfhttp.sh
set -eu
carom=${CAROM:-bin/carom} rounds=${ROUNDS:-5} each=${SECONDS_EACH:-4} connections=${CONNECTIONS:-64 256} rates=${RATES:-1000 10000 20000}
command -v wrk >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk; }

dir=$(mktemp -d)
"$carom" bench null http >"$dir/address" &
server=$!
trap 'kill "$server"; rm -rf "$dir"' EXIT
while ! test -s "$dir/address"; do sleep 0.1; done
url=http://$(cat "$dir/address")/o/x.gif

# theirs NAME CONNECTIONS: wrk, with one thread as the harness has.
theirs() {
	TIMEFORMAT='cpu %U %S' bash -c 'time wrk -t1 "$@"' - -c"$2" -d"${each}s" "$url" >"$dir/wrk" 2>&1
	awk -v name="$1" '/requests in/ { n = $1 } /^Requests\/sec/ { rate = $2 } /^cpu/ { printf "%s\t%.2f\t%.0f\n", name, 1e6 * ($2 + $3) / n, rate }' "$dir/wrk" >>"$dir/all"
}

# ours NAME ARGUMENT...
ours() {
	name=$1
	shift
	"$carom" bench http "$@" --duration "${each}s" --json "$dir/json" >/dev/null 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
	python3 - "$dir/json" "$name" >>"$dir/all" <<'PYTHON'
import json, sys
r = json.load(open(sys.argv[1]))
row = [sys.argv[2], "%.2f" % (1e6 * r["harness"]["cpu_seconds"] / (r["requests"] + r["failed"])), "%.0f" % r["rate"]]
late = {p["p"]: p["us"] for p in r["lateness"]["percentiles"] or []}
if late:
    row += ["%.0f" % late[50], "%.0f" % late[99]]
print("\t".join(row))
PYTHON
}

"$carom" keys new >"$dir/keys.yaml"
for _ in $(seq "$rounds"); do
	for n in $connections; do
		theirs "wrk -t1 -c$n" "$n"
		ours "carom, $n connections" "$url" --connections "$n" --warmup 0s
	done
	ours "carom, 64 connections, minted" "${url%/o/*}" --keys "$dir/keys.yaml" --warmup 1s
	for rate in $rates; do
		ours "carom, $rate a second" "$url" --rate "$rate" --warmup 1s
	done
done

echo "HTTP requests on a server that does nothing, $rounds rounds of $each s: median (least to most)"
python3 - "$dir/all" <<'PYTHON'
import statistics, sys
rows = {}
for line in open(sys.argv[1]):
    name, *values = line.rstrip("\n").split("\t")
    rows.setdefault(name, []).append([float(v) for v in values])
print("  %-32s %24s %22s   %s" % ("", "CPU of the sender, µs", "requests a second", "lateness µs: p50, p99"))
for name, values in rows.items():
    columns = list(zip(*values))
    text = ["%.*f (%.*f to %.*f)" % (d, statistics.median(c), d, min(c), d, max(c)) for c, d in zip(columns, [2, 0, 0, 0])]
    print("  %-32s %24s %22s   %s" % (name, text[0], text[1], ", ".join(text[2:])))
PYTHON
