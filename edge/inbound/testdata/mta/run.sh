#!/bin/sh
# Installs a real MTA and a mail sender (Debian, as root) and tests the SMTP server against them.
set -eu
cd "$(dirname "$0")/../../../.."

missing=
for command in postfix swaks; do
	command -v "$command" >/dev/null || missing="$missing $command"
done
if [ -n "$missing" ]; then
	apt-get update -qq
	# No questions, and no configuration: the test brings its own.
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi
CAROM_TEST_MTA=1 exec go test -count=1 -v -run 'TestPostfix' ./edge/inbound
