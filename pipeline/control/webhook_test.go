package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// names lists what Each tells.
func (c *Controls) names(t *testing.T, k Kind) (names []string) {
	t.Helper()
	if err := c.Each(k, func(e Control) error {
		names = append(names, e.Account+"/"+e.Name+" "+strings.Join(e.Values, ""))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// Webhooks of all accounts are told in order, bounded by a setting of their own, and are there after a restart.
func TestWebhooks(t *testing.T) {
	ctx := context.Background()
	s := openStore(t, vfs.NewMem())
	o := Options{MaxDenied: 1, MaxWebhooks: 2}
	c, _ := openLocal(t, s, o)
	stop := run(t, c)
	hook := func(account, name, object string) Control {
		return Control{Kind: Webhook, Account: account, Name: name, Since: 1, Values: []string{object}}
	}
	rung := c.Rung()
	if err := c.Set(ctx, hook("b", "y", `{}`), hook("a/c", "x", `{"n":1}`)); err != nil {
		t.Fatal(err)
	}
	<-rung
	want := []string{`a/c/x {"n":1}`, `b/y {}`}
	if got := c.names(t, Webhook); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	err := c.Set(ctx, hook("a", "z", `{}`))
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "control.max_webhooks") {
		t.Errorf("one too many: %v", err)
	}
	// What is there may be changed, and other kinds have room of their own.
	state := Control{Kind: WebhookState, Account: "b", Name: "y", Values: []string{`{"s":2}`}}
	denied := Control{Kind: Denied, Account: "b", Name: "y"}
	if err := c.Set(ctx, hook("b", "y", `{"n":2}`), state, denied); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "{", `"` + strings.Repeat("x", maxObject) + `"`} {
		if err := c.Set(ctx, hook("b", "y", bad)); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
	stop()
	again, _ := openLocal(t, s, o)
	stop = run(t, again)
	want[1] = `b/y {"n":2}`
	if got := again.names(t, Webhook); !slices.Equal(got, want) {
		t.Errorf("after a restart %v, want %v", got, want)
	}
	if got := again.names(t, WebhookState); !slices.Equal(got, []string{`b/y {"s":2}`}) {
		t.Errorf("states %v", got)
	}
	if err := again.Remove(ctx, hook("b", "y", "")); err != nil {
		t.Fatal(err)
	}
	if err := again.Set(ctx, hook("a", "z", `{}`)); err != nil {
		t.Errorf("where one was removed: %v", err)
	}
	if !again.Table().Denied("b", "y") {
		t.Error("the contact of a webhook's name is no longer denied")
	}
	stop()
	// A node with less room leaves out what does not fit.
	o.MaxWebhooks = 1
	small, _ := openLocal(t, s, o)
	if got := small.names(t, Webhook); len(got) != 1 {
		t.Errorf("with room for one: %v", got)
	}
}
