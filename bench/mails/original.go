package mails

// Original is the mail that others come back about.
type Original struct {
	Message    string // its Message-ID, without angle brackets
	From       string // address of its sender
	Recipient  string
	Subject    string
	ReturnPath string // where reports about it go
	ReplyTo    string // where answers to it go
	Ref        string // its X-Carom-Ref; empty: it has none
}

// appendHeaders appends its header, as far as reports return it.
func (o *Original) appendHeaders(dst []byte, date []byte) []byte {
	dst = appendAll(dst, "Return-Path: <", o.ReturnPath, ">\r\nReceived: from out.example.com (out.example.com [192.0.2.25])\r\n\tby mx.example.net with ESMTPS; ")
	dst = append(dst, date...)
	dst = appendAll(dst, "\r\nDate: ")
	dst = append(dst, date...)
	dst = appendAll(dst, "\r\nFrom: ", o.From, "\r\nTo: ", o.Recipient, "\r\nReply-To: ", o.ReplyTo, "\r\nSubject: ", o.Subject,
		"\r\nMessage-ID: <", o.Message, ">\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n")
	if o.Ref != "" {
		dst = appendAll(dst, "X-Carom-Ref: ", o.Ref, "\r\n")
	}
	return dst
}

func appendAll(dst []byte, parts ...string) []byte {
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// filler is what bodies are filled up with, in lines of which none begins with a dot.
var filler = []string{
	"We have read your last letter with care and would like to say more about\r\n",
	"it when we meet. The table below lists what was agreed, and by whom, and\r\n",
	"until when it is to be done; please tell us if a line of it is not right.\r\n",
	"Deliveries begin on the first working day of the month, as they always do,\r\n",
	"and end when the store is full. Nobody needs to wait for a call from us.\r\n",
}

// appendFiller appends whole lines, at least n bytes of them.
func appendFiller(dst []byte, n int, quote string) []byte {
	for line := 0; n > 0; line++ {
		text := filler[line%len(filler)]
		dst = append(append(dst, quote...), text...)
		n -= len(quote) + len(text)
	}
	return dst
}
