package report

import "bytes"

// KDDI's phones: a block for each recipient below words in Japanese and English, or a sentence.
//
//	Recipient: <bob@example.com>
//	>>> RCPT TO:<bob@example.com>
//	<<< 550 <bob@example.com>: User unknown
var (
	kddiRecipient = known("Recipient: <")
	kddiSentence  = known("Could not be delivered to: <")
)

func detectKDDI(r *reader) bool {
	if r.isHuman() {
		return false
	}
	return r.introHas(kddiSentence) || r.introHas(kddiRecipient) && r.fromDaemon()
}

func readKDDI(r *reader) {
	text := undelivered.cutReturned(r, r.words())
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(text)
	for _, mark := range [...][]byte{kddiSentence.text, kddiRecipient.text} {
		for rest := text; ; {
			i := bytes.Index(rest, mark)
			if i < 0 {
				break
			}
			if f.recipient, rest = findAddress(rest[i+len(mark):]); f.recipient == nil {
				break
			}
			r.addSaid(f, trim(bytes.TrimLeft(paragraph(rest[:min(len(rest), maxMatch)]), ">")))
		}
	}
}
