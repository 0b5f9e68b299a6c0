package api

import (
	"encoding/json"
	"net/http"

	"carom/pipeline/event"
	"carom/pipeline/refine"
)

// messageAnswer is the answer of GET /v1/messages/{message}.
type messageAnswer struct {
	Account       string `json:"account"`
	Sender        string `json:"sender"`
	Sequence      string `json:"sequence"`
	Contact       string `json:"contact"`
	Message       string `json:"message"`
	Recipient     string `json:"recipient"`
	Status        string `json:"status"`
	Registered    bool   `json:"registered"`
	SentAt        string `json:"sent_at,omitempty"`
	Transactional bool   `json:"transactional,omitempty"`
	Anonymous     bool   `json:"anonymous,omitempty"`
	Shared        bool   `json:"shared,omitempty"`
	Untracked     bool   `json:"untracked,omitempty"`

	Opens            hitCounts      `json:"opens"`
	Clicks           hitCounts      `json:"clicks"`
	Clients          []clientAnswer `json:"clients"`
	ClientsTruncated bool           `json:"clients_truncated,omitempty"`

	Events    []json.RawMessage `json:"events"`
	Truncated bool              `json:"truncated,omitempty"`
}

// timeLayout is how every time is written: RFC 3339, UTC, milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// getMessage answers what is known of one message.
func (s *Server) getMessage(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "as_of")
	account, message := p.account(), event.CleanMessageID(p.pathText(r, "message", maxMessage))
	p.asOf(s.d.Clock()) // allowed on every read, but a status does not depend on it
	if p.problem != nil {
		return p.problem
	}
	owner := 0
	if s.d.Cluster != nil {
		owner = s.d.Cluster.OwnerOfMessage(message)
	}
	if done, p := s.elsewhere(w, r, owner); done {
		return p
	}
	if s.d.Messages == nil {
		return s.failure("read the message", ErrNotReady)
	}
	m, known, err := s.d.Messages.Message(account, message)
	switch {
	case err != nil:
		return s.failure("read the message", err)
	case !known:
		return newProblem(http.StatusNotFound, "not-found", "The message is not known",
			"No message "+quote(message)+" of account "+quote(account)+" was registered or heard of.")
	}
	return s.writeJSON(w, newMessageAnswer(&m))
}

func newMessageAnswer(m *refine.Message) messageAnswer {
	hits := summarise(m.Events)
	a := messageAnswer{
		Account: m.Account, Sender: m.Sender, Sequence: m.Sequence, Contact: m.Contact, Message: m.Message,
		Recipient: m.Recipient, Status: m.Status, Registered: m.Registered,
		Transactional: m.Flags.Has(event.Transactional), Anonymous: m.Flags.Has(event.Anonymous),
		Shared: m.Flags.Has(event.Shared), Untracked: m.Flags.Has(event.Untracked),
		Opens: hits.opens, Clicks: hits.clicks, Clients: hits.clients[:min(len(hits.clients), maxClients)],
		ClientsTruncated: len(hits.clients) > maxClients,
		Events:           make([]json.RawMessage, len(m.Events)), Truncated: m.Truncated,
	}
	if m.SentAt != 0 {
		a.SentAt = m.SentAt.Time().Format(timeLayout)
	}
	for i := range m.Events {
		a.Events[i] = m.Events[i].AppendJSON(nil)
	}
	return a
}
