package verdicts

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"carom/bench/node"
)

// message is one mail that is played with.
type message struct {
	script *Script
	id     string
	sentAt time.Time
	hits   []*hit
	// unsubscribes says that somebody does, with a POST; visited that somebody only looks at the page.
	unsubscribes, visited bool

	links node.Links // as registered
}

// hit is one request of the play, and what became of it.
type hit struct {
	message *message
	due     time.Duration // after the play began
	do      action
	link    int
	method  string
	agent   string
	address netip.Addr
	headers map[string]string
	truth   Truth

	at       time.Time // when it was sent
	answered time.Time
	early    string   // the verdict at once
	final    string   // the verdict after settling
	why      []string // its reasons
	repeats  bool     // the event that gave them is of a hit that it repeats
}

// planner draws what the scripts leave open.
type planner struct {
	random *rand.Rand
	run    string
	begin  time.Time
	fixed  map[*actor]*visitor // what is drawn once for a script
}

// visitor is who an actor is at one time.
type visitor struct {
	address netip.Addr
	agent   string
}

// makePlan draws a play of all scripts: its messages, and all hits by time. run tells its messages from those of other
// plays against the same node.
func makePlan(scripts []Script, seed uint64, run string, begin time.Time) ([]*message, []*hit) {
	p := &planner{
		random: rand.New(rand.NewPCG(seed, 0)), run: run, begin: begin, fixed: make(map[*actor]*visitor),
	}
	var messages []*message
	var hits []*hit
	for i := range scripts {
		for n := range scripts[i].Messages {
			m := p.message(&scripts[i], n)
			messages = append(messages, m)
			hits = append(hits, m.hits...)
		}
	}
	slices.SortStableFunc(hits, func(a, b *hit) int { return int(a.due - b.due) })
	return messages, hits
}

func (p *planner) message(s *Script, n int) *message {
	m := &message{
		script: s, id: fmt.Sprintf("%s-%s-%d@example.com", p.run, s.Name, n),
		sentAt: p.begin.Add(-p.draw(s.Sent)).Truncate(time.Millisecond),
	}
	start := p.draw(s.Start)
	for i := range s.Actors {
		a := &s.Actors[i]
		if p.happens(a.Share) {
			p.visit(m, a, start)
		}
	}
	return m
}

// visit draws all that one actor does with a message.
func (p *planner) visit(m *message, a *actor, at time.Duration) {
	who := p.visitor(a, eachMessage, nil)
	last := -1
	for i := range a.Steps {
		st := &a.Steps[i]
		if !p.happens(st.Share) {
			continue
		}
		at += p.draw(st.After)
		for _, link := range p.links(m.script, st, last) {
			for range st.Times {
				who = p.visitor(a, eachHit, who)
				m.add(&hit{
					message: m, due: at, do: st.Do, link: link, method: st.method(), agent: who.agent,
					address: who.address, headers: a.Headers, truth: st.Truth,
				})
				at += p.draw(st.Each)
			}
			last = link
		}
	}
}

func (m *message) add(h *hit) {
	m.hits = append(m.hits, h)
	m.unsubscribes = m.unsubscribes || h.do == doUnsubscribe
	m.visited = m.visited || h.do == doVisitUnsubscribe
}

// links draws the links of a step.
func (p *planner) links(s *Script, st *step, last int) []int {
	switch {
	case st.Do != doClick:
		return []int{0}
	case st.Link == linkAll:
		return p.random.Perm(s.Links)
	case st.Link == linkAnother && last >= 0 && s.Links > 1:
		return []int{(last + 1 + p.random.IntN(s.Links-1)) % s.Links}
	case st.Link == linkRandom, st.Link == linkAnother:
		return []int{p.random.IntN(s.Links)}
	}
	n, _ := strconv.Atoi(st.Link) // checked by validate
	return []int{n}
}

func (st *step) method() string {
	switch {
	case st.Method != "":
		return st.Method
	case st.Do == doUnsubscribe:
		return http.MethodPost
	}
	return http.MethodGet
}

// visitor draws an actor's address and agent: for a message if now is eachMessage, for one more hit otherwise.
func (p *planner) visitor(a *actor, now each, before *visitor) *visitor {
	fixed := p.fixed[a]
	if fixed == nil {
		fixed = &visitor{p.address(a), pick(p.random, a.Agent)}
		p.fixed[a] = fixed
	}
	v := visitor{}
	if before != nil {
		v = *before
	}
	switch {
	case a.AddressEach == eachScript:
		v.address = fixed.address
	case a.AddressEach == now || before == nil:
		v.address = p.address(a)
	}
	switch {
	case a.AgentEach == eachScript:
		v.agent = fixed.agent
	case a.AgentEach == now || before == nil:
		v.agent = pick(p.random, a.Agent)
	}
	return &v
}

// address draws an address of one of the actor's prefixes.
func (p *planner) address(a *actor) netip.Addr {
	prefix := pick(p.random, a.Address).Masked()
	b := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(b)*8; bit++ {
		if p.random.IntN(2) == 1 {
			b[bit/8] |= 0x80 >> (bit % 8)
		}
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

func (p *planner) draw(s span) time.Duration {
	if s.to == s.from {
		return s.from
	}
	return s.from + time.Duration(p.random.Int64N(int64(s.to-s.from)))
}

func (p *planner) happens(share *float64) bool { return share == nil || p.random.Float64() < *share }

func pick[T any](random *rand.Rand, all []T) T { return all[random.IntN(len(all))] }
