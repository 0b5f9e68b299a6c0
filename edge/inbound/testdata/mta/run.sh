#!/bin/sh
# Installs real MTAs and a mail sender (Debian, as root) and tests the SMTP server against them.
set -eu
cd "$(dirname "$0")/../../../.."

missing=
for package in postfix swaks libidn12; do # the last is for Exim
	dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
	apt-get update -qq
	# No questions, and no configuration: the test brings its own.
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi
CAROM_TEST_MTA=1 exec go test -count=1 -v -run '^Test(Postfix|Exim)$' ./edge/inbound
