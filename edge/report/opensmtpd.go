package report

// OpenSMTPD's notice: one line for each recipient.
var opensmtpdNotice = notice{
	intro:    known("This is the MAILER-DAEMON, please DO NOT REPLY to this e"),
	begin:    []byte("list of recipients:"),
	returned: []string{"    Below is a copy of the original message"},
}

func detectOpenSMTPD(r *reader) bool { return opensmtpdNotice.detect(r) }

func readOpenSMTPD(r *reader) { opensmtpdNotice.read(r) }
