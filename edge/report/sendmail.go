package report

import "bytes"

// Sendmail before it wrote delivery status, and systems that copied it: a transcript of the dialogue, in which
// ">>> " precedes what was sent, "<<< " what was answered, and a line with a code and an address ends the
// attempt for a recipient.
//
//	While talking to mx.example.com:
//	>>> RCPT To:<bob@example.com>
//	<<< 550 No such user here
//	550 <bob@example.com>... User unknown
var sendmailNotice = notice{
	intro:    known("Transcript of session follows"),
	begin:    []byte("Transcript of session follows"),
	returned: []string{"   ----- Unsent message follows", "   ----- Original message follows", "   ----- Message header follows", "   ----- Returned message follows"},
}

func detectSendmail(r *reader) bool { return sendmailNotice.detect(r) && !r.isHuman() }

func readSendmail(r *reader) {
	text := sendmailNotice.cutReturned(r, r.words())
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(text)
	_, text, _ = bytes.Cut(text, sendmailNotice.begin)
	var host, sent, answer, ending []byte
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		t := trim(line)
		switch {
		case hasPrefix(t, ">>> "):
			sent, answer = t, nil
		case hasPrefix(t, "<<< "):
			if t = t[4:]; answer == nil && len(t) > 0 && (t[0] == '4' || t[0] == '5') {
				answer = t
			}
		case indexFold(t[:min(len(t), 24)], "while talking to ") >= 0:
			host, sent, answer = talkingTo(t), nil, nil
		case len(t) > 4 && (t[0] == '4' || t[0] == '5') && codeAt(t, 0):
			ending = t
			if f.recipient, _ = findAddress(t); f.recipient == nil {
				continue
			}
			said := answer
			if said == nil {
				said = afterDots(t)
			}
			r.addTranscript(f, said, sent, host)
			answer = nil
		}
	}
	if len(r.found) == 0 && ending != nil {
		f.recipient = r.failedRecipient()
		r.addTranscript(f, ending, sent, host)
	}
}

// addTranscript adds a finding of a transcript: what was answered, to which command, by whom.
func (r *reader) addTranscript(f finding, said, sent, host []byte) {
	if len(r.found) > 0 && bytes.Equal(r.found[len(r.found)-1].recipient, f.recipient) {
		return
	}
	f.said, f.context, f.remoteMTA = said, sent, host
	if host == nil && sent == nil && bytes.Contains(said, []byte("... ")) {
		f.command = commandRcpt // no dialogue, and Sendmail's own form: it knows its own users
	}
	f.code, f.status = scanReply(said)
	r.add(f)
}

// afterDots returns what follows "..." in "554 <bob@example.com>... 550 Host unknown"; the line without it.
func afterDots(line []byte) []byte {
	if i := bytes.Index(line, []byte("... ")); i >= 0 {
		if rest := trim(line[i+4:]); codeAt(rest, 0) {
			return rest
		}
	}
	return line
}

// talkingTo returns the host of "... while talking to mx.example.com.:".
func talkingTo(line []byte) []byte {
	i := indexFold(line, "talking to ")
	name := bytes.TrimRight(line[i+11:], ".: ")
	if i := bytes.IndexByte(name, ' '); i >= 0 {
		name = name[:i]
	}
	return name
}
