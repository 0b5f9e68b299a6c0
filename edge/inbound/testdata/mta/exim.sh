#!/bin/sh
# An Exim of one's own: on loopback, in a folder. Debian lets only one MTA be installed, so its packages are unpacked
# into the folder instead.
#
#   exim.sh start FOLDER PORT ROUTES    ROUTES: lines "domain address::port", say where each domain goes
#   exim.sh stop FOLDER
#
# It needs root, makes the user that Exim is built for if there is none, and the folder must be open to everybody (0755).
set -eu

start() {
	dir=$1 port=$2 routes=$3
	(
		mkdir -p "$dir/packages" && cd "$dir/packages"
		apt-get download -qq exim4-daemon-light exim4-base 2>/dev/null
		for package in *.deb; do dpkg -x "$package" ../root; done
	)
	getent passwd Debian-exim >/dev/null || useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin Debian-exim
	mkdir -p "$dir/spool"
	chown Debian-exim "$dir/spool"
	printf '%s\n' "$routes" >"$dir/routes"

	cat >"$dir/exim.conf" <<-END
		exim_path = $dir/root/usr/sbin/exim4
		keep_environment =
		primary_hostname = mx.example.net
		spool_directory = $dir/spool
		log_file_path = $dir/spool/%slog
		pid_file_path = $dir/spool/exim.pid
		local_interfaces = 127.0.0.1
		daemon_smtp_ports = $port
		tls_advertise_hosts =
		acl_smtp_rcpt = accept
		delay_warning =

		begin routers
		routes:
		  driver = manualroute
		  route_data = \${lookup{\$domain}lsearch{$dir/routes}}
		  transport = \${if eq{\$domain}{bounce.example.com}{ours}{theirs}}
		  self = send
		  no_more

		begin transports
		ours:
		  driver = smtp
		  allow_localhost
		  hosts_try_chunking = *
		  hosts_require_tls = *
		  tls_verify_hosts =
		  tls_try_verify_hosts =
		theirs:
		  driver = smtp
		  allow_localhost

		begin retry
		* * F,1h,1m
	END

	"$dir/root/usr/sbin/exim4" -C "$dir/exim.conf" -bd
}

case ${1-} in
start) shift && start "$@" ;;
stop) kill "$(cat "$2/spool/exim.pid")" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
