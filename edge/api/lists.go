package api

import (
	"cmp"
	"context"
	"net/http"
	"strconv"

	"carom/pipeline/event"
	"carom/pipeline/refine"
)

// maxListed is how many entries a page of messages or contacts has at most.
const (
	usualListed = 100
	maxListed   = 1000
	// listRounds is how often a page that is not full is asked to go on. Each looks at a bounded number of messages.
	listRounds = 8
)

// listedMessage is a message in a list.
type listedMessage struct {
	Message    string `json:"message"`
	Sender     string `json:"sender"`
	Sequence   string `json:"sequence"`
	Contact    string `json:"contact"`
	Recipient  string `json:"recipient"`
	Status     string `json:"status"`
	Registered bool   `json:"registered"`
	SentAt     string `json:"sent_at,omitempty"`
	Cursor     string `json:"cursor"`
}

var messageColumns = []string{"message", "sender", "sequence", "contact", "recipient", "status", "registered", "sent_at"}

func (m *listedMessage) cells() []string {
	return []string{
		m.Message, m.Sender, m.Sequence, m.Contact, m.Recipient, m.Status, strconv.FormatBool(m.Registered), m.SentAt,
	}
}

// messagesPage is the answer of GET /v1/messages, and what nodes tell each other.
type messagesPage struct {
	Messages []*listedMessage `json:"messages"`
	Next     string           `json:"next"`
}

// listedContact is a contact in a list.
type listedContact struct {
	Contact   string         `json:"contact"`
	Recipient string         `json:"recipient"`
	SentAt    string         `json:"sent_at,omitempty"`
	Messages  int            `json:"messages"`
	Statuses  map[string]int `json:"statuses"`
	More      bool           `json:"more,omitempty"`
	Cursor    string         `json:"cursor"`
}

// contactColumns begin the columns of contacts as CSV; one for each status follows.
var contactColumns = append([]string{"contact", "recipient", "sent_at", "messages"}, refine.Statuses()...)

func (c *listedContact) cells() []string {
	cells := []string{c.Contact, c.Recipient, c.SentAt, strconv.Itoa(c.Messages)}
	for _, status := range refine.Statuses() {
		cells = append(cells, strconv.Itoa(c.Statuses[status]))
	}
	return cells
}

// contactsPage is the answer of GET /v1/contacts, and what nodes tell each other.
type contactsPage struct {
	Contacts []*listedContact `json:"contacts"`
	Next     string           `json:"next"`
}

// listMessages answers a page of an account's messages, or streams all.
func (s *Server) listMessages(w http.ResponseWriter, r *http.Request) *problem {
	q, form, limit, p := s.listQuery(r, "contact")
	if p != nil {
		return p
	}
	list := func(after string, limit int) ([]*listedMessage, string, error) {
		q.After, q.Limit = after, limit
		page, err := s.gatherMessages(r.Context(), q)
		return page.Messages, page.Next, err
	}
	if form != "" {
		return streamList(s, w, r, form, messageColumns, q.After, limit, list)
	}
	page, next, err := fillPage(r.Context(), q.After, limit, list)
	if err != nil {
		return s.listProblem("list messages", err)
	}
	return s.writeJSON(w, messagesPage{page, next})
}

// listContacts answers a page of the contacts of an account's messages, or streams all.
func (s *Server) listContacts(w http.ResponseWriter, r *http.Request) *problem {
	q, form, limit, p := s.listQuery(r)
	if p != nil {
		return p
	}
	list := func(after string, limit int) ([]*listedContact, string, error) {
		q.After, q.Limit = after, limit
		page, err := s.gatherContacts(r.Context(), q)
		return page.Contacts, page.Next, err
	}
	if form != "" {
		return streamList(s, w, r, form, contactColumns, q.After, limit, list)
	}
	page, next, err := fillPage(r.Context(), q.After, limit, list)
	if err != nil {
		return s.listProblem("list contacts", err)
	}
	return s.writeJSON(w, contactsPage{page, next})
}

// fillPage has a list go on that found little, for a while.
func fillPage[T any](ctx context.Context, after string, limit int, list func(after string, limit int) ([]T, string, error)) (all []T, next string, err error) {
	all = []T{}
	for range listRounds {
		var page []T
		if page, next, err = list(after, limit-len(all)); err != nil {
			return nil, "", err
		}
		all, after = append(all, page...), next
		if next == "" || len(all) >= limit || ctx.Err() != nil {
			break
		}
	}
	return all, next, nil
}

