package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// smtpSource is Postfix's generator. It sends one mail over and over, one command at a time, over connections that stay.
type smtpSource struct {
	mail, to string // the mail's file; its recipient
	rate     float64
}

// sourceFirst is how many mails the warm-up sends. smtp-source ends after a number of mails and not of seconds; from the
// rate of these follows how many make the time that was asked for.
const sourceFirst = 3000

func newSMTPSource(dir string, m *minter) (*smtpSource, error) {
	to, mail, err := m.bounce(0)
	if err != nil {
		return nil, err
	}
	s := &smtpSource{mail: filepath.Join(dir, "mail"), to: to}
	// It adds the CRs itself.
	return s, os.WriteFile(s.mail, []byte(withoutCR(mail)), 0o644)
}

func (s *smtpSource) run(ctx context.Context, j job) (measure, error) {
	count := sourceFirst
	if !j.warmup {
		count = max(sourceFirst, int(s.rate*j.duration.Seconds()))
	}
	began := time.Now()
	_, cpu, err := command(ctx, "smtp-source", "-d", "-s", strconv.Itoa(j.connections), "-m", strconv.Itoa(count),
		"-f", "", "-t", s.to, "-F", s.mail, j.addr)
	if err != nil {
		return measure{}, fmt.Errorf("send %d mails: %w", count, err)
	}
	m := measure{Answered: int64(count), Seconds: time.Since(began).Seconds(), CPU: cpu}
	s.rate = m.rate()
	return m, nil
}
