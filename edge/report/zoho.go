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
		if !isZohoLine(line) {
			continue
		}
		for len(text) > 0 { // what was said may go on in further lines
			next, rest := cutLine(text)
			if len(trim(next)) == 0 || isZohoLine(next) {
				break
			}
			text = rest
		}
		if f.recipient, _ = findAddress(line); f.recipient != nil {
			r.addSaid(f, trim(start[:len(start)-len(text)]))
		}
	}
}

func isZohoLine(line []byte) bool {
	return bytes.Contains(line, zohoCode) || bytes.HasPrefix(trim(line), zohoStatus)
}
