package targets

import (
	"bytes"
	"encoding/json"
	"sync"
	"testing"
)

// Each message is made once, by whichever feed, and all senders have their turn.
func TestRegistrations(t *testing.T) {
	o := DefaultRegistrations()
	o.Account, o.Senders, o.Links, o.Batch, o.Run = `a"b`, 7, 2, 10, "run1"
	r, err := NewRegistrations(o)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	messages, senders := map[string]bool{}, map[string]int{}
	var all sync.WaitGroup
	for range 3 {
		feed := r.Feed()
		all.Go(func() {
			for range 20 {
				body := feed.Next()
				mu.Lock()
				for line := range bytes.Lines(body) {
					var m struct {
						Account, Sender, Sequence, Contact, Message, Recipient string
						Links                                                  []string
					}
					if err := json.Unmarshal(line, &m); err != nil || m.Account != o.Account || len(m.Links) != 2 || m.Contact == "" || m.Recipient == "" {
						t.Errorf("%v: %s", err, line)
					}
					messages[m.Message] = true
					senders[m.Sender]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(messages) != 600 || len(senders) != 7 || senders["sender-000000000003"] < 85 {
		t.Errorf("%d messages, %v", len(messages), senders)
	}
}

func TestRegistrationOptions(t *testing.T) {
	for name, change := range map[string]func(*RegistrationOptions){
		"batch": func(o *RegistrationOptions) { o.Batch = 0 }, "links": func(o *RegistrationOptions) { o.Links = 201 },
		"senders": func(o *RegistrationOptions) { o.Senders = 0 }, "run": func(o *RegistrationOptions) { o.Run = "a b" },
	} {
		o := DefaultRegistrations()
		change(&o)
		if _, err := NewRegistrations(o); err == nil {
			t.Errorf("a bad %s is taken", name)
		}
	}
}
