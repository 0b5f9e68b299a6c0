package report

import "testing"

func TestHeaderParse(t *testing.T) {
	for _, c := range []struct {
		name, mail          string
		subject, from, body string
	}{
		{"plain", "From: a@b\r\nSubject: hi\r\n\r\nbody", "hi", "a@b", "body"},
		{"LF", "From: a@b\nSubject: hi\n\nbody", "hi", "a@b", "body"},
		{"folded", "Subject: one\r\n two\r\n\tthree\r\nFrom: a@b\r\n\r\nbody", "one\r\n two\r\n\tthree", "a@b", "body"},
		{"any case", "fROM: a@b\nSUBJECT: hi\n\nbody", "hi", "a@b", "body"},
		{"blanks before the colon", "From : a@b\nSubject\t: hi\n\nbody", "hi", "a@b", "body"},
		{"the first of two wins", "Subject: hi\nSubject: ho\nFrom: a@b\n\nbody", "hi", "a@b", "body"},
		{"mbox line", "From MAILER-DAEMON Sat Nov 21 10:00:05 2026\nFrom: a@b\nSubject: hi\n\nbody", "hi", "a@b", "body"},
		{"leading blank lines", "\r\n\nFrom: a@b\nSubject: hi\n\nbody", "hi", "a@b", "body"},
		{"a fold first", " folded\nFrom: a@b\nSubject: hi\n\nbody", "hi", "a@b", "body"},
		{"noise in between", "From: a@b\nthis is no field\nSubject: hi\n\nbody", "hi", "a@b", "body"},
		{"no blank line, a boundary", "From: a@b\nSubject: hi\n--x:y\nbody", "hi", "a@b", "--x:y\nbody"},
		{"no blank line, words", "From: a@b\nSubject: hi\nDear Bob\nhow are you", "hi", "a@b", "Dear Bob\nhow are you"},
		{"no body", "From: a@b\nSubject: hi", "hi", "a@b", ""},
		{"no line end", "From: a@b\nSubject: hi\n\n", "hi", "a@b", ""},
		{"nothing", "", "", "", ""},
		{"no header", "Dear Bob\nhow are you\n", "", "", "Dear Bob\nhow are you\n"},
		{"empty name", ": x\nFrom: a@b\n\nbody", "", "a@b", "body"},
		{"CR inside", "Subject: one\rFrom: c@d\nFrom: a@b\n\nbody", "one\rFrom: c@d", "a@b", "body"},
	} {
		var h header
		body, _ := h.parseMessage([]byte(c.mail))
		if s, f := string(h.get(fSubject)), string(h.get(fFrom)); s != c.subject || f != c.from || string(body) != c.body {
			t.Errorf("%s: subject %q from %q body %q, want %q %q %q", c.name, s, f, body, c.subject, c.from, c.body)
		}
	}
}

func TestHeaderIsBounded(t *testing.T) {
	var h header
	mail := filled("From: a@b\n", "X-A: b\n", 2*maxHeader)
	if body, _ := h.parse(mail); len(body) < maxHeader-100 {
		t.Errorf("a header of %d bytes", len(mail)-len(body))
	}
}

func TestFieldNamesFit(t *testing.T) {
	for _, f := range fieldNames {
		if got, ok := lookup([]byte(f.name), nameHead([]byte(f.name), len(f.name))); !ok || got != f.field {
			t.Errorf("%s is not found", f.name)
		}
	}
	for _, name := range []string{"", "x", "received", "fro", "froms", "a-name-that-is-longer-than-all-the-known-ones"} {
		if f, ok := lookup([]byte(name), nameHead([]byte(name), len(name))); ok {
			t.Errorf("%q is field %d", name, f)
		}
	}
}
