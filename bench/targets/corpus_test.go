package targets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Mails come in their order, over and over, with CRLF, to all addresses in turn.
func TestCorpus(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.eml", "Subject: a\n\n.dot\n")
	write(t, dir, "b.mbox", "From x@example.com Sat Nov 21 17:45:03 2026\nSubject: b\n\nb\n\nFrom x@example.com Sat Nov 21 17:45:03 2026\nSubject: c\r\n\r\nÄ")
	to, err := ReadAddresses(write(t, t.TempDir(), "to", "# people\none@example.com\r\n\n  two@example.com\nthree@example.com\n"))
	if err != nil || len(to) != 3 {
		t.Fatalf("%v, %v", to, err)
	}
	c, err := ReadCorpus(dir, CorpusOptions{From: "me@example.com", To: to, Recipients: 2})
	if err != nil {
		t.Fatal(err)
	}
	if kept, left := c.Mails(); kept != 3 || left != 0 {
		t.Errorf("%d mails, %d left out", kept, left)
	}
	feeds := []Mails{c.Feed(), c.Feed()}
	var got []string
	for n := range 4 {
		m, err := feeds[n%2].Next(t.Context())
		if err != nil || m.Facts != -1 || string(m.From) != "me@example.com" {
			t.Fatalf("%+v, %v", m, err)
		}
		got = append(got, string(m.Content)+"|"+string(m.To[0])+"|"+string(m.To[1]))
		if plain, eight := n == 1, n == 2; m.Plain != plain || m.EightBit != eight {
			t.Errorf("mail %d: %+v", n, m)
		}
	}
	want := []string{
		"Subject: a\r\n\r\n.dot\r\n|one@example.com|two@example.com", "Subject: b\r\n\r\nb\r\n\r\n|three@example.com|one@example.com",
		"Subject: c\r\n\r\nÄ|two@example.com|three@example.com", "Subject: a\r\n\r\n.dot\r\n|one@example.com|two@example.com",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCorpusErrors(t *testing.T) {
	dir := t.TempDir()
	one := []string{"one@example.com"}
	for name, read := range map[string]func() error{
		"nothing there": func() error {
			_, err := ReadCorpus(filepath.Join(dir, "x"), CorpusOptions{To: one, Recipients: 1})
			return err
		},
		"no mails": func() error { _, err := ReadCorpus(dir, CorpusOptions{To: one, Recipients: 1}); return err },
		"too few":  func() error { _, err := ReadCorpus(dir, CorpusOptions{To: one, Recipients: 2}); return err },
		"a bad sender": func() error {
			_, err := ReadCorpus(dir, CorpusOptions{From: "a b@x", To: one, Recipients: 1})
			return err
		},
		"no address":      func() error { _, err := ReadAddresses("nobody"); return err },
		"a line end":      func() error { _, err := ReadAddresses("a@b\r\nRCPT TO:<c@d"); return err },
		"a bracket":       func() error { _, err := ReadAddresses("a@b>"); return err },
		"empty file":      func() error { _, err := ReadAddresses(write(t, dir, ".empty", "#\n")); return err },
		"file with words": func() error { _, err := ReadAddresses(write(t, dir, ".words", "one@example.com\nhello\n")); return err },
	} {
		if read() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
