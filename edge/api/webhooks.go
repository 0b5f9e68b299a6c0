package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"carom/edge/webhook"
	"carom/pipeline/event"
)

// Webhooks are whose servers hear of events. All nodes know the same; each delivers what it has.
type Webhooks interface {
	Get(account, name string) (webhook.Info, error)
	List(account, after string, limit int) (page []webhook.Info, next string, err error)
	Put(ctx context.Context, account, name string, d webhook.Draft) (info webhook.Info, secret string, err error)
	Delete(ctx context.Context, account, name string) error
	Resume(ctx context.Context, account, name string, from []int64) (webhook.Info, error)
	Bounds(hook *webhook.Hook) (events, bytes int, wait time.Duration)
	Delivery(id string) (d webhook.Delivery, ok bool, err error)
}

const usualWebhooks = 100

// webhookAnswer is a webhook as the API shows it. The secret is in it once: when Carom has made it.
type webhookAnswer struct {
	Account   string        `json:"account"`
	Name      string        `json:"name"`
	URL       string        `json:"url"`
	Kinds     []string      `json:"kinds"`
	Verdicts  []string      `json:"verdicts"`
	Format    string        `json:"format"`
	MaxEvents int           `json:"max_events"`
	MaxBytes  int           `json:"max_bytes"`
	MaxWait   string        `json:"max_wait"`
	Secret    string        `json:"secret,omitempty"`
	Source    string        `json:"source"` // api or config
	State     string        `json:"state"`
	Reason    string        `json:"reason,omitempty"`
	Since     string        `json:"since,omitempty"`
	CreatedAt string        `json:"created_at,omitempty"`
	UpdatedAt string        `json:"updated_at,omitempty"`
	Cursor    string        `json:"cursor,omitempty"`
	Nodes     []webhookNode `json:"nodes,omitempty"`
}

// webhookNode is how a webhook stands on one node, and what nodes tell each other of it.
type webhookNode struct {
	Worker      int        `json:"worker"`
	Problem     string     `json:"problem,omitempty"`
	Next        [][2]int64 `json:"next,omitempty"` // partition, offset
	Behind      int64      `json:"behind"`
	Delivered   int64      `json:"delivered"`
	DeliveredAt string     `json:"delivered_at,omitempty"`
	Missed      int64      `json:"missed"`
	FailingAt   string     `json:"failing_since,omitempty"`
	Attempts    int64      `json:"attempts"`
	LastStatus  int        `json:"last_status,omitempty"`
	LastError   string     `json:"last_error,omitempty"`
	AgainAt     string     `json:"next_attempt_at,omitempty"`
}

func timeText(m event.Millis) string {
	if m == 0 {
		return ""
	}
	return m.Time().Format(timeLayout)
}

func (s *Server) newWebhookAnswer(i *webhook.Info) webhookAnswer {
	a := webhookAnswer{
		Account: i.Account, Name: i.Name, URL: i.URL, Kinds: orEmpty(i.Kinds), Verdicts: orEmpty(i.Verdicts), Format: i.Format,
		Source: "api", State: i.State, Reason: i.Reason, Since: timeText(i.Since),
		CreatedAt: timeText(i.Created), UpdatedAt: timeText(i.Updated),
	}
	if i.Configured {
		a.Source = "config"
	}
	var wait time.Duration
	a.MaxEvents, a.MaxBytes, wait = s.d.Webhooks.Bounds(&i.Hook)
	a.MaxWait = wait.String()
	return a
}

// webhookParams reads what paths of one webhook have in common.
func (s *Server) webhookParams(r *http.Request, known ...string) (p *params, account, name string) {
	p = readParams(r, append(known, "account")...)
	account, name = p.account(), p.pathText(r, "name", maxID)
	if err := webhook.CheckName(name); err != nil {
		p.fail("name", err.Error())
	}
	if p.problem == nil && s.d.Webhooks == nil {
		p.problem = notReadyHere("It can't tell of webhooks")
	}
	return p, account, name
}

// webhookProblem says why a webhook can't be told of, or changed.
func (s *Server) webhookProblem(doing, name string, err error) *problem {
	var field *webhook.FieldError
	switch {
	case errors.As(err, &field):
		return badField(field.Field, field.Reason)
	case errors.Is(err, webhook.ErrUnknown):
		return newProblem(http.StatusNotFound, "not-found", "The webhook is not known", "The account has no webhook "+quote(name)+".").at("name")
	case errors.Is(err, webhook.ErrConfigured):
		return newProblem(http.StatusConflict, "configured", "The webhook can't be changed here", "The setting webhooks.hooks of the nodes has it: change it there.").at("name")
	}
	if p := controlProblem(err); p != nil {
		return p
	}
	return s.failure(doing, err)
}

