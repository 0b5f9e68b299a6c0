package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"carom/pipeline/control"
	"carom/pipeline/event"
	"carom/pipeline/refine"
)

// Contacts knows the messages of every contact, as far as this node has refined them.
type Contacts interface {
	Contact(account, contact, after string, limit int) (refine.ContactPage, error)
	// List lists messages, and Contacts the contacts of such a list.
	List(q refine.ListQuery) (refine.ListPage, error)
	Contacts(q refine.ListQuery) (refine.ContactsPage, error)
	// Scrubbing reports whether logs on this node's disk may hold traces of a contact who was erased.
	Scrubbing(ctx context.Context, account, contact string) (bool, error)
}

const (
	usualContact = 100
	maxContacts  = 1000
)

// contactAnswer is the answer of GET /v1/contacts/{contact}, and what nodes tell each other.
type contactAnswer struct {
	Account    string           `json:"account"`
	Contact    string           `json:"contact"`
	Recipient  string           `json:"recipient"`
	Status     string           `json:"status"` // empty: no message is known
	Messages   []contactMessage `json:"messages"`
	Suppressed json.RawMessage  `json:"suppressed"` // null: the recipient may be mailed; nodes tell each other nothing here
	Denied     bool             `json:"denied"`
	ErasedAt   string           `json:"erased_at,omitempty"`
	Next       string           `json:"next"`
	// Between nodes.
	Erasing   bool          `json:"erasing,omitempty"`
	Scrubbing bool          `json:"scrubbing,omitempty"`
	Facts     *refine.Facts `json:"facts,omitempty"`
}

type contactMessage struct {
	Message    string            `json:"message"`
	Sender     string            `json:"sender"`
	Sequence   string            `json:"sequence"`
	Recipient  string            `json:"recipient"`
	Status     string            `json:"status,omitempty"`
	Registered bool              `json:"registered"`
	SentAt     string            `json:"sent_at,omitempty"`
	Flags      uint32            `json:"flags,omitempty"`  // between nodes
	Events     []json.RawMessage `json:"events,omitempty"` // of an enrollment
	Cursor     string            `json:"cursor"`
}

// contactPage is a page with what is known besides the list.
type contactPage struct {
	refine.ContactPage
	scrubbing bool
}

// getContact answers a contact's messages.
func (s *Server) getContact(w http.ResponseWriter, r *http.Request) *problem {
	p, account, contact := contactParams(r, "as_of", "after", "limit")
	after, limit := p.text("after", refine.MaxPlaceBytes), p.limit(usualContact, maxContacts)
	at := p.asOf(s.d.Clock())
	peer, differ := s.fromPeer(r)
	switch {
	case p.problem != nil:
		return p.problem
	case differ != nil:
		return differ
	}
	page, err := s.contactPage(r.Context(), account, contact, after, limit, peer)
	if err != nil {
		return s.contactProblem(err)
	}
	answer := newContactAnswer(account, contact, &page)
	if peer {
		answer.Facts = &page.Facts
	} else {
		answer.Erasing, answer.Scrubbing = false, false // .../erasure tells of it
		for i := range answer.Messages {
			answer.Messages[i].Flags = 0
		}
	}
	since, err := s.deniedSince(account, contact)
	if err != nil && !peer {
		return s.failure("read who is denied", err)
	}
	answer.Denied = since != 0
	if !peer {
		if answer.Suppressed, err = s.suppressedNow(r, account, answer.address(), at); err != nil {
			return s.failure("read who is suppressed", err)
		}
	}
	return s.writeJSON(w, answer)
}

func (s *Server) contactProblem(err error) *problem {
	if isPlace(err) {
		return badParameter("after", "is no cursor of this list")
	}
	return s.failure("read the contact", err)
}

