package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"
	"time"
)

const readersAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0"

// surfer is somebody with a browser, who follows no redirects.
type surfer struct {
	http.Client
	agent string
}

func newSurfer(t *testing.T, agent string) *surfer {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &surfer{agent: agent}
	v.Jar, v.Timeout = jar, waitBound
	v.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return v
}

func (v *surfer) get(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", v.agent)
	answer, err := v.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusFound {
		t.Fatalf("GET %s: %s", url, answer.Status)
	}
}

// ask sends a request to the API, and reads its answer.
func (s *server) ask(method, path, body string, into any) {
	s.t.Helper()
	answer, text, err := call(method, "http://"+s.api+path, nil, "", strings.NewReader(body))
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %v, %v: %s", method, path, answer, err, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		s.t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
}

// anHourAgo is when the messages were sent: early hits have reasons that are no matter here.
func anHourAgo() string {
	return fmt.Sprintf(`"sent_at":%q`, time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
}

// timeline is what GET /v1/messages/{message} tells.
type timeline struct {
	Status string
	Events []struct {
		Kind     string
		First    bool
		Inferred bool
		Actor    struct {
			Verdict string
			Reasons []string
		}
		Client struct {
			IP        string
			UserAgent string `json:"user_agent"`
		}
	}
}

// hits returns kind, verdict and reasons of the opens and clicks, sorted.
func (m *timeline) hits() (list []string) {
	for _, e := range m.Events {
		if e.Kind != "open" && e.Kind != "click" {
			continue
		}
		text := strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Kind, e.Actor.Verdict, strings.Join(e.Actor.Reasons, " ")))
		if e.First {
			text += " first"
		}
		if e.Inferred {
			text += " inferred"
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

// timeline reads what is known of a message, nothing while that is nothing.
func (s *server) timeline(message string) (m timeline) {
	s.t.Helper()
	answer, text, err := call(http.MethodGet, "http://"+s.api+"/v1/messages/"+message, nil, "", nil)
	if err == nil && answer.StatusCode == http.StatusNotFound {
		return m
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		s.t.Fatalf("timeline of %s: %v: %s", message, err, text)
	}
	return m
}

// awaitHits waits until a message has these opens and clicks.
func (s *server) awaitHits(message string, want ...string) (m timeline) {
	s.t.Helper()
	slices.Sort(want)
	var got []string
	defer func() {
		if !slices.Equal(got, want) {
			s.t.Logf("%s has %q, want %q", message, got, want)
		}
	}()
	s.until("the hits of "+message+" are as they should be", func() bool {
		m = s.timeline(message)
		got = m.hits()
		return slices.Equal(got, want)
	})
	return m
}

// What a sender opens and clicks of its own mail is shown, and counts nowhere.
func TestSelfCountsNowhere(t *testing.T) {
	s := newServer(t)
	s.start()
	mail := s.register([]string{
		`{` + anHourAgo() + `,"sender":"alice","message":"m-1","contact":"c-1","links":["https://example.com/a"]}`,
		`{` + anHourAgo() + `,"sender":"alice","message":"m-2","contact":"c-2","links":["https://example.com/a"]}`,
		`{` + anHourAgo() + `,"sender":"bob","message":"m-3","contact":"c-1","links":["https://example.com/a"]}`,
	})
	var link struct {
		SelfURL string `json:"self_url"`
	}
	s.ask(http.MethodPost, "/v1/senders/alice/self", "", &link)
	alice, reader := newSurfer(t, readersAgent), newSurfer(t, strings.Replace(readersAgent, "Linux", "FreeBSD", 1))
	alice.get(t, link.SelfURL)
	for _, m := range mail {
		alice.get(t, m.OpenURL)
		alice.get(t, m.ClickURLs[0])
	}
	// The click would infer an open if it were a reader's; of bob's mail alice is a reader.
	for _, m := range []string{"m-1", "m-2"} {
		if m := s.awaitHits(m, "open self self_cookie", "click self self_cookie"); m.Status != "sent" {
			t.Errorf("only opened by its sender, it is %s", m.Status)
		}
	}
	s.awaitHits("m-3", "open human first", "click human first")

	// The sender's hits neither hide a reader's nor take its first.
	reader.get(t, mail[0].OpenURL)
	if m := s.awaitHits("m-1", "open self self_cookie", "click self self_cookie", "open human first"); m.Status != "opened" {
		t.Errorf("opened by a reader, it is %s", m.Status)
	}

	var own struct{ Addresses []string }
	s.ask(http.MethodPut, "/v1/senders/alice/addresses", `{"addresses":["127.0.0.0/8"]}`, &own)
	reader.get(t, mail[1].OpenURL)
	alice.get(t, mail[1].ClickURLs[0]+"?again") // a repeat of its own
	s.awaitHits("m-2", "open self self_cookie", "click self self_cookie", "open self self_address")
	s.ask(http.MethodDelete, "/v1/senders/alice/addresses", "", &own)
	reader.get(t, mail[1].ClickURLs[0])
	m := s.awaitHits("m-2", "open self self_cookie", "click self self_cookie", "open self self_address", "click human first", "open human inferred_click first inferred")
	if m.Status != "clicked" {
		t.Errorf("clicked by a reader, it is %s", m.Status)
	}

	var score struct {
		Completed, Opened, Clicked int
		MachineOpened              int `json:"machine_opened"`
		MachineClicked             int `json:"machine_clicked"`
	}
	later := time.Now().Add(74 * time.Hour).UTC().Format(time.RFC3339)
	s.until("alice's counts are right", func() bool {
		s.get("/v1/senders/alice/score?window=24h&as_of="+later, &score)
		return score.Completed == 2 && score.Opened == 2 && score.Clicked == 1
	})
	if score.MachineOpened != 0 || score.MachineClicked != 0 {
		t.Errorf("the sender counts as a machine: %+v", score)
	}
}

// What is told to one node holds on all.
func TestOwnAddressesReachAllNodes(t *testing.T) {
	f := newFleet(t, startFake(t), 2, 1)
	f.makeTopics()
	f.start()
	told, other := f.edges[0], f.edges[1]
	var own struct{ Addresses []string }
	told.ask(http.MethodPut, "/v1/senders/alice/addresses", `{"addresses":["127.0.0.1"]}`, &own)
	other.until("the other node knows", func() bool {
		other.get("/v1/senders/alice/addresses", &own)
		return slices.Equal(own.Addresses, []string{"127.0.0.1/32"})
	})
	mail := other.register([]string{`{"sender":"alice","message":"m-1"}`})
	newSurfer(t, readersAgent).get(t, strings.Replace(mail[0].OpenURL, told.track, other.track, 1))
	other.awaitHits("m-1", "open self self_address")
}

// What is kept of clients differs by account. Who acted is known without it.
func TestAccountsKeepWhatTheySay(t *testing.T) {
	s := newServer(t)
	s.start("CAROM_ACCEPT_ACCOUNTS=shy/keep_address=none,shy/keep_agent=none,open/keep_address=whole", "CAROM_ACCEPT_KEEP_ADDRESS=truncated")
	reader, scanner := newSurfer(t, readersAgent), newSurfer(t, "curl/8.5.0")
	for account, ip := range map[string]string{"shy": "", "open": "127.0.0.1", "default": "127.0.0.0"} {
		mail := s.register([]string{fmt.Sprintf(`{%s,"account":%q,"sender":"alice","message":"m-1","links":["https://example.com/a","https://example.com/b","https://example.com/c"]}`, anHourAgo(), account)})
		reader.get(t, mail[0].OpenURL)
		scanner.get(t, mail[0].OpenURL)
		reader.get(t, mail[0].OpenURL) // a repeat is known without it too
		for _, url := range mail[0].ClickURLs {
			reader.get(t, url) // and a burst
		}
		const burst = "click scanner burst_address burst_links"
		m := s.awaitHits("m-1?account="+account, "open human first", "open scanner agent_library", burst, burst, burst)
		for _, e := range m.Events {
			if e.Kind != "open" && e.Kind != "click" {
				continue
			}
			if e.Client.IP != ip || (e.Client.UserAgent == "") != (account == "shy") {
				t.Errorf("%s: kept %+v", account, e.Client)
			}
		}
	}
}
