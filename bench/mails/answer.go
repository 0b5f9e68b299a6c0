package mails

// What people answer, and what their mailboxes do for them.
var (
	replies = []string{
		"Thank you, that sounds good. When would it suit you?\r\n",
		"Not now, but please ask again next quarter.\r\n",
		"My colleague in charge is in copy. Could you send the details?\r\n",
		"We have something like this already.\r\n\r\nKind regards\r\n",
	}
	absences = []string{
		"I am away until Monday and read mail irregularly.\r\n",
		"Thank you for your message. I am on leave and will answer when I am back.\r\n",
	}
)

// AppendReply appends a person's answer to o, the n-th of some. It has size bytes at least, of which the quoted original
// makes up what is missing.
func AppendReply(dst []byte, o *Original, n int, date []byte, size int) []byte {
	begin := len(dst)
	dst = appendHead(dst, o.Recipient, o.ReplyTo, date)
	dst = appendAll(dst, "Message-ID: <re.", o.Message, ">\r\nIn-Reply-To: <", o.Message, ">\r\nReferences: <", o.Message, ">\r\nSubject: Re: ", o.Subject,
		"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", replies[n%len(replies)], "\r\n", o.From, " wrote:\r\n")
	return appendFiller(dst, max(size-(len(dst)-begin), len(filler[0])), "> ")
}

// AppendAutoReply appends what a mailbox answers whose owner is away (RFC 3834).
func AppendAutoReply(dst []byte, o *Original, n int, date []byte, size int) []byte {
	begin := len(dst)
	dst = appendHead(dst, o.Recipient, o.ReplyTo, date)
	dst = appendAll(dst, "Message-ID: <away.", o.Message, ">\r\nIn-Reply-To: <", o.Message, ">\r\nReferences: <", o.Message,
		">\r\nAuto-Submitted: auto-replied\r\nPrecedence: bulk\r\nX-Auto-Response-Suppress: All\r\nSubject: Out of office: ", o.Subject,
		"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", absences[n%len(absences)])
	if missing := size - (len(dst) - begin); missing > 0 {
		dst = appendFiller(dst, missing, "> ")
	}
	return dst
}

// AppendUnsubscribe appends what a mailto unsubscribe sends (RFC 2369 §3.2).
func AppendUnsubscribe(dst []byte, o *Original, to string, date []byte, size int) []byte {
	begin := len(dst)
	dst = appendHead(dst, o.Recipient, to, date)
	dst = appendAll(dst, "Message-ID: <leave.", o.Message, ">\r\nSubject: unsubscribe\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nunsubscribe\r\n")
	if missing := size - (len(dst) - begin); missing > 0 {
		dst = appendFiller(dst, missing, "")
	}
	return dst
}
