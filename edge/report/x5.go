package report

// Gateways that wrap another system's report in a notice of their own, which often names nobody (X5 in the literature):
//
//	From: Mail Delivery Subsystem <MAILER-DAEMON@gateway.example.com>
//	Content-Type: multipart/mixed
//
//	----- The following addresses had permanent delivery errors -----
//
//	Content-Type: message/rfc822
//
//	    Content-Type: multipart/report; report-type=delivery-status
//	    …
func detectX5(r *reader) bool {
	return r.part(partStatus) == nil && r.isReport() && !r.quotes() && r.nestedReport()
}

// nestedReport opens a report that a mail system passes on as an attachment of a notice of its own, and reports
// whether there was one. A report inside a human's mail is quoted and stays closed.
func (r *reader) nestedReport() bool {
	for i := range r.parts {
		p := &r.parts[i]
		if p.typ != partReturned || p.encoding != encodingPlain {
			continue
		}
		var h header
		body, _ := h.parseMessage(p.body)
		if !hasFold(h.get(fContentType), "multipart/report") {
			continue
		}
		outer := len(r.parts)
		r.walk(h[fContentType], h[fEncoding], body, 2)
		r.returned, r.hasReturned = header{}, false
		r.parts = append(r.parts[:0], r.parts[outer:]...)
		r.textRead, r.failedRead = false, false
		r.findReturned()
		return r.part(partStatus) != nil
	}
	return false
}
