#!/usr/bin/env bash
# One Kafka node on loopback, for development and CI: fetched by Maven into .kafka/, run from there, nothing system-wide.
#
#   node.sh up           fetch the jars if need be, start the node, wait until it answers
#   node.sh down         stop it; its data stays in .kafka/
#   node.sh with CMD...  run CMD with the variables of the broker's tests set; starts and stops the node unless it runs
#
# Variables: KAFKA_PORT (19092), and KAFKA_CONTROLLER_PORT, KAFKA_SASL_PORT, KAFKA_TLS_PORT, KAFKA_SASL_TLS_PORT, which
# are the four ports behind it. Every KAFKA_PORT is a node of its own with its own data.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
home="$(cd "$here/../.." && pwd)/.kafka"

libs="$home/libs"

# use_port sets all that follows from the first port.
use_port() {
  port="$1"
  [[ "$port" =~ ^[1-9][0-9]{0,4}$ ]] || { echo "kafka: KAFKA_PORT: '$port': want a port" >&2; exit 2; }
  controller="${KAFKA_CONTROLLER_PORT:-$((port + 1))}"
  sasl="${KAFKA_SASL_PORT:-$((port + 2))}"
  tls="${KAFKA_TLS_PORT:-$((port + 3))}"
  sasl_tls="${KAFKA_SASL_TLS_PORT:-$((port + 4))}"
  node="$home/node-$port"
  properties="$node/server.properties"
  log="$node/log"
}
use_port "${KAFKA_PORT:-19092}"

start_wait=300 # seconds; 10 on an idle machine
stop_wait=60

say() { echo "kafka: $*" >&2; }
die() { say "$@"; exit 1; }

# want_tools names what is missing, and how Debian calls it.
want_tools() {
  local missing=()
  command -v java >/dev/null || missing+=(default-jre-headless)
  command -v openssl >/dev/null || missing+=(openssl)
  if ! current_libs; then command -v mvn >/dev/null || missing+=(maven); fi
  if [ ${#missing[@]} -gt 0 ]; then
    die "needs Java 17 or newer, Maven and OpenSSL. Here is missing (Debian packages): ${missing[*]}; install with: apt-get install --no-install-recommends ${missing[*]}"
  fi
  local version
  version="$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -1)"
  [ "${version:-0}" -ge 17 ] || die "needs Java 17 or newer, and 'java' is ${version:-of an unknown version} (Debian package: default-jre-headless)"
}

current_libs() { cmp -s "$here/pom.xml" "$libs/pom.xml"; }

# fetch copies the jars that pom.xml names. -C: a file whose checksum is wrong is refused.
fetch() {
  if current_libs; then return; fi
  say "fetching the jars of Apache Kafka $(sed -n 's/.*<kafka.version>\(.*\)<.*/\1/p' "$here/pom.xml") with Maven, some 45 MB ..."
  rm -rf "$libs.new"
  mkdir -p "$libs.new"
  mvn -B -q -ntp -C -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$libs.new" >&2 ||
    die "Maven could not fetch the jars: is its repository reachable from here?"
  cp "$here/pom.xml" "$libs.new/pom.xml"
  rm -rf "$libs"
  mv "$libs.new" "$libs"
  say "fetched $(find "$libs" -name '*.jar' | wc -l) jars into $libs"
}

# Small and quick to start: no second compiler, no garbage collector with threads of its own.
java=(java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError
  "-Dlog4j2.configurationFile=$here/log4j2.yaml" -cp "$libs/*")

# pid prints the number of the running node; a number that another process has by now is not it.
pid() {
  local n
  n="$(cat "$node/pid" 2>/dev/null)" || return 1
  ps -p "$n" -o args= 2>/dev/null | grep -qF "$properties" || return 1
  echo "$n"
}

# answers asks for the broker's versions (ApiVersions v0) and waits for the first byte, a zero, of the answer.
answers() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1" &&
      printf '\000\000\000\017\000\022\000\000\000\000\000\001\000\005carom' >&3 &&
      IFS= read -r -t 3 -d '' _ <&3
  ) 2>/dev/null
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# first_taken prints the first of our ports that somebody listens on.
first_taken() {
  local p
  for p in "$port" "$controller" "$sasl" "$tls" "$sasl_tls"; do
    if taken "$p"; then echo "$p"; return; fi
  done
  return 1
}

# make_secrets makes what the listeners with credentials and TLS need: a password, an authority, and what it signs.
make_secrets() {
  if [ -f "$node/secrets" ]; then return; fi
  (
    umask 077
    cd "$node"
    openssl rand -hex 16 >password
    local ec=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650)
    openssl req -x509 "${ec[@]}" -subj '/CN=carom test authority' -keyout ca.key -out ca.pem
    openssl req -x509 "${ec[@]}" -subj '/CN=stranger' -keyout stranger.key -out stranger.pem
    local name
    for name in broker client; do
      openssl req "${ec[@]}" -subj "/CN=$name" -keyout "$name.key" -out "$name.csr"
      openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out "$name.pem" \
        -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1')
    done
    cat broker.key broker.pem >broker.keystore.pem
    touch secrets
  ) >"$log" 2>&1 || { tail -5 "$log" >&2; die "openssl could not make the certificates"; }
}