// contactPage gathers a page from all nodes, or this node's own part if another node asks.
func (s *Server) contactPage(ctx context.Context, account, contact, after string, limit int, peer bool) (all contactPage, err error) {
	var pages []refine.ContactPage
	own := func() error {
		if s.d.Contacts == nil {
			return ErrNotReady
		}
		page, err := s.d.Contacts.Contact(account, contact, after, limit)
		if err != nil {
			return err
		}
		scrubbing, err := s.d.Contacts.Scrubbing(ctx, account, contact)
		pages, all.scrubbing = append(pages, page), all.scrubbing || scrubbing
		return err
	}
	if s.d.Cluster == nil || peer {
		if err := own(); err != nil {
			return all, err
		}
		all.ContactPage = pages[0]
		return all, nil
	}
	for _, place := range s.d.Cluster.Refiners {
		if place == s.d.Cluster.Self {
			if err := own(); err != nil {
				return all, err
			}
			continue
		}
		p, err := s.peers.at(place)
		if err != nil {
			return all, err
		}
		page, err := p.contact(ctx, account, contact, after, limit)
		if err != nil {
			return all, err
		}
		pages, all.scrubbing = append(pages, page.ContactPage), all.scrubbing || page.scrubbing
	}
	all.ContactPage = refine.MergeContact(limit, pages)
	return all, nil
}

// contact asks the worker for its part of a page.
func (p *peer) contact(ctx context.Context, account, contact, after string, limit int) (page contactPage, err error) {
	q := url.Values{"account": {account}, "limit": {strconv.Itoa(limit)}}
	if after != "" {
		q.Set("after", after)
	}
	answer, err := p.get(ctx, "/v1/contacts/"+url.PathEscape(contact)+"?"+q.Encode(), maxPeerAnswer)
	if err != nil {
		return page, err
	}
	var told contactAnswer
	if answer.status != http.StatusOK || !answer.isJSON() || json.Unmarshal(answer.body, &told) != nil || len(told.Messages) > limit {
		return page, p.away("bad", "answered something else than a contact")
	}
	return told.page(), nil
}

// page is the inverse of newContactAnswer.
func (a *contactAnswer) page() (page contactPage) {
	page.More, page.Erasing, page.scrubbing = a.Next != "", a.Erasing, a.Scrubbing
	page.ErasedAt = parseMillis(a.ErasedAt)
	if a.Facts != nil {
		page.Facts = *a.Facts
	}
	for i := range a.Messages {
		t := &a.Messages[i]
		m := refine.Message{
			Ref: event.Ref{
				Account: a.Account, Sender: t.Sender, Sequence: t.Sequence, Contact: a.Contact, Message: t.Message,
				SentAt: parseMillis(t.SentAt), Flags: event.Flags(t.Flags),
			},
			Recipient: t.Recipient, Registered: t.Registered, Status: t.Status,
		}
		for _, raw := range t.Events {
			var e event.Refined
			if e.DecodeJSON(raw) == nil {
				m.Events = append(m.Events, e)
			}
		}
		page.Messages, page.Places = append(page.Messages, m), append(page.Places, t.Cursor)
	}
	return page
}

func newContactAnswer(account, contact string, page *contactPage) contactAnswer {
	a := contactAnswer{
		Account: account, Contact: contact, Messages: []contactMessage{}, Suppressed: json.RawMessage("null"),
		Status: page.Facts.Status(), Erasing: page.Erasing, Scrubbing: page.scrubbing, ErasedAt: formatMillis(page.ErasedAt),
	}
	latest := event.Millis(-1)
	for i := range page.Messages {
		m := &page.Messages[i]
		t := contactMessage{
			Message: m.Message, Sender: m.Sender, Sequence: m.Sequence, Recipient: m.Recipient, Status: m.Status,
			Registered: m.Registered, SentAt: formatMillis(m.SentAt), Flags: uint32(m.Flags), Cursor: page.Places[i],
		}
		for j := range m.Events {
			t.Events = append(t.Events, m.Events[j].AppendJSON(nil))
		}
		a.Messages = append(a.Messages, t)
		if m.Recipient != "" && m.SentAt > latest {
			a.Recipient, latest = m.Recipient, m.SentAt
		}
	}
	if n := len(page.Places); n > 0 && page.More {
		a.Next = page.Places[n-1]
	}
	return a
}

// address is where the contact is mailed: the recipient of his latest message, or his id, if that is an address.
func (a *contactAnswer) address() string {
	if a.Recipient == "" && looksLikeAddress(a.Contact) {
		return a.Contact
	}
	return a.Recipient
}

