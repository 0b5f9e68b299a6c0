package report

import (
	"os"
	"testing"
)

// TestPublishedReplies holds what the rules make of the replies that providers publish.
func TestPublishedReplies(t *testing.T) {
	rows := 0
	if err := readTable(os.DirFS("testdata"), "replies.tsv", 4, func(c []string, at Row) error {
		rows++
		f := ReadReply(c[2])
		if f.Category != c[0] || f.Hard != (c[1] == "true") {
			t.Errorf("line %d: %s: %s, hard %t by %s, want %s, hard %s", at.Line, c[2], f.Category, f.Hard, f.Rule, c[0], c[1])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if rows < 700 {
		t.Errorf("%d rows", rows)
	}
}

// TestPublishedWords holds what the rules make of the words of mail systems, in a notice.
func TestPublishedWords(t *testing.T) {
	rows := 0
	if err := readTable(os.DirFS("testdata"), "words.tsv", 4, func(c []string, at Row) error {
		rows++
		f := Read([]byte("From: MAILER-DAEMON@mx.example.com\r\nSubject: failure notice\r\n\r\nHi. This is the qmail-send program at mx.example.com.\r\n\r\n" +
			"<bob@example.net>:\r\n" + c[2] + "\r\n")).Facts[0]
		if f.Kind != Bounce || f.Category != c[0] || f.Hard != (c[1] == "true") {
			t.Errorf("line %d: %s: %s %s, hard %t by %s, want %s, hard %s", at.Line, c[2], f.Kind, f.Category, f.Hard, f.Rule, c[0], c[1])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if rows < 70 {
		t.Errorf("%d rows", rows)
	}
}