write_properties() {
  local password
  password="$(cat "$node/password")"
  cat >"$properties" <<END
# Written by node.sh at every start.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=OPEN://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller,SASL://127.0.0.1:$sasl,TLS://127.0.0.1:$tls,SASLTLS://127.0.0.1:$sasl_tls
advertised.listeners=OPEN://127.0.0.1:$port,SASL://127.0.0.1:$sasl,TLS://127.0.0.1:$tls,SASLTLS://127.0.0.1:$sasl_tls
listener.security.protocol.map=OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL
inter.broker.listener.name=OPEN
controller.listener.names=CONTROLLER

sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_carom="$password";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
# This one takes SCRAM-SHA-512 only, and wants a certificate too.
listener.name.sasltls.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasltls.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasltls.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location=$node/broker.keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$node/ca.pem

log.dirs=$node/data
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0

# Small: a laptop runs this beside everything else.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
log.index.size.max.bytes=1048576
log.segment.delete.delay.ms=1000
END
}

# format prepares the data folder, once.
format() {
  if [ -f "$node/data/meta.properties" ]; then return; fi
  local id password
  id="$(openssl rand 16 | openssl base64 | tr '+/' 'ab' | tr -d '=')"
  password="$(cat "$node/password")"
  "${java[@]}" kafka.tools.StorageTool format --cluster-id "$id" --config "$properties" --ignore-formatted \
    --add-scram "SCRAM-SHA-256=[name=carom,password=$password]" --add-scram "SCRAM-SHA-512=[name=carom,password=$password]" >"$log" 2>&1 ||
    { tail -20 "$log" >&2; die "could not format $node/data"; }
}

start() {
  local p
  if p="$(first_taken)"; then die "port $p on 127.0.0.1 is in use by another process: choose with KAFKA_PORT (it and the four behind it must be free)"; fi
  format
  local detach=()
  if command -v setsid >/dev/null; then detach=(setsid); fi
  # The lock stays with this script. Without a session of its own the node would get the terminal's interrupts.
  ${detach[@]+"${detach[@]}"} nohup "${java[@]}" kafka.Kafka "$properties" </dev/null >"$log" 2>&1 9>&- &
  echo $! >"$node/pid"
}

failed() {
  say "$1; the end of $log:"
  tail -30 "$log" >&2
  exit 1
}

await() {
  local from=$SECONDS waited said=0
  until answers "$port"; do
    waited=$((SECONDS - from))
    pid >/dev/null || failed "the node has ended"
    if [ "$waited" -ge "$start_wait" ]; then
      kill "$(pid)" 2>/dev/null || true
      failed "no answer on 127.0.0.1:$port after $start_wait s"
    fi
    if [ $((waited - said)) -ge 5 ]; then said=$waited; say "waiting for 127.0.0.1:$port ... $waited s"; fi
    sleep 0.3
  done
}

up() {
  if pid >/dev/null && answers "$port"; then
    say "runs already on 127.0.0.1:$port"
    return
  fi
  want_tools
  fetch
  mkdir -p "$node"
  if ! pid >/dev/null; then
    make_secrets
    write_properties
    start
  fi
  await
  say "answers on 127.0.0.1:$port (SASL $sasl, TLS $tls, both $sasl_tls); stop it with 'make kafka-down'"
}

down() {
  local n from=$SECONDS
  if ! n="$(pid)"; then
    rm -f "$node/pid"
    say "no node of port $port runs"
    return
  fi
  kill "$n"
  while pid >/dev/null; do
    if [ $((SECONDS - from)) -ge "$stop_wait" ]; then
      say "still there after $stop_wait s: killing it"
      kill -9 "$n"
      break
    fi
    sleep 0.2
  done
  rm -f "$node/pid"
  say "stopped; its data stays in $node"
}

# lock keeps two runs of this script from starting one node twice.
lock() {
  mkdir -p "$home"
  if command -v flock >/dev/null; then
    exec 9>"$home/lock"
    flock -w 600 9 || die "another start or stop holds $home/lock"
  fi
}

unlock() { exec 9>&-; }

with() {
  [ $# -gt 0 ] || { say "usage: node.sh with CMD..."; exit 2; }
  local started=no code=0
  lock
  # Another checkout's node may have our ports; tests can do with any, unless they are told which.
  while [ -z "${KAFKA_PORT:-}" ] && ! pid >/dev/null && first_taken >/dev/null && [ "$port" -lt 20000 ]; do
    use_port $((port + 10))
  done
  if ! pid >/dev/null; then started=yes; fi
  up
  unlock
  if [ $started = yes ]; then trap 'lock; down' EXIT; fi
  CAROM_TEST_KAFKA="127.0.0.1:$port" \
    CAROM_TEST_KAFKA_SASL="127.0.0.1:$sasl" CAROM_TEST_KAFKA_TLS="127.0.0.1:$tls" CAROM_TEST_KAFKA_SASL_TLS="127.0.0.1:$sasl_tls" \
    CAROM_TEST_KAFKA_SECRETS="$node" "$@" || code=$?
  exit "$code"
}

case "${1:-}" in
  up) lock; up ;;
  down) lock; down ;;
  with) shift; with "$@" ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
