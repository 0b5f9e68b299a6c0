package report

import "bytes"

// A human passes a report on with his mail client, which attaches it or quotes it and loses its parts: then the fields of
// RFC 3464 stand in the text, behind ">" or not. Who answers a report is not one who passes it on.
func detectForwarded(r *reader) bool {
	subject := r.head.get(fSubject)
	if !hasFold(subject, "fwd:") && !hasFold(subject, "fw:") || r.head.has(fInReplyTo) {
		return false
	}
	if r.part(partStatus) != nil || r.nestedReport() {
		return true
	}
	r.unquoted = r.unquote(r.words())
	return looseStatus(r.unquoted) != nil
}

func readForwarded(r *reader) {
	if r.part(partStatus) != nil {
		readStatus(r)
		return
	}
	text := r.unquoted
	status := looseStatus(text)
	if i := bytes.Index(status, []byte("\nReturn-Path:")); i > 0 {
		if !r.hasReturned {
			r.returnedHeader(status[i+1:])
		}
		status = status[:i] // no field of the returned message is the report's
	}
	r.readGroups(status, r.textCharset())
	for i := range r.found {
		r.completeFinding(i)
	}
}

// unquote returns a text without the marks of quotation at the beginnings of its lines. It lies in scratch.
func (r *reader) unquote(text []byte) []byte {
	start := len(r.scratch)
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		for len(line) > 0 && line[0] == '>' {
			line = bytes.TrimPrefix(line[1:], []byte(" "))
		}
		r.scratch = append(append(r.scratch, line...), '\n')
	}
	return r.scratch[start:]
}
