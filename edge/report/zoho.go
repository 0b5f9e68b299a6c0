package report

import "bytes"

// Zoho: a line for each recipient, in one of two shapes.
//
//	bob@example.com Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 User Unknown
//	[Status: Error, Address: <bob@example.com>, ResponseCode 421, , Host not reachable.]
var (
	zohoCode   = []byte(", ERROR_CODE :")
	zohoStatus = []byte("[Status: ")
)

func detectZoho(r *reader) bool { return hasPrefix(r.head.get(fMailer), "Zoho Mail") && r.fromDaemon() }

func readZoho(r *reader) {
	text := automaticNotice.cutReturned(r, r.words())
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(text)
	for len(text) > 0 {
		start := text
		var line []byte
		line, text = cutLine(text)
		if !bytes.Contains(line, zohoCode) && !bytes.HasPrefix(trim(line), zohoStatus) {
			continue
		}
		if f.recipient, _ = findAddress(line); f.recipient != nil {
			said := paragraph(start)
			r.addSaid(f, said)
			text = start[min(len(start), len(said)+1):]
		}
	}
}
