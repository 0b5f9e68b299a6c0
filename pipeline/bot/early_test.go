package bot

import (
	"testing"
	"time"

	"carom/pipeline/event"
)

func TestEarly(t *testing.T) {
	const sent = event.Millis(1_700_000_000_000)
	proxy, browser := get(gmail), get(chrome)
	for _, test := range []struct {
		name string
		kind event.Kind
		req  *event.Request
		sent event.Millis
		at   event.Millis
		want string
	}{
		{"a proxy at once", event.Open, &proxy, sent, sent, "unknown agent_image_proxy,early via gmail"},
		{"a proxy before a minute is over", event.Open, &proxy, sent, sent.Add(time.Minute) - 1, "unknown agent_image_proxy,early via gmail"},
		{"a proxy ahead of the clock that said when", event.Open, &proxy, sent, sent.Add(-time.Second), "unknown agent_image_proxy,early via gmail"},
		{"a proxy after a minute", event.Open, &proxy, sent, sent.Add(time.Minute), "human agent_image_proxy via gmail"},
		{"a proxy, nobody knows when it was sent", event.Open, &proxy, 0, sent, "human agent_image_proxy via gmail"},
		{"a proxy that clicks", event.Click, &proxy, sent, sent, "scanner agent_image_proxy via gmail"},
		{"a browser at once", event.Open, &browser, sent, sent, "human"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := describe(Early(test.kind, actorOf(test.kind, test.req), test.sent, test.at)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func actorOf(kind event.Kind, req *event.Request) event.Actor {
	actor, _ := Default().Judge(kind, req, nil)
	return actor
}
