package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"carom/pipeline/refine"

	"golang.org/x/sync/errgroup"
)

// messagesHere lists the messages that this node has.
func (s *Server) messagesHere(q refine.ListQuery) (refine.ListPage, error) {
	if s.d.Contacts == nil {
		return refine.ListPage{}, ErrNotReady
	}
	return s.d.Contacts.List(q)
}

// contactsHere lists the contacts of the messages that this node has.
func (s *Server) contactsHere(q refine.ListQuery) (refine.ContactsPage, error) {
	if s.d.Contacts == nil {
		return refine.ContactsPage{}, ErrNotReady
	}
	return s.d.Contacts.Contacts(q)
}

// gatherMessages lists messages of the whole cluster.
func (s *Server) gatherMessages(ctx context.Context, q refine.ListQuery) (messagesPage, error) {
	pages, err := gatherLists(ctx, s, func() (refine.ListPage, error) { return s.messagesHere(q) },
		func(ctx context.Context, p *peer) (refine.ListPage, error) { return p.messages(ctx, q) })
	if err != nil {
		return messagesPage{}, err
	}
	page := refine.MergeList(q.Limit, pages)
	return newMessagesPage(&page), nil
}

// gatherContacts lists the contacts of messages of the whole cluster.
func (s *Server) gatherContacts(ctx context.Context, q refine.ListQuery) (contactsPage, error) {
	pages, err := gatherLists(ctx, s, func() (refine.ContactsPage, error) { return s.contactsHere(q) },
		func(ctx context.Context, p *peer) (refine.ContactsPage, error) { return p.contacts(ctx, q) })
	if err != nil {
		return contactsPage{}, err
	}
	page := refine.MergeContacts(q.Limit, pages)
	return newContactsPage(&page), nil
}

// gatherLists asks all nodes that have messages, at the same time. One that is away spoils all.
func gatherLists[P any](ctx context.Context, s *Server, own func() (P, error), ask func(context.Context, *peer) (P, error)) ([]P, error) {
	if s.d.Cluster == nil {
		page, err := own()
		return []P{page}, err
	}
	pages := make([]P, len(s.d.Cluster.Refiners))
	asked, ctx := errgroup.WithContext(ctx)
	for i, place := range s.d.Cluster.Refiners {
		asked.Go(func() (err error) {
			if place == s.d.Cluster.Self {
				pages[i], err = own()
				return err
			}
			p, err := s.peers.at(place)
			if err != nil {
				return err
			}
			pages[i], err = ask(ctx, p)
			return err
		})
	}
	return pages, asked.Wait()
}

// messages asks the worker for its part of a page.
func (p *peer) messages(ctx context.Context, q refine.ListQuery) (refine.ListPage, error) {
	var told messagesPage
	if err := p.list(ctx, "/v1/peer/messages", q, &told); err != nil {
		return refine.ListPage{}, err
	}
	page := told.page(q.Account)
	if !isPage(q, page.Places, page.Next, refine.MaxListPlaceBytes) {
		return page, p.away("bad", "answered a list of messages that can't be")
	}
	return page, nil
}

// contacts asks the worker for its part of a page.
func (p *peer) contacts(ctx context.Context, q refine.ListQuery) (refine.ContactsPage, error) {
	var told contactsPage
	if err := p.list(ctx, "/v1/peer/contacts", q, &told); err != nil {
		return refine.ContactsPage{}, err
	}
	page := told.page()
	if !isPage(q, page.Places, page.Next, refine.MaxContactPlaceBytes) {
		return page, p.away("bad", "answered a list of contacts that can't be")
	}
	return page, nil
}

// isPage reports whether a page is what was asked for: without it, a list could come to no end.
func isPage(q refine.ListQuery, places []string, next string, size int) bool {
	all := append([]string{q.After}, places...)
	if next != "" && len(places) > 0 && next < places[len(places)-1] || next != "" && next <= q.After || len(places) > q.Limit {
		return false
	}
	for i, place := range all[1:] {
		if len(place) != size || place <= all[i] {
			return false
		}
	}
	return next == "" || len(next) == size
}

func (p *peer) list(ctx context.Context, path string, q refine.ListQuery, into any) error {
	v := url.Values{"account": {q.Account}, "limit": {strconv.Itoa(q.Limit)}}
	for name, value := range map[string]string{
		"sender": q.Sender, "sequence": q.Sequence, "contact": q.Contact, "status": q.Status, "after": q.After,
		"from": formatMillis(q.From), "to": formatMillis(q.To),
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	answer, err := p.get(ctx, path+"?"+v.Encode(), maxPeerAnswer)
	if err != nil {
		return err
	}
	if answer.status != http.StatusOK {
		var told problem
		if !answer.isJSON() || json.Unmarshal(answer.body, &told) != nil || told.Status != answer.status {
			return p.away("bad", "answered "+strconv.Itoa(answer.status)+" with no problem object")
		}
		return &problemError{&told}
	}
	if answer.header.Get("Content-Type") != jsonType || json.Unmarshal(answer.body, into) != nil {
		return p.away("bad", "answered something else than a list")
	}
	return nil
}