// getWebhooks lists an account's webhooks.
func (s *Server) getWebhooks(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "after", "limit")
	account, after, limit := p.account(), p.text("after", maxID), p.limit(usualWebhooks, maxContacts)
	switch {
	case p.problem != nil:
		return p.problem
	case s.d.Webhooks == nil:
		return notReadyHere("It can't tell of webhooks")
	}
	page, next, err := s.d.Webhooks.List(account, after, limit)
	if err != nil {
		return s.webhookProblem("list webhooks", "", err)
	}
	answer := struct {
		Webhooks []webhookAnswer `json:"webhooks"`
		Next     string          `json:"next"`
	}{make([]webhookAnswer, len(page)), next}
	for i := range page {
		answer.Webhooks[i] = s.newWebhookAnswer(&page[i])
	}
	return s.writeJSON(w, answer)
}

// getWebhook answers a webhook and how it stands on each node that delivers to it; another node gets how it stands here.
func (s *Server) getWebhook(w http.ResponseWriter, r *http.Request) *problem {
	p, account, name := s.webhookParams(r)
	if p.problem != nil {
		return p.problem
	}
	peer, differ := s.fromPeer(r)
	if differ != nil {
		return differ
	}
	info, err := s.d.Webhooks.Get(account, name)
	if err != nil {
		return s.webhookProblem("read a webhook", name, err)
	}
	if peer {
		node, err := s.webhookHere(info.ID)
		if err != nil {
			return s.failure("read how a webhook stands", err)
		}
		return s.writeJSON(w, node)
	}
	a := s.newWebhookAnswer(&info)
	if a.Nodes, err = s.webhookNodes(r.Context(), &info); err != nil {
		return s.failure("read how a webhook stands", err)
	}
	a.Cursor = s.webhookCursor(a.Nodes)
	return s.writeJSON(w, a)
}

