package suppress

import (
	"math"
	"strconv"

	"carom/pipeline/event"
)

// A row of an entry, and the member "facts" of its record.

func (e *entry) appendJSON(t text) text {
	t = append(t, '{').str(`"original":`, e.Original)
	t = list(t, `"messages":`, e.Messages, (*message).appendJSON)
	t = list(t, `"hits":`, e.Hits, (*accountHits).appendJSON)
	t = list(t, `"added":`, e.Added, (*wireCause).appendJSON)
	t = list(t, `"past":`, e.Past, (*wireCause).appendJSON)
	if e.Ends != (ends{}) {
		t = append(t.name(`"ends":`), '{').millis(`"bounce":`, e.Ends.Bounce).millis(`"complaint":`, e.Ends.Complaint)
		t = append(t.millis(`"unsubscribe":`, e.Ends.Unsubscribe), '}')
	}
	t = t.millis(`"reactivated":`, e.Reactivated).millis(`"life":`, e.Life)
	t = object(object(t, `"asked":`, e.Asked), `"soft":`, e.Soft).millis(`"soft_to":`, e.SoftTo)
	t = t.flag(`"told":`, e.Told).flag(`"shared":`, e.Shared).millis(`"due":`, e.Due)
	return append(t.int(`"changed":`, int64(e.Changed)), '}')
}

func (e *entry) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "original":
			e.Original = in.String()
		case "messages":
			e.Messages = readList(in, (*message).readJSON)
		case "hits":
			e.Hits = readList(in, (*accountHits).readJSON)
		case "added":
			e.Added = readList(in, (*wireCause).readJSON)
		case "past":
			e.Past = readList(in, (*wireCause).readJSON)
		case "ends":
			e.Ends.readJSON(in)
		case "reactivated":
			e.Reactivated = millisOf(in)
		case "life":
			e.Life = millisOf(in)
		case "asked":
			e.Asked = &inquiry{}
			e.Asked.readJSON(in)
		case "soft":
			e.Soft = &softCause{}
			e.Soft.readJSON(in)
		case "soft_to":
			e.SoftTo = millisOf(in)
		case "told":
			e.Told = in.Bool()
		case "shared":
			e.Shared = in.Bool()
		case "due":
			e.Due = millisOf(in)
		case "changed":
			e.Changed = millisOf(in)
		default:
			in.Skip()
		}
	}
}

func (e *ends) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "bounce":
			e.Bounce = millisOf(in)
		case "complaint":
			e.Complaint = millisOf(in)
		case "unsubscribe":
			e.Unsubscribe = millisOf(in)
		default:
			in.Skip()
		}
	}
}

func (m *message) appendJSON(t text) text {
	t = append(t, '{').str(`"id":`, m.ID).millis(`"alive_at":`, m.AliveAt).flag(`"transactional":`, m.Spares)
	t = list(t, `"bounces":`, m.Bounces, (*bounce).appendJSON)
	t = list(t, `"complaints":`, m.Complaints, (*mark).appendJSON)
	return append(object(t.millis(`"not_spam":`, m.NotSpam), `"unsubscribe":`, m.Unsubscribe), '}')
}

func (m *message) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "id":
			m.ID = in.String()
		case "alive_at":
			m.AliveAt = millisOf(in)
		case "transactional":
			m.Spares = in.Bool()
		case "bounces":
			m.Bounces = readList(in, (*bounce).readJSON)
		case "complaints":
			m.Complaints = readList(in, (*mark).readJSON)
		case "not_spam":
			m.NotSpam = millisOf(in)
		case "unsubscribe":
			m.Unsubscribe = &mark{}
			m.Unsubscribe.readJSON(in)
		default:
			in.Skip()
		}
	}
}

func (b *bounce) appendJSON(t text) text {
	t = append(t, '{').id(`"event":`, b.ID).count(`"revision":`, int64(b.Revision)).int(`"time":`, int64(b.Time)).flag(`"hard":`, b.Hard)
	t = t.str(`"category":`, b.Category).str(`"status":`, b.Status).str(`"rule":`, b.Rule).str(`"provider":`, b.Provider)
	return append(t.str(`"diagnostic":`, b.Diagnostic).flag(`"wave":`, b.Wave).millis(`"reverted":`, b.Reverted), '}')
}

