package report

import (
	"mime"
	"testing"
)

// TestAutoReplyWords reads a mail for each row of autoreplies.tsv: the words in its subject, or in its text.
func TestAutoReplyWords(t *testing.T) {
	subjects, texts := 0, 0
	if err := readTable(tableFiles, "autoreplies.tsv", 3, func(c []string, at Row) error {
		subject, text := "Re: The spring", "Hello,\r\n\r\nuntil Monday.\r\n"
		if c[0] == "subject" {
			subjects++
			subject = c[1] + " The spring"
		} else {
			texts++
			text = "Hello,\r\n\r\n" + c[1] + ".\r\n"
		}
		mail := "From: Bob <bob@example.net>\r\nIn-Reply-To: <m@example.com>\r\nSubject: " + mime.BEncoding.Encode("utf-8", subject) +
			"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text
		if f := Read([]byte(mail)).Facts[0]; f.Kind != AutoReply || f.Recipient != "bob@example.net" {
			t.Errorf("line %d: %q: %s of %s", at.Line, c[1], f.Kind, f.Recipient)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if subjects < 100 || texts < 40 {
		t.Errorf("%d subjects, %d texts", subjects, texts)
	}
}

// TestQuotedAutoReplyWords holds that what a human quotes does not make him a machine.
func TestQuotedAutoReplyWords(t *testing.T) {
	mail := "From: Bob <bob@example.net>\r\nSubject: Re: Out of office\r\nIn-Reply-To: <m@example.com>\r\n\r\nThank you!\r\n\r\n" +
		"> This is an automated response.\r\n"
	if f := Read([]byte(mail)).Facts[0]; f.Kind != Reply {
		t.Errorf("%s", f.Kind)
	}
}
