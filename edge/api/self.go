package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"carom/edge/ref"
	"carom/pipeline/control"
	"carom/pipeline/event"
)

// senderParams reads what paths below a sender have in common.
func senderParams(r *http.Request, known ...string) (p *params, account, sender string) {
	p = readParams(r, append(known, "account")...)
	account, sender = p.account(), p.pathText(r, "sender", maxID)
	return p, account, sender
}

// postSelf answers the link by which a sender marks a browser as its own.
func (s *Server) postSelf(w http.ResponseWriter, r *http.Request) *problem {
	p, account, sender := senderParams(r)
	if p.problem != nil {
		return p.problem
	}
	if p := s.readSender(w, r, account, nil); p != nil {
		return p
	}
	if !s.d.SelfOpens {
		return newProblem(http.StatusConflict, "self-off", "Browsers can't be marked",
			"track.self is false: set it to true on all nodes, and the link leads somewhere.")
	}
	url, err := s.d.Minter.SelfURL(account, sender)
	switch {
	case errors.Is(err, ref.ErrInvalid):
		return badField("sender", strings.TrimPrefix(err.Error(), ref.ErrInvalid.Error()+": "))
	case err != nil:
		return s.fail("mint a link", err)
	}
	return s.writeJSON(w, struct {
		SelfURL string `json:"self_url"`
	}{url})
}

// ownAddresses are those of a sender, as they were told.
type ownAddresses struct {
	Account   string   `json:"account"`
	Sender    string   `json:"sender"`
	Addresses []string `json:"addresses"`
	Since     string   `json:"since,omitempty"`
}

// getAddresses answers the addresses of a sender that were told here; the settings may have more.
func (s *Server) getAddresses(w http.ResponseWriter, r *http.Request) *problem {
	p, account, sender := senderParams(r, "as_of")
	p.asOf(s.d.Clock())
	switch {
	case p.problem != nil:
		return p.problem
	case s.d.Controls == nil:
		return notReadyHere("It can't tell a sender's addresses")
	}
	c, _, err := s.d.Controls.Get(control.Self, account, sender)
	if err != nil {
		return s.failure("read a sender's addresses", err)
	}
	return s.writeAddresses(w, account, sender, c.Values, c.Since)
}

func (s *Server) writeAddresses(w http.ResponseWriter, account, sender string, list []string, since event.Millis) *problem {
	a := ownAddresses{Account: account, Sender: sender, Addresses: orEmpty(list)}
	if since != 0 {
		a.Since = since.Time().Format(timeLayout)
	}
	return s.writeJSON(w, a)
}

// maxOwnAddresses bounds the addresses of one sender: Accept looks through them.
const maxOwnAddresses = 64

// putAddresses puts a list in the place of what was told before.
func (s *Server) putAddresses(w http.ResponseWriter, r *http.Request) *problem {
	p, account, sender := senderParams(r)
	if p.problem != nil {
		return p.problem
	}
	var list []string
	told := false
	if p := s.readSender(w, r, account, func(r *event.JSONReader) {
		told = true
		for range r.Elements() {
			if len(list) == maxOwnAddresses {
				r.Fail("more than " + strconv.Itoa(maxOwnAddresses) + " addresses: want ranges")
				return
			}
			list = append(list, r.String())
		}
	}); p != nil {
		return p
	}
	if !told {
		return missingField("addresses", `want a list of addresses and ranges, such as ["203.0.113.7","2001:db8::/48"]`)
	}
	for i, text := range list {
		prefix, err := event.ParseSelfAddress(text)
		if err != nil {
			return badField("addresses["+strconv.Itoa(i)+"]", err.Error())
		}
		list[i] = prefix.String()
	}
	slices.Sort(list)
	return s.changeAddresses(w, account, sender, slices.Compact(list))
}

// deleteAddresses takes back what was told; what the settings say stays.
func (s *Server) deleteAddresses(w http.ResponseWriter, r *http.Request) *problem {
	p, account, sender := senderParams(r)
	if p.problem != nil {
		return p.problem
	}
	return s.changeAddresses(w, account, sender, nil)
}

func (s *Server) changeAddresses(w http.ResponseWriter, account, sender string, list []string) *problem {
	if s.d.Controls == nil {
		return notReadyHere("It can't keep a sender's addresses")
	}
	c := control.Control{Kind: control.Self, Account: account, Name: sender, Values: list, Since: event.FromTime(s.d.Clock())}
	change := s.d.Controls.Set
	if len(list) == 0 {
		change, c.Since = s.d.Controls.Remove, 0
	}
	// Not with the request's context: whether the client still waits is no matter once it was asked for.
	switch err := change(context.WithoutCancel(s.stopping), c); {
	case err == nil:
		return s.writeAddresses(w, account, sender, list, c.Since)
	default:
		if p := controlProblem(err); p != nil {
			return p
		}
		return s.failure("keep a sender's addresses", err)
	}
}

// readSender reads a body that may say the account again, and the addresses where there is a reader for them. An empty
// one says nothing.
func (s *Server) readSender(w http.ResponseWriter, r *http.Request, account string, addresses func(*event.JSONReader)) *problem {
	if bulk, p := bodyType(r.Header); p != nil {
		return p
	} else if bulk {
		return mediaProblem("Content-Type: want application/json: this is about one sender.")
	}
	body, p := s.readBody(w, r)
	if p != nil || len(body) == 0 {
		return p
	}
	again := account
	if p := readObject(string(body), func(r *event.JSONReader, name string) bool {
		switch {
		case name == "account":
			again = r.String()
		case name == "addresses" && addresses != nil:
			addresses(r)
		default:
			return false
		}
		return true
	}); p != nil {
		return p
	}
	if again != account {
		return badField("account", "is "+quote(again)+", but the query says "+quote(account)+": say it with ?account=")
	}
	return nil
}
