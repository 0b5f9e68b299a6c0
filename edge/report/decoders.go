package report

// decoder reads one form of mail.
type decoder struct {
	name   string
	source string // where the form is described
	// detect says whether the mail may be of this form, by its header and structure alone if it can.
	detect func(*reader) bool
	// read adds what it finds. If it adds nothing, the next decoder is asked.
	read func(*reader)
}

// decoders in the order of decision (DESIGN §7): the first that finds something decides. The last finds
// something in any mail.
var decoders = [...]decoder{
	{"feedback", "RFC 5965", detectFeedback, readFeedback},
	{"delivery-status", "RFC 3464, RFC 6522, RFC 6533", detectStatus, readStatus},
	{"ses", "docs.aws.amazon.com/ses: Amazon SNS notification contents", detectSES, readSES},
	{"hotmail", "Outlook.com Junk Mail Reporting Program", detectHotmail, readHotmail},
	{"exim", "exim.org: specification, customizing bounce and warning messages", detectExim, readExim},
	{"qmail", "cr.yp.to/proto/qsbmf.txt", detectQmail, readQmail},
	{"gmail", "observed: mailer-daemon@googlemail.com", detectGmail, readGmail},
	{"postfix", "postfix.org/bounce.5.html", detectPostfix, readPostfix},
	{"opensmtpd", "OpenSMTPD: smtpd/bounce.c", detectOpenSMTPD, readOpenSMTPD},
	{"dragonfly", "DragonFly Mail Agent: dma(8)", detectDragonfly, readDragonfly},
	{"yahoo", "observed: MAILER-DAEMON@yahoo.com", detectYahoo, readYahoo},
	{"exchange", "observed: Internet Mail Service 5.5, Exchange 2003 and later", detectExchange, readExchange},
	{"automatic", "observed: GMX, Kundenserver, MX Logic, Zoho", detectAutomatic, readAutomatic},
	{"sendmail", "Sendmail 5 and 8: savemail.c", detectSendmail, readSendmail},
	{"undelivered", "any mail system", detectUndelivered, readUndelivered},
	{"unsubscribe", "RFC 2369 §3.2", detectUnsubscribe, readUnsubscribe},
	{"auto-reply", "RFC 3834, RFC 8098, RFC 5546", detectAutoReply, readAutoReply},
	{"reply", "RFC 5322 §3.6.4", detectReply, readReply},
	{"other", "", func(*reader) bool { return true }, readOther},
}