// listQuery reads what a list is asked for.
func (s *Server) listQuery(r *http.Request, more ...string) (q refine.ListQuery, form string, limit int, wrong *problem) {
	p := readParams(r, append(more, "account", "sender", "sequence", "status", "from", "to", "window", "as_of", "after", "limit")...)
	q = refine.ListQuery{
		Account: p.account(), Sender: p.text("sender", maxID), Sequence: p.text("sequence", maxID), Contact: p.text("contact", maxID),
		Status: p.word("status", refine.Statuses()...), From: p.time("from"), To: p.time("to"), After: p.text("after", maxCursor),
	}
	asOf := p.asOf(s.d.Clock())
	switch {
	case p.values.Get("window") != "" && (q.From != 0 || q.To != 0):
		p.fail("window", "is given, and so is from or to: it stands for both")
	case p.values.Get("window") != "":
		q.From, q.To = max(0, asOf.Add(-p.window())), asOf
	case p.values.Get("as_of") != "":
		q.To = min(asOf, cmp.Or(q.To, asOf))
	}
	if q.To != 0 && q.To <= q.From {
		p.fail("to", "is not after from")
	}
	if form = streamForm(r.Header.Get("Accept")); form == "" {
		limit = p.limit(usualListed, maxListed)
	} else {
		limit = s.streamLimit(p, form, 0)
	}
	return q, form, limit, p.problem
}

// getPeerMessages answers another node a page of the messages that this one has.
func (s *Server) getPeerMessages(w http.ResponseWriter, r *http.Request) *problem {
	q, p := s.peerListQuery(r)
	if p != nil {
		return p
	}
	page, err := s.messagesHere(q)
	if err != nil {
		return s.listProblem("list messages", err)
	}
	return s.writeJSON(w, newMessagesPage(&page))
}

// getPeerContacts answers another node a page of the contacts of the messages that this one has.
func (s *Server) getPeerContacts(w http.ResponseWriter, r *http.Request) *problem {
	q, p := s.peerListQuery(r)
	if p != nil {
		return p
	}
	page, err := s.contactsHere(q)
	if err != nil {
		return s.listProblem("list contacts", err)
	}
	return s.writeJSON(w, newContactsPage(&page))
}

// peerListQuery reads what query writes.
func (s *Server) peerListQuery(r *http.Request) (refine.ListQuery, *problem) {
	p := readParams(r, "account", "sender", "sequence", "contact", "status", "from", "to", "after", "limit")
	q := refine.ListQuery{
		Account: p.account(), Sender: p.text("sender", maxID), Sequence: p.text("sequence", maxID), Contact: p.text("contact", maxID),
		Status: p.text("status", maxID), From: p.time("from"), To: p.time("to"), After: p.text("after", maxCursor),
		Limit: p.limit(usualListed, maxListed),
	}
	peer, differ := s.fromPeer(r)
	switch {
	case p.problem != nil:
		return q, p.problem
	case differ != nil:
		return q, differ
	case !peer:
		return q, newProblem(http.StatusNotFound, "not-found", "There is no such path", "Nodes ask each other here, and nobody else.")
	}
	return q, nil
}

func newMessagesPage(page *refine.ListPage) messagesPage {
	told := messagesPage{Messages: []*listedMessage{}, Next: page.Next}
	for i := range page.Messages {
		m := &page.Messages[i]
		told.Messages = append(told.Messages, &listedMessage{
			Message: m.Message, Sender: m.Sender, Sequence: m.Sequence, Contact: m.Contact, Recipient: m.Recipient, Status: m.Status,
			Registered: m.Registered, SentAt: formatMillis(m.SentAt), Cursor: page.Places[i],
		})
	}
	return told
}

// page is the inverse of newMessagesPage.
func (t *messagesPage) page(account string) (page refine.ListPage) {
	page.Next = t.Next
	for _, m := range t.Messages {
		page.Messages = append(page.Messages, refine.Message{
			Ref: event.Ref{
				Account: account, Sender: m.Sender, Sequence: m.Sequence, Contact: m.Contact, Message: m.Message, SentAt: parseMillis(m.SentAt),
			},
			Recipient: m.Recipient, Status: m.Status, Registered: m.Registered,
		})
		page.Places = append(page.Places, m.Cursor)
	}
	return page
}

func newContactsPage(page *refine.ContactsPage) contactsPage {
	told := contactsPage{Contacts: []*listedContact{}, Next: page.Next}
	for i := range page.Contacts {
		c := &page.Contacts[i]
		told.Contacts = append(told.Contacts, &listedContact{
			Contact: c.Contact, Recipient: c.Recipient, SentAt: formatMillis(c.SentAt), Messages: c.Messages, Statuses: c.Statuses,
			More: c.More, Cursor: page.Places[i],
		})
	}
	return told
}

// page is the inverse of newContactsPage.
func (t *contactsPage) page() (page refine.ContactsPage) {
	page.Next = t.Next
	for _, c := range t.Contacts {
		page.Contacts = append(page.Contacts, refine.ListedContact{
			Contact: c.Contact, Recipient: c.Recipient, SentAt: parseMillis(c.SentAt), Messages: c.Messages, Statuses: c.Statuses, More: c.More,
		})
		page.Places = append(page.Places, c.Cursor)
	}
	return page
}
