package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carom/edge/ref"
	"carom/edge/report"
)

func testMinter(t *testing.T) (*minter, string) {
	t.Helper()
	text, err := ref.NewKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := newMinter(file)
	if err != nil {
		t.Fatal(err)
	}
	return m, file
}

// Every request must be a new event.
func TestRequestsDiffer(t *testing.T) {
	m, _ := testMinter(t)
	file := filepath.Join(t.TempDir(), "requests")
	const count = 300
	length, err := m.writeRequests(file, count)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) != count*length {
		t.Fatalf("%d bytes for %d requests of %d", len(text), count, length)
	}
	messages := map[string]bool{}
	for n := range count {
		line, _, _ := strings.Cut(string(text[n*length:(n+1)*length]), " HTTP/1.1\r\n")
		token, ok := strings.CutPrefix(line, "GET /o/")
		var opened ref.Opened
		if err := m.keys.Open(ref.OpenPixel, []byte(strings.TrimSuffix(token, ".gif")), &opened); err != nil || !ok {
			t.Fatalf("request %d: %q: %v", n, line, err)
		}
		messages[strings.Clone(opened.Ref.Message)] = true
	}
	if len(messages) != count {
		t.Errorf("%d messages in %d requests", len(messages), count)
	}
}

func TestBounce(t *testing.T) {
	m, _ := testMinter(t)
	to, mail, err := m.bounce(7)
	if err != nil {
		t.Fatal(err)
	}
	local, domain, _ := strings.Cut(to, "@")
	token, ok := strings.CutPrefix(local, "b-")
	key, err := m.keys.OpenAddress(ref.ReturnPath, token)
	if err != nil || !ok || domain != bounceDomain {
		t.Errorf("the return path %q: %v", to, err)
	}
	if strings.Contains(withoutCR(mail), "\r") || strings.Count(mail, "\n") != strings.Count(mail, "\r\n") {
		t.Error("line ends are not all CRLF")
	}
	facts := report.Read([]byte(mail)).Facts
	if len(facts) != 1 || facts[0].Kind != report.Bounce || !facts[0].Hard || facts[0].Category != "invalid_recipient" {
		t.Errorf("the mail tells %+v", facts)
	}
	_, header, _ := strings.Cut(mail, "X-Carom-Ref: ")
	header, _, _ = strings.Cut(header, "\r\n")
	var opened ref.Opened
	if err := m.keys.Open(ref.Header, []byte(header), &opened); err != nil || opened.Key != key {
		t.Errorf("the header %q is of another message than the return path: %v", header, err)
	}
	_, other, err := m.bounce(8)
	if err != nil || other == mail {
		t.Errorf("two messages bounce alike: %v", err)
	}
}
