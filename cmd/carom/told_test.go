package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What POST /v1/events answers is the id of the event that comes of it, however the fact is told; and a bounce that is
// told by the API and by mail is one event.
func TestToldIDs(t *testing.T) {
	s := newServer(t)
	s.start()
	m := s.register([]string{`{"sender":"alice","message":"m-1","recipient":"bob@example.net"}`})[0]
	want := make(map[string]string)
	for _, line := range []string{
		`{"kind":"delivered","message":"m-1"}`,
		`{"kind":"bounce","message":"m-1","bounce":{"reply":"550 5.1.1 no such user"}}`,
		`{"kind":"bounce","message":"m-1","recipient":"eve@example.org","bounce":{"hard":false,"category":"mailbox_full","status":"5.2.2"}}`,
		`{"kind":"delay","message":"m-1","report_id":"d-1"}`,
		`{"kind":"completed","sender":"alice","sequence":"q4","contact":"c-1"}`,
	} {
		want[s.tell(line)] = line
	}
	if err := s.deliver(m.ReturnPath, bounceMail(m, "bob@example.net")); err != nil {
		t.Fatal(err)
	}
	if err := s.deliver(m.ReturnPath, strings.ReplaceAll(bounceMail(m, "bob@example.net"), "5.1.1", "5.7.1")); err != nil {
		t.Fatal(err)
	}
	const all = 1 + 5 + 1 // the send, what was told, and the second mail
	s.until("all events are there", func() bool { return len(s.events()) >= all })
	events := s.events()
	if len(events) != all {
		t.Errorf("%d events, want %d: %+v", len(events), all, events)
	}
	for _, e := range events {
		delete(want, e.ID)
	}
	for id, line := range want {
		t.Errorf("no event %s, which was answered to %s", id, line)
	}
}

// tell posts a fact and returns the id in the answer.
func (s *server) tell(line string) string {
	s.t.Helper()
	answer, err := http.Post("http://"+s.api+"/v1/events", "application/json", strings.NewReader(line))
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v: %s", line, answer.Status, err, body)
	}
	var id struct{ ID string }
	if err := json.Unmarshal(body, &id); err != nil {
		s.t.Fatal(err)
	}
	return id.ID
}
