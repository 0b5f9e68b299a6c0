package webhook

import (
	"encoding/json"
	"fmt"

	"carom/pipeline/event"
)

// Teller journals what webhooks say themselves. It returns when that is durable.
type Teller interface {
	Facts(evs ...*event.Event) error
}

// Alert is the body of an event of kind alert that tells of a webhook which rests.
type Alert struct {
	Rule    string `json:"rule"` // webhook_paused or webhook_disabled
	Webhook string `json:"webhook"`
	Reason  string `json:"reason"`
	Since   string `json:"failing_since"`
	AsOf    string `json:"as_of"`
}

// AlertRule is the rule of the alert that tells of a webhook which comes to a state.
func AlertRule(state string) string { return "webhook_" + state }

// NewAlert is an alert of a rule.
func NewAlert(rule, webhook, reason string, since, asOf event.Millis) Alert {
	return Alert{Rule: rule, Webhook: webhook, Reason: reason, Since: since.Time().Format(alertTime), AsOf: asOf.Time().Format(alertTime)}
}

const alertTime = "2006-01-02T15:04:05.000Z"

// alert tells that a webhook comes to rest. Whichever nodes tell it, and how often, it is one event: a webhook that rests
// does not come to rest again before it was resumed or changed.
func (h *Hooks) alert(hook *Hook, s *state, failing event.Millis) error {
	if h.teller == nil {
		return nil
	}
	a := NewAlert(AlertRule(s.State), hook.Name, s.Reason, failing, s.At)
	body, err := json.Marshal(a)
	if err != nil {
		panic("BUG: an alert that JSON can't hold: " + err.Error())
	}
	crossing := fmt.Sprintf("%s %s %d", hook.ID, s.Tag, s.Serial)
	return h.teller.Facts(&event.Event{
		Kind: event.Alert, Time: s.At, Ref: event.Ref{Account: hook.Account},
		Key: event.Key(event.AlertID(hook.Account, "", a.Rule, crossing)), KnownBy: event.ByKey, Body: body,
	})
}
