package inbound

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMailbox(t *testing.T) {
	f := overTCP(t, func(o *Options) { o.PostmasterMaxMails = 2 })
	c := f.hello()
	c.do("MAIL FROM:<carol@example.org>", "250")
	c.do("RCPT TO:<postmaster>", "250")
	c.do("DATA", "354")
	c.do("Subject: one\r\n\r\n..dots\r\n.", "250 2.0.0 Ok")
	mails := kept(f)
	if len(mails) != 1 {
		t.Fatalf("kept %q", mails)
	}
	for _, want := range []string{
		"Return-Path: <carol@example.org>\r\nReceived: from client.example.net ([127.0.0.1]) by mx.example.com with ESMTP id ",
		"\r\nSubject: one\r\n\r\n.dots\r\n",
	} {
		if !strings.Contains(mails[0], want) {
			t.Errorf("no %q in %q", want, mails[0])
		}
	}
	// The same again takes no room, as when our answer got lost.
	if got := c.deliver("Subject: one\r\n\r\n.dots", "abuse@"+bounceDomain); !strings.HasPrefix(got, "250") || len(kept(f)) != 1 {
		t.Errorf("%q, %d kept", got, len(kept(f)))
	}
	c.deliver("two", "postmaster")
	c.begin()
	c.do("RCPT TO:<postmaster>", "452 4.2.2")
	c.do("RCPT TO:<"+f.returnPath()+">", "250")
	// The operator makes room, which is seen some time later.
	for _, name := range keptFiles(f) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	f.mailbox.mu.Lock()
	f.mailbox.counted = time.Now().Add(-2 * recountAfter)
	f.mailbox.mu.Unlock()
	c.do("RCPT TO:<postmaster>", "250")
	c.do("DATA", "354")
	c.do("three\r\n.", "250")
}

func TestMailboxBytes(t *testing.T) {
	f := overTCP(t, func(o *Options) { o.PostmasterMaxBytes = 1 << 20 })
	c := f.hello()
	big := strings.Repeat("x", 600_000)
	if got := c.deliver("1"+big, "postmaster"); !strings.HasPrefix(got, "250") {
		t.Error(got)
	}
	if got := c.deliver("2"+big, "postmaster"); !strings.HasPrefix(got, "452 4.2.2") {
		t.Error(got)
	}
	if got := c.deliver("3", "postmaster"); !strings.HasPrefix(got, "250") {
		t.Error(got)
	}
}

func TestMailboxFails(t *testing.T) {
	f := overTCP(t, nil)
	if err := os.RemoveAll(f.options.PostmasterDir); err != nil {
		t.Fatal(err)
	}
	c := f.hello()
	if got := c.deliver("x", "postmaster"); !strings.HasPrefix(got, "451 4.3.0") {
		t.Error(got)
	}
	if err := os.Mkdir(f.options.PostmasterDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := c.deliver("x", "postmaster"); !strings.HasPrefix(got, "250") {
		t.Error(got)
	}
	if f.mailbox.mails != 1 {
		t.Errorf("%d mails counted, want 1", f.mailbox.mails)
	}
}

func TestMailboxIsReopened(t *testing.T) {
	o := validOptions()
	o.PostmasterDir = filepath.Join(t.TempDir(), "deep", "postmaster")
	o.PostmasterMaxMails = 2
	m, err := openMailbox(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.keep([]byte("trace"), []byte("mail")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.PostmasterDir, "x-1"+tempSuffix), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err = openMailbox(o); err != nil {
		t.Fatal(err)
	}
	if m.mails != 1 || m.bytes != int64(len("tracemail")) {
		t.Errorf("%d mails, %d bytes", m.mails, m.bytes)
	}
	if err := m.keep(nil, []byte("mail 2")); err != nil {
		t.Error(err)
	}
	if err := m.keep(nil, []byte("mail 3")); !errors.Is(err, errMailboxFull) {
		t.Errorf("full: %v", err)
	}
	if !m.full() {
		t.Error("not full")
	}
}
