package report

import "bytes"

// detectFeedback finds a feedback report (RFC 5965 §2).
func detectFeedback(r *reader) bool { return r.part(partFeedback) != nil && !r.quotes() }

// How complaints begin that providers sent before RFC 5965 and some still send: in words, with the mail attached.
var abuseReports = [...]phrase{
	known("This is an email abuse report"),
	known("This is an abuse report"),
	known("This is an e-mail abuse report"),
}

// detectComplaint finds a complaint that lost its feedback part, or never had one.
func detectComplaint(r *reader) bool {
	if !r.hasReturned || r.quotes() {
		return false
	}
	words := r.words()
	words = words[:min(len(words), maxSelf)]
	for _, begin := range abuseReports {
		if r.introHas(begin) && bytes.Contains(words, begin.text) {
			return true
		}
	}
	contentType := r.head.get(fContentType)
	return hasFold(contentType, "multipart/report") && fold(parameter(contentType, "report-type"), "feedback-report") &&
		!bytes.Contains(words, []byte("failure report")) // of authentication, RFC 6591
}

// readComplaint reads the fields of RFC 5965 §3 from the text if they stand there; else the complaint is of abuse.
func readComplaint(r *reader) {
	words := r.words()
	if i := bytes.Index(words, []byte("Feedback-Type:")); i >= 0 && (i == 0 || words[i-1] == '\n') {
		r.readFeedbackFields(words[i:])
		return
	}
	r.readFeedbackFields([]byte("Feedback-Type: abuse\n"))
}

// readFeedback tells who complained. abuse and fraud are complaints, opt-out is an unsubscribe, not-spam takes
// a complaint back (RFC 5965 §3.5 with RFC 6430); authentication failures and the rest are about messages,
// not about what a recipient wants.
func readFeedback(r *reader) {
	p := r.part(partFeedback)
	r.readFeedbackFields(p.encoding.decode(p.body, maxStatusPart, &r.scratch))
}

func (r *reader) readFeedbackFields(b []byte) {
	s := fieldScanner{rest: b}
	var f finding
	var recipients [][]byte
	for {
		name, value, ok := s.next()
		if !ok {
			break
		}
		switch {
		case fold(name, "feedback-type") && f.feedbackType == nil:
			f.feedbackType = value
		case fold(name, "original-rcpt-to"), fold(name, "removal-recipient"), fold(name, "redacted-address") && bytes.IndexByte(value, '@') > 0:
			if address := typedAddress(value, false, &r.scratch); address != nil && len(recipients) < maxFacts {
				recipients = append(recipients, address)
			}
		case fold(name, "source-ip"):
			f.sourceIP = value
		case fold(name, "arrival-date"), fold(name, "received-date"):
			f.arrival = parseDate(value)
		case fold(name, "original-message-id"):
			f.originalID = value
		case fold(name, "reporting-mta"):
			f.remoteMTA = hostField(value)
		}
	}
	switch {
	case fold(f.feedbackType, "abuse"), fold(f.feedbackType, "fraud"), fold(f.feedbackType, "not-spam"):
		f.kind = Complaint
	case fold(f.feedbackType, "opt-out"), fold(f.feedbackType, "opt-out-list"):
		f.kind = Unsubscribe
	case len(f.feedbackType) == 0:
		f.kind, f.why = Other, "a feedback report without a type"
	default:
		f.kind, f.why = Other, "a feedback report of a type that tells nothing about a recipient"
	}
	if len(recipients) == 0 {
		recipients = append(recipients, r.returnedTo())
	}
	for _, recipient := range recipients {
		f.recipient = recipient
		r.add(f)
	}
}

// returnedTo returns who the returned message was for, as far as its header tells.
func (r *reader) returnedTo() []byte {
	if !r.hasReturned {
		return nil
	}
	if address := addrSpec(r.returned.get(fOriginalRecipient)); address != nil {
		return address
	}
	return addrSpec(r.returned.get(fTo))
}