func formatMillis(at event.Millis) string {
	if at == 0 {
		return ""
	}
	return at.Time().Format(timeLayout)
}

// erasure is the answer about an erase.
type erasure struct {
	Account string `json:"account"`
	Contact string `json:"contact"`
	// State is none, running (what is kept of him is being deleted, or traces are being removed from logs on disk) or done.
	State    string `json:"state"`
	ErasedAt string `json:"erased_at,omitempty"`
}

// deleteContact erases what is kept of a contact. It answers when the order is on disk, from where nothing loses it.
func (s *Server) deleteContact(w http.ResponseWriter, r *http.Request) *problem {
	p, account, contact := contactParams(r)
	switch {
	case p.problem != nil:
		return p.problem
	case contact == "":
		return missingField("contact", "want the platform's id of a recipient")
	}
	if err := s.hideDenied(account, contact); err != nil {
		return s.notTaken(err)
	}
	now := event.FromTime(s.d.Clock())
	key := event.ContactKeyOf(account, contact)
	evs := make([]*event.Event, max(1, s.d.RawPartitions))
	for i := range evs {
		evs[i] = &event.Event{
			Kind: event.Erase, Time: now, KnownBy: event.ByKey, Ref: event.Ref{Account: account, Contact: key.String()},
		}
		// The first four bytes of a key choose the partition.
		evs[i].Key = event.Key{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		copy(evs[i].Key[4:], key[:])
	}
	if err := s.d.Sink.Facts(evs...); err != nil {
		return s.notTaken(err)
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(http.StatusAccepted)
	body, err := json.Marshal(erasure{Account: account, Contact: contact, State: "running", ErasedAt: formatMillis(now)})
	if err != nil {
		panic("BUG: an erasure that JSON can't hold: " + err.Error())
	}
	_, _ = w.Write(append(body, '\n')) // who is gone asks again
	return nil
}

// hideDenied has a contact who is denied stay so, by his key alone.
func (s *Server) hideDenied(account, contact string) error {
	if s.d.Controls == nil {
		return nil
	}
	both := denials(account, contact)
	named, ok, err := s.d.Controls.Get(both[0].Kind, account, contact)
	if err != nil || !ok {
		return err
	}
	both[1].Since = named.Since
	if err := s.d.Controls.Set(s.stopping, []control.Control{both[1]}...); err != nil {
		return err
	}
	return s.d.Controls.Remove(s.stopping, both[0])
}

// getErasure answers how far an erase has come.
func (s *Server) getErasure(w http.ResponseWriter, r *http.Request) *problem {
	p, account, contact := contactParams(r, "as_of")
	p.asOf(s.d.Clock())
	if p.problem != nil {
		return p.problem
	}
	page, err := s.contactPage(r.Context(), account, contact, "", 1, false)
	if err != nil {
		return s.contactProblem(err)
	}
	// Who was asked first may have copied since what who was asked last told late: all are asked once more.
	running := page.Erasing || page.scrubbing
	if !running && page.ErasedAt != 0 && s.d.Cluster != nil {
		if running, err = s.scrubbing(r.Context(), account, contact); err != nil {
			return s.contactProblem(err)
		}
	}
	answer := erasure{Account: account, Contact: contact, State: "none", ErasedAt: formatMillis(page.ErasedAt)}
	switch {
	case running:
		answer.State = "running"
	case page.ErasedAt != 0:
		answer.State = "done"
	}
	return s.writeJSON(w, answer)
}

// scrubbing reports whether a worker may have traces of a contact on its disk who was erased.
func (s *Server) scrubbing(ctx context.Context, account, contact string) (bool, error) {
	c := s.d.Cluster
	for place := range c.size() {
		if !slices.Contains(c.Refiners, place) && !slices.Contains(c.Counters, place) {
			continue
		}
		var found bool
		var err error
		if place == c.Self {
			if s.d.Contacts == nil {
				return false, ErrNotReady
			}
			found, err = s.d.Contacts.Scrubbing(ctx, account, contact)
		} else {
			var p *peer
			var page contactPage
			if p, err = s.peers.at(place); err == nil {
				page, err = p.contact(ctx, account, contact, "", 1)
				found = page.scrubbing
			}
		}
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}
