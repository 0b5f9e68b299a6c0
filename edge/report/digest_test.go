package report

import (
	"strings"
	"testing"
)

// TestDigest holds that a mail without a Message-ID keeps its identity when it is sent again, and no other mail has it.
func TestDigest(t *testing.T) {
	const mail = "From: bob@example.net\r\nSubject: away\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n"
	digest := func(mail string) [16]byte { return Read([]byte(mail)).Digest }
	want := digest(mail)
	for name, same := range map[string]string{
		"traced": "Return-Path: <>\r\nReceived: from a\r\n\tby b; Sat, 21 Nov 2026 10:00:05 +0000\r\nAuthentication-Results: c;\r\n spf=pass\r\n" + mail,
		"mbox":   "From bob@example.net Sat Nov 21 10:00:05 2026\r\n" + mail,
		"blanks": "\r\n" + mail + "\r\n",
	} {
		if digest(same) != want {
			t.Errorf("%s: another digest", name)
		}
	}
	for name, other := range map[string]string{
		"body":    strings.Replace(mail, "I am", "We are", 1),
		"subject": strings.Replace(mail, "away", "gone", 1),
		"author":  strings.Replace(mail, "bob", "rob", 1),
		"moved":   strings.Replace(mail, "\r\n\r\nI am", "\r\nI: am", 1),
	} {
		if digest(other) == want {
			t.Errorf("%s: the same digest", name)
		}
	}
	if r := Read([]byte("Message-ID: <1@example.net>\r\n" + mail)); r.Digest != [16]byte{} || r.MessageID != "1@example.net" {
		t.Errorf("a mail with an id has digest %x, id %q", r.Digest, r.MessageID)
	}
}