// webhookNodes gathers how a webhook stands. A node that is away says so in its place.
func (s *Server) webhookNodes(ctx context.Context, info *webhook.Info) (nodes []webhookNode, err error) {
	places := []int{0}
	if s.d.Cluster != nil {
		places = s.d.Cluster.Counters
	}
	for _, place := range places {
		if place == s.d.Cluster.self() {
			node, err := s.webhookHere(info.ID)
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, node)
			continue
		}
		node := webhookNode{Worker: place}
		p, err := s.peers.at(place)
		if err == nil {
			err = p.webhook(ctx, info, &node)
		}
		if err != nil {
			node = webhookNode{Worker: place, Problem: problemOf(err).Detail}
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// webhook asks the worker how a webhook stands there.
func (p *peer) webhook(ctx context.Context, info *webhook.Info, into *webhookNode) error {
	answer, err := p.get(ctx, "/v1/webhooks/"+url.PathEscape(info.Name)+"?account="+url.QueryEscape(info.Account), maxPeerAnswer)
	if err != nil {
		return err
	}
	if answer.status != http.StatusOK || !answer.isJSON() || json.Unmarshal(answer.body, into) != nil {
		return p.away("bad", "answered something else than how a webhook stands, with "+strconv.Itoa(answer.status))
	}
	into.Worker = p.place
	return nil
}

// webhookHere tells how a webhook stands on this node.
func (s *Server) webhookHere(id string) (webhookNode, error) {
	n := webhookNode{Worker: s.d.Cluster.self()}
	d, ok, err := s.d.Webhooks.Delivery(id)
	switch {
	case err != nil:
		return n, err
	case !ok:
		n.Problem = "It has not heard of the webhook yet, or has no events to deliver."
		return n, nil
	}
	for p, next := range d.Next {
		n.Next = append(n.Next, [2]int64{int64(p), next})
	}
	slices.SortFunc(n.Next, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	n.Behind, n.Delivered, n.DeliveredAt, n.Missed = d.Behind, d.Delivered, timeText(d.Last), d.Missed
	n.FailingAt, n.Attempts, n.LastStatus, n.LastError, n.AgainAt = timeText(d.Failing), d.Attempts, d.Status, d.Error, timeText(d.Again)
	return n, nil
}

// webhookCursor is where a webhook goes on, if all nodes have told.
func (s *Server) webhookCursor(nodes []webhookNode) string {
	offsets := make([]int64, len(s.events))
	told := 0
	for i := range nodes {
		for _, at := range nodes[i].Next {
			if at[0] < 0 || at[0] >= int64(len(offsets)) || at[1] < 0 {
				return ""
			}
			offsets[at[0]] = at[1]
			told++
		}
	}
	if told != len(offsets) || told == 0 {
		return ""
	}
	m := s.eventMerger()
	for i := range offsets {
		m.parts[i].next = offsets[i]
	}
	return m.cursor().String()
}

// putWebhook makes a webhook or changes it.
func (s *Server) putWebhook(w http.ResponseWriter, r *http.Request) *problem {
	p, account, name := s.webhookParams(r)
	if p.problem != nil {
		return p.problem
	}
	var d webhook.Draft
	if p := s.readWebhook(w, r, account, draftMember(&d)); p != nil {
		return p
	}
	if d.URL == "" {
		return missingField("url", "want where to send events, such as https://hooks.example.com/carom")
	}
	// Not with the request's context: whether the client still waits is no matter once it was asked for.
	info, secret, err := s.d.Webhooks.Put(context.WithoutCancel(s.stopping), account, name, d)
	if err != nil {
		return s.webhookProblem("keep a webhook", name, err)
	}
	a := s.newWebhookAnswer(&info)
	a.Secret = secret
	return s.writeJSON(w, a)
}

// draftMember reads a member of the object of a PUT.
func draftMember(d *webhook.Draft) func(r *event.JSONReader, name string) bool {
	return func(r *event.JSONReader, name string) bool {
		switch name {
		case "url":
			d.URL = r.String()
		case "kinds":
			d.Kinds = readNames(r, event.KindNames())
		case "verdicts":
			d.Verdicts = readNames(r, event.VerdictNames())
		case "format":
			d.Format = r.String()
		case "max_events":
			d.MaxEvents = int(r.Uint(1 << 30))
		case "max_bytes":
			d.MaxBytes = int(r.Uint(1 << 30))
		case "max_wait":
			if text := r.String(); text != "" {
				wait, err := time.ParseDuration(text)
				if err != nil {
					r.Fail("want a duration such as 500ms or 2s")
				}
				d.MaxWait = &wait
			}
		case "secret":
			d.Secret = r.String()
		default:
			return false
		}
		return true
	}
}

// readNames reads a list of some of the names that are known, without repeats.
func readNames(r *event.JSONReader, known []string) (names []string) {
	for range r.Elements() {
		name := r.String()
		switch {
		case !slices.Contains(known, name):
			r.Fail("want some of " + strings.Join(known, " "))
			return nil
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	return names
}

// readWebhook reads an object of which member reads the members, and which may say the account again. An empty body says
// nothing.
func (s *Server) readWebhook(w http.ResponseWriter, r *http.Request, account string, member func(r *event.JSONReader, name string) bool) *problem {
	if bulk, p := bodyType(r.Header); p != nil {
		return p
	} else if bulk {
		return mediaProblem("Content-Type: want application/json: this is about one webhook.")
	}
	body, p := s.readBody(w, r)
	if p != nil || len(body) == 0 {
		return p
	}
	again := account
	if p := readObject(string(body), func(r *event.JSONReader, name string) bool {
		if name == "account" {
			again = r.String()
			return true
		}
		return member(r, name)
	}); p != nil {
		return p
	}
	if again != account {
		return badField("account", "is "+quote(again)+", but the query says "+quote(account)+": say it with ?account=")
	}
	return nil
}

// deleteWebhook removes a webhook.
func (s *Server) deleteWebhook(w http.ResponseWriter, r *http.Request) *problem {
	p, account, name := s.webhookParams(r)
	if p.problem != nil {
		return p.problem
	}
	if err := s.d.Webhooks.Delete(context.WithoutCancel(s.stopping), account, name); err != nil {
		return s.webhookProblem("remove a webhook", name, err)
	}
	return s.writeJSON(w, struct {
		Account string `json:"account"`
		Name    string `json:"name"`
		Deleted bool   `json:"deleted"`
	}{account, name, true})
}

// postWebhookResume makes a webhook active again: from where it stopped, or from a cursor of events.
func (s *Server) postWebhookResume(w http.ResponseWriter, r *http.Request) *problem {
	p, account, name := s.webhookParams(r)
	if p.problem != nil {
		return p.problem
	}
	text := ""
	if p := s.readWebhook(w, r, account, func(r *event.JSONReader, name string) bool {
		if name == "cursor" {
			text = r.String()
		}
		return name == "cursor"
	}); p != nil {
		return p
	}
	var from []int64
	if text != "" {
		var problem *problem
		if from, problem = s.offsetsOf(r.Context(), text); problem != nil {
			return problem
		}
	}
	info, err := s.d.Webhooks.Resume(context.WithoutCancel(s.stopping), account, name, from)
	if err != nil {
		return s.webhookProblem("resume a webhook", name, err)
	}
	return s.writeJSON(w, s.newWebhookAnswer(&info))
}

// offsetsOf reads a cursor of events, one offset a partition.
func (s *Server) offsetsOf(ctx context.Context, text string) ([]int64, *problem) {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	defer cancel()
	m := s.eventMerger()
	if err := m.refresh(ctx); err != nil {
		return nil, s.failure("look where the log of events is", err)
	}
	if p := m.seek("cursor", text); p != nil {
		return nil, p
	}
	from := make([]int64, len(m.parts))
	for i := range m.parts {
		from[i] = m.parts[i].next
	}
	return from, nil
}