func (b *bounce) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "event":
			b.ID = in.ID()
		case "revision":
			b.Revision = uint32(in.Uint(math.MaxUint32))
		case "time":
			b.Time = millisOf(in)
		case "hard":
			b.Hard = in.Bool()
		case "category":
			b.Category = in.String()
		case "status":
			b.Status = in.String()
		case "rule":
			b.Rule = in.String()
		case "provider":
			b.Provider = in.String()
		case "diagnostic":
			b.Diagnostic = in.String()
		case "wave":
			b.Wave = in.Bool()
		case "reverted":
			b.Reverted = millisOf(in)
		default:
			in.Skip()
		}
	}
}

func (k *mark) appendJSON(t text) text {
	return append(append(t, '{').id(`"event":`, k.ID).int(`"time":`, int64(k.Time)).str(`"type":`, k.Type), '}')
}

func (k *mark) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "event":
			k.ID = in.ID()
		case "time":
			k.Time = millisOf(in)
		case "type":
			k.Type = in.String()
		default:
			in.Skip()
		}
	}
}

func (a *accountHits) appendJSON(t text) text {
	t = append(t, '{').must(`"account":`, a.Account)
	return append(list(t, `"hits":`, a.Hits, (*hit).appendJSON), '}')
}

func (a *accountHits) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "account":
			a.Account = in.String()
		case "hits":
			a.Hits = readList(in, (*hit).readJSON)
		default:
			in.Skip()
		}
	}
}

func (h *hit) appendJSON(t text) text {
	t = append(t, '{').id(`"event":`, h.ID).int(`"time":`, int64(h.Time)).str(`"category":`, h.Category)
	return append(t.str(`"status":`, h.Status).str(`"provider":`, h.Provider), '}')
}

func (h *hit) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "event":
			h.ID = in.ID()
		case "time":
			h.Time = millisOf(in)
		case "category":
			h.Category = in.String()
		case "status":
			h.Status = in.String()
		case "provider":
			h.Provider = in.String()
		default:
			in.Skip()
		}
	}
}

func (q *inquiry) appendJSON(t text) text {
	t = append(t, '{').id(`"id":`, q.ID).int(`"first":`, int64(q.First)).int(`"last":`, int64(q.Last)).millis(`"life":`, q.Life)
	t = t.count(`"partitions":`, int64(q.Partitions))
	t = list(t, `"answered":`, q.Answered, func(n *int, t text) text { return strconv.AppendInt(t, int64(*n), 10) })
	return append(t.int(`"due":`, int64(q.Due)), '}')
}

func (q *inquiry) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "id":
			q.ID = in.ID()
		case "first":
			q.First = millisOf(in)
		case "last":
			q.Last = millisOf(in)
		case "life":
			q.Life = millisOf(in)
		case "partitions":
			q.Partitions = int(in.Int())
		case "answered":
			q.Answered = readList(in, func(n *int, in *event.JSONReader) { *n = int(in.Int()) })
		case "due":
			q.Due = millisOf(in)
		default:
			in.Skip()
		}
	}
}

func (s *softCause) appendJSON(t text) text {
	t = append(t, '{').int(`"First":`, int64(s.First)).int(`"Since":`, int64(s.Since)).int(`"Until":`, int64(s.Until))
	t = t.must(`"Category":`, s.Category).must(`"Provider":`, s.Provider)
	return append(s.Evidence.appendJSON(t.name(`"Evidence":`)), '}')
}

func (s *softCause) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "First":
			s.First = millisOf(in)
		case "Since":
			s.Since = millisOf(in)
		case "Until":
			s.Until = millisOf(in)
		case "Category":
			s.Category = in.String()
		case "Provider":
			s.Provider = in.String()
		case "Evidence":
			s.Evidence.readJSON(in)
		default:
			in.Skip()
		}
	}
}
