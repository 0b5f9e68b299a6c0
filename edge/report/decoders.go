package report

// decoder reads one form of mail.
type decoder struct {
	name    string
	trigger string // what it is known by
	source  string // where the form is described
	// detect says whether the mail may be of this form, by its header and structure alone if it can.
	detect func(*reader) bool
	// read adds what it finds. If it adds nothing, the next decoder is asked.
	read func(*reader)
}

// decoders in the order of decision (DESIGN §7): the first that finds something decides. The last finds
// something in any mail.
var decoders = [...]decoder{
	{"feedback", "a part message/feedback-report", "RFC 5965", detectFeedback, readFeedback},
	{"x5", "from a mail system, a whole report attached to a notice of its own", "observed", detectX5, readStatus},
	{"delivery-status", "a part message/delivery-status, or its fields in the text of a mail system", "RFC 3464, RFC 6522, RFC 6533", detectStatus, readStatus},
	{"ses", "a text that is the JSON of a notification", "docs.aws.amazon.com/ses: Amazon SNS notification contents", detectSES, readSES},
	{"hotmail", "an attached mail with X-HmXmrOriginalRecipient", "Outlook.com Junk Mail Reporting Program", detectHotmail, readHotmail},
	{"complaint", "report-type feedback-report, or \"This is an email abuse report\", and the mail attached", "before RFC 5965: draft-shafranovich-feedback-report", detectComplaint, readComplaint},
	{"exim", "X-Failed-Recipients", "exim.org: specification, customizing bounce and warning messages", detectExim, readExim},
	{"exim-submission", "\"A message that you sent\" and what was wrong with it", "Exim: moan.c", eximSubmission.detect, readEximSubmission},
	{"qmail", "\"Hi. This is the\"", "cr.yp.to/proto/qsbmf.txt", qmailNotice.detect, qmailNotice.read},
	{"gmail", "from googlemail.com or google.com, X-Failed-Recipients or \"Delivery to the following recipient\"", "observed: mailer-daemon@googlemail.com", detectGmail, readGmail},
	{"postfix", "\"Postfix program at host\", \"This is the mail system at host\"", "postfix.org/bounce.5.html", detectPostfix, readPostfix},
	{"opensmtpd", "\"This is the MAILER-DAEMON, please DO NOT REPLY\"", "OpenSMTPD: smtpd/bounce.c", detectOpenSMTPD, readOpenSMTPD},
	{"dragonfly", "\"This is the DragonFly Mail Agent\"", "DragonFly Mail Agent: dma(8)", detectDragonfly, readDragonfly},
	{"yahoo", "\"unable to deliver your message to the following address\"", "observed: MAILER-DAEMON@yahoo.com", yahooNotice.detect, yahooNotice.read},
	{"exchange", "\"did not reach\", \"could not be reached\", \"Diagnostic information for administrators\"", "observed: Internet Mail Service 5.5, Exchange 2003 and later", detectExchange, readExchange},
	{"notes", "\"------- Failure Reasons\"", "observed: Lotus SMTP MTA 1 to 4", notesNotice.detect, readNotes},
	{"domino", "\"was not delivered to:\", from a mail system", "observed: Domino", dominoNotice.detect, dominoNotice.read},
	{"messaging-server", "\"  Recipient address: \"", "observed: Oracle Messaging Server", messagingServerNotice.detect, readMessagingServer},
	{"courier", "\"the Courier mail server\"", "Courier: courier/template.dsn", courierNotice.detect, courierNotice.read},
	{"imail", "X-Mailer: <SMTP32", "observed: IMail 8", detectIMail, readIMail},
	{"mfilter", "\"-------server message\"", "observed: m-FILTER", mfilterNotice.detect, mfilterNotice.read},
	{"interscan", "\"Received >>>\", \"Message from InterScan\"", "observed: Trend Micro InterScan Messaging Security Suite", detectInterscan, readInterscan},
	{"mailmarshal", "\"Could not be delivered because of\"", "observed: Trustwave MailMarshal", mailmarshalNotice.detect, readMailMarshal},
	{"mailfoundry", "\"Delivery failed for the following reason:\"", "observed: MailFoundry", mailfoundryNotice.detect, mailfoundryNotice.read},
	{"james", "\"Error message below:\"", "Apache James: Bounce mailet; Verizon", jamesNotice.detect, readJames},
	{"kddi", "\"Recipient: <\", \"Could not be delivered to: <\"", "observed: KDDI", detectKDDI, readKDDI},
	{"biglobe", "\"The following addresses had delivery problems\"", "observed: BIGLOBE", biglobeNotice.detect, biglobeNotice.read},
	{"x1", "\"---The following addresses had delivery errors---\"", "observed", x1Notice.detect, x1Notice.read},
	{"x2", "\"Unable to deliver message to the following address\"", "observed: Yahoo Japan and others", x2Notice.detect, x2Notice.read},
	{"x3", "\"This is an automatically generated Delivery Status Notification\", from a mail system", "observed", x3Notice.detect, x3Notice.read},
	{"x4", "\"Your mail message to the following address(es) could not be delivered\"", "observed", x4Notice.detect, x4Notice.read},
	{"x6", "\"> rejected recipient <\"", "observed", x6Notice.detect, readX6},
	{"zoho", "X-Mailer: Zoho Mail, from a mail system", "observed: Zoho Mail", detectZoho, readZoho},
	{"automatic", "\"This message was created automatically by mail delivery\"", "observed: GMX, Kundenserver, MX Logic, Exim without its header", detectAutomatic, readAutomatic},
	{"sendmail", "\"Transcript of session follows\"", "Sendmail 5 and 8: savemail.c", detectSendmail, readSendmail},
	{"list-manager", "X-MLServer, and words that refuse", "fml.org: fml 4", detectListManager, readListManager},
	{"undelivered", "from a mail system, and words of tables/notices.tsv", "any mail system", detectUndelivered, readUndelivered},
	{"forwarded", "subject \"Fwd:\", and the fields of a delivery status in the text", "RFC 3464", detectForwarded, readForwarded},
	{"unsubscribe", "the subject \"unsubscribe\" alone", "RFC 2369 §3.2", detectUnsubscribe, readUnsubscribe},
	{"auto-reply", "a header or subject of a machine, a receipt, a calendar answer, a challenge", "RFC 3834, RFC 8098, RFC 5546", detectAutoReply, readAutoReply},
	{"reply", "an author who is no mail system", "RFC 5322 §3.6.4", detectReply, readReply},
	{"other", "anything", "", func(*reader) bool { return true }, readOther},
}
