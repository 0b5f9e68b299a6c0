package bot

import (
	"net/http"

	"carom/pipeline/event"
)

// Rules judge requests. They are immutable, but for a cache, and safe for concurrent use.
type Rules struct {
	agents   agents
	headers  headers
	networks *networks
	summary  Summary
}

const (
	// maxAgent bounds the work on one agent, in bytes; what follows is not looked at.
	maxAgent = 2048
	// methodCode is the reason of a verdict on a request that isn't GET. It is no rule of a file, because no operator
	// could mean anything else by it.
	methodCode = "method"
)

// MaxReasons is how many reasons Judge gives at most: method, header, network, agent, the network that an agent's rule
// asks for, and weights.
const MaxReasons = 5 + maxWeights

// Judge says who made an open or a click, as far as the request alone tells, and which verdict it would be soon after
// the message's delivery. The reasons are appended to dst, which has room for them if its capacity is MaxReasons. It
// keeps nothing of req.
func (r *Rules) Judge(kind event.Kind, req *event.Request, dst []string) (event.Actor, event.Soon) {
	h := opens
	if kind == event.Click {
		h = clicks
	}
	place := r.networks.find(h, req.IP)
	agent := r.agents.find(h, req, place.parts)
	header := r.headers.find(h, req)

	verdict := worse(place.verdict(h), agent.verdict(h))
	if v := header.verdict(h); v != event.NoVerdict {
		verdict = v
	}
	method := req.Method != http.MethodGet
	if method {
		verdict = event.Scanner
	}
	if verdict == event.NoVerdict {
		verdict = event.Human
	}

	actor := event.Actor{Verdict: verdict}
	var soon event.Soon
	if method {
		dst = append(dst, methodCode)
	}
	if header.verdict(h) == verdict {
		dst = append(dst, header.rule.code)
	}
	network := ""
	if place.verdict(h) == verdict {
		network, soon = place.rule.code, place.rule.soon
		dst = append(dst, network)
	}
	if agent != nil {
		actor.Via = agent.via
		if agent.verdicts[h] == verdict {
			dst = append(dst, agent.code)
			if agent.network != "" && agent.network != network {
				network = agent.network
				dst = append(dst, network)
			}
			if soon == (event.Soon{}) {
				soon = agent.soon
			}
		}
	}
	if place.weighs(h) && place.rule.code != network {
		dst = append(dst, place.rule.code)
	}
	dst = header.appendWeights(dst)
	actor.Reasons = dst
	if verdict.Machine() {
		soon = event.Soon{}
	}
	return actor, soon
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
	code     string
	verdicts [hits]event.Verdict // NoVerdict where the line says nothing
	weighs   [hits]bool          // where it only adds its code to the reasons
	soon     event.Soon
	via      string
	network  string // the code of the network that it asks for, which then is a reason too
}

// says reports whether the rule has anything to say about such hits.
func (r *rule) says(h hit) bool { return r.verdicts[h] != event.NoVerdict || r.weighs[h] }

func (r *rule) verdict(h hit) event.Verdict {
	if r == nil {
		return event.NoVerdict
	}
	return r.verdicts[h]
}

// severity orders the verdicts from good to bad.
var severity = [...]int{event.NoVerdict: 0, event.Human: 1, event.Unknown: 2, event.Proxy: 3, event.Scanner: 4, event.Self: 0}

func worse(a, b event.Verdict) event.Verdict {
	if severity[b] > severity[a] {
		return b
	}
	return a
}
