#!/bin/sh
# Installs what Carom is compared with: nginx, smtp-sink and smtp-source (Postfix) and wrk from Debian (as root), and
# Haraka from npm into bin/peers. What is there already stays as it is. No service is started, now or at the next boot.
set -eu
cd "$(dirname "$0")/../.."
HARAKA=Haraka@3.3.4

# A fresh package's commands may be missing in a PATH that lacks sbin.
PATH="$PATH:/usr/sbin:/sbin"

packages=
for pair in nginx:nginx-light smtp-sink:postfix wrk:wrk node:nodejs npm:npm; do
	command -v "${pair%:*}" >/dev/null || packages="$packages ${pair#*:}"
done

if [ -n "$packages" ]; then
	# Debian starts a service when it installs it, unless this file says no. One that is there already is somebody's.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	apt-get update -qq
	# No questions, and no configuration: every peer gets its own for a round.
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
	if command -v systemctl >/dev/null; then
		case "$packages" in *nginx*) systemctl disable -q nginx || true ;; esac
		case "$packages" in *postfix*) systemctl disable -q postfix || true ;; esac
	fi
fi

if [ ! -e bin/peers/haraka/node_modules/Haraka/package.json ]; then
	mkdir -p bin/peers/haraka
	# Without its optional parts (a mail queue in Redis, spam filters), none of which take part.
	npm install --prefix bin/peers/haraka --omit=optional --no-audit --no-fund --loglevel=error "$HARAKA"
fi
