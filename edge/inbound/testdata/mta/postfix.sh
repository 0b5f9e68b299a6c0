#!/bin/sh
# A Postfix of one's own: on loopback, in a folder, beside any other Postfix on the machine.
#
#   postfix.sh start FOLDER PORT TRANSPORTS    TRANSPORTS: lines of Postfix's transport(5), say where each domain goes
#   postfix.sh stop FOLDER
#
# It needs root, because Postfix's master does, and the folder must be open to everybody (0755).
set -eu

start() {
	dir=$1 port=$2 transports=$3
	mkdir -p "$dir/conf" "$dir/queue" "$dir/data"
	chown postfix "$dir/data"
	printf '%s\n' "$transports" >"$dir/conf/transport"

	cat >"$dir/conf/main.cf" <<-END
		compatibility_level = 3.6
		queue_directory = $dir/queue
		data_directory = $dir/data
		maillog_file = $dir/postfix.log
		maillog_file_prefixes = $dir
		myhostname = mx.example.net
		mydestination =
		local_recipient_maps =
		alias_maps =
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		mynetworks = 127.0.0.0/8
		smtpd_relay_restrictions = permit_mynetworks, reject
		transport_maps = texthash:$dir/conf/transport
		default_transport = error:5.4.4 no way to this domain
		disable_dns_lookups = yes
		smtp_host_lookup = native
		smtp_tls_security_level = may
		notify_classes =
		# Soon, because a test waits for them.
		minimal_backoff_time = 1s
		maximal_backoff_time = 1s
		queue_run_delay = 1s
		delay_warning_time = 1s
	END

	cat >"$dir/conf/master.cf" <<-END
		127.0.0.1:$port inet n - n - - smtpd
		pickup    unix n - n 1 1 pickup
		cleanup   unix n - n - 0 cleanup
		qmgr      unix n - n 1 1 qmgr
		tlsmgr    unix - - n 1000? 1 tlsmgr
		rewrite   unix - - n - - trivial-rewrite
		bounce    unix - - n - 0 bounce
		defer     unix - - n - 0 bounce
		trace     unix - - n - 0 bounce
		verify    unix - - n - 1 verify
		flush     unix n - n 1000? 0 flush
		proxymap  unix - - n - - proxymap
		smtp      unix - - n - - smtp
		secure    unix - - n - - smtp
		  -o smtp_tls_security_level=encrypt
		error     unix - - n - - error
		retry     unix - - n - - error
		anvil     unix - - n - 1 anvil
		scache    unix - - n - 1 scache
		postlog   unix-dgram n - n - 1 postlogd
	END

	postfix -c "$dir/conf" start
}

case ${1-} in
start) shift && start "$@" ;;
stop) postfix -c "$2/conf" stop ;;
*) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
