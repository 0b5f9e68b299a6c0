package report

import "bytes"

// undelivered reads the notices of systems that no other decoder knows. A mail system wrote, or the envelope
// was empty, and the words say that something was not delivered: then the first address that is neither the
// reader's nor the writer's is the recipient, and all of the text is the reason.
var undelivered = notice{
	returned: []string{"Original message follows", "Included is a copy of the message", "Received:", "Return-Path:"},
	ruler:    []string{"returned m", "original m", "copy of", "message text", "unsent", "headers"},
}

func detectUndelivered(r *reader) bool {
	// These words stand in vacations and receipts too, which the mail systems of humans send, with an empty envelope.
	if !r.fromDaemon() && !(r.nullPath() && (r.isReport() || r.bySystem())) || r.part(partDisposition) != nil || r.isHuman() {
		return false
	}
	return r.says(noticeFailure, r.words())
}

func readUndelivered(r *reader) {
	text := undelivered.cutReturned(r, r.words())
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(text)
	f.recipient = strangerIn(text, addrSpec(r.head.get(fTo)), r.author())
	if f.recipient == nil {
		f.recipient = r.failedRecipient()
	}
	if f.recipient == nil {
		return
	}
	if !hasLetters(text) {
		text = r.head.get(fSubject)
	}
	r.addSaid(f, text)
}

// strangerIn returns the first address of a text that is neither who the notice is from nor who it is to.
func strangerIn(text, to, from []byte) []byte {
	for i := 0; i < maxSearches && len(text) > 0; i++ {
		var address []byte
		address, text = findAddress(text)
		if address == nil {
			return nil
		}
		if !bytes.EqualFold(address, to) && !bytes.EqualFold(address, from) {
			return address
		}
	}
	return nil
}
