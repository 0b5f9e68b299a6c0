#!/bin/sh
# What a mail costs the harness, beside Postfix's smtp-source, on a server that discards: Postfix's smtp-sink. CPU time is
# user and system of the sending process, divided by its mails; all rounds are interleaved.
#
#	CAROM=bin/carom ROUNDS=5 MAILS=20000 SESSIONS=50 SIZE=3000 bench/wire/selfsmtp.sh
set -eu
carom=${CAROM:-bin/carom} rounds=${ROUNDS:-5} mails=${MAILS:-20000} sessions=${SESSIONS:-50} size=${SIZE:-3000}

dir=$(mktemp -d)
sink=
trap 'test -z "$sink" || kill "$sink"; rm -rf "$dir"' EXIT
if ! command -v smtp-source >/dev/null; then # unpacked, not installed: no mail server is to run here
	(cd "$dir" && apt-get download -qq postfix >/dev/null && dpkg -x postfix_*.deb . )
	PATH=$PATH:$dir/usr/sbin
	LD_LIBRARY_PATH=$dir/usr/lib/postfix
	export LD_LIBRARY_PATH
fi

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
user=
test "$(id -u)" != 0 || user="-u nobody"
smtp-sink $user "127.0.0.1:$port" 1024 >/dev/null 2>&1 &
sink=$!
sleep 1

{
	printf 'From: bob@example.net\nTo: alice@example.com\nSubject: x\n\n'
	awk -v size="$size" 'BEGIN { for (n = 100; n < size; n += 66) { for (i = 0; i < 64; i++) printf "X"; print "" } }'
} >"$dir/mail.eml"

# source_ NAME COUNT ARGUMENT...: the CPU time of a mail from smtp-source, in microseconds.
source_() {
	name=$1 count=$2
	shift 2
	TIMEFORMAT='%U %S' bash -c 'time smtp-source "$@"' - -s "$sessions" -m "$count" -l "$size" -f a@example.com -t b@example.com "$@" "127.0.0.1:$port" 2>"$dir/time"
	awk -v name="$name" -v n="$count" '{ printf "%s\t%.1f\n", name, 1e6 * ($1 + $2) / n }' "$dir/time" >>"$dir/all"
}

# ours NAME ARGUMENT...: the same of carom bench smtp, by its own account, which leaves out the start of the process.
ours() {
	name=$1
	shift
	"$carom" bench smtp "127.0.0.1:$port" --connections "$sessions" --duration 4s --warmup 1s --json "$dir/json" "$@" >/dev/null 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
	python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print("%s\t%.1f" % (sys.argv[2], 1e6 * r["harness"]["cpu_seconds"] / (r["requests"] + r["failed"])))' "$dir/json" "$name" >>"$dir/all"
}

own="--mails $dir/mail.eml --from a@example.com --to b@example.com"
"$carom" keys new >"$dir/keys.yaml"
for _ in $(seq "$rounds"); do
	source_ 'smtp-source, connections reused' "$mails" -d
	ours 'carom, --pipelining=false' $own --pipelining=false
	ours 'carom, pipelining' $own
	ours 'carom, pipelining, mails generated' --keys "$dir/keys.yaml" --size "$size"
	source_ 'smtp-source, a connection a mail' $((mails / 4))
	ours 'carom, --reuse=false --pipelining=false' $own --reuse=false --pipelining=false
	ours 'carom, --reuse=false' $own --reuse=false
done

echo "CPU time of the sender, in microseconds a mail of $size bytes, $sessions sessions, $rounds rounds: median, least, most"
python3 - "$dir/all" <<'PYTHON'
import statistics, sys
rows = {}
for line in open(sys.argv[1]):
    name, value = line.split("\t")
    rows.setdefault(name, []).append(float(value))
for name, values in rows.items():
    print("  %-42s %7.1f %7.1f %7.1f" % (name, statistics.median(values), min(values), max(values)))
PYTHON
