package bot

import (
	"net/http"

	"carom/pipeline/event"
)

// Rules judge requests. They are immutable and safe for concurrent use.
type Rules struct {
	agents  agents
	headers headers
	reasons reasons
}

// maxAgent bounds the work on one agent, in bytes; what follows is not looked at.
const maxAgent = 2048

// Judge says who made an open or a click, as far as the request alone tells. The actor's reasons are shared: they must
// not be written to. It keeps nothing of req.
func (r *Rules) Judge(kind event.Kind, req *event.Request) event.Actor {
	h := opens
	if kind == event.Click {
		h = clicks
	}
	agent := r.agents.find(h, req)
	header := r.headers.find(h, req.Purpose)
	method := req.Method != http.MethodGet

	actor := event.Actor{Verdict: event.Human}
	if agent != nil {
		actor.Verdict, actor.Via = agent.verdicts[h], agent.via
	}
	// What a request says of itself, by its method or its headers, outweighs what its agent looks like.
	if header != nil {
		actor.Verdict = header.verdicts[h]
	}
	if method {
		actor.Verdict = event.Scanner
	}
	actor.Reasons = r.reasons.of(method, header.supports(h, actor.Verdict), agent.supports(h, actor.Verdict))
	return actor
}

// hit is what is judged: an open or a click.
type hit int

const (
	opens hit = iota
	clicks
	hits // how many there are
)

// rule is a line of a data file, as far as Judge needs it.
type rule struct {
	code     codeID
	verdicts [hits]event.Verdict // NoVerdict where the line says nothing
	via      string
}

// supports returns the rule's code if its verdict is v, and noCode otherwise.
func (r *rule) supports(h hit, v event.Verdict) codeID {
	if r == nil || r.verdicts[h] != v {
		return noCode
	}
	return r.code
}
