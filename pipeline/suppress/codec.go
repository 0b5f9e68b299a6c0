package suppress

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"carom/pipeline/event"
)

// Most of what the stage and the book do is to write and read JSON, so what comes with every fact and order is written and
// read by hand here: as encoding/json would by the types' tags, but for its escapes for HTML. All other types take that.

// encode writes what can always be written.
func encode(v any) []byte {
	if w, ok := v.(interface{ appendJSON(text) text }); ok {
		return w.appendJSON(make(text, 0, 1024))
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: a value that JSON can't hold: " + err.Error())
	}
	return b
}

// decode reads what encode wrote; unknown members are passed over.
func decode(b []byte, v any) error {
	r, ok := v.(interface{ readJSON(*event.JSONReader) })
	if !ok {
		return json.Unmarshal(b, v)
	}
	in := event.NewJSONReader(string(b)) // one copy serves all strings
	r.readJSON(&in)
	return in.End()
}

// typeOf returns of which type a record of the log is; empty if that can't be told.
func typeOf(value []byte) (name string) {
	in := event.NewJSONReader(string(value))
	for member := range in.Members() {
		if member == "type" {
			return in.String()
		}
		in.Skip()
	}
	return ""
}

// text is JSON that is being written. Names bring their quotes and colon.
type text []byte

// name begins a member.
func (t text) name(name string) text {
	if c := t[len(t)-1]; c != '{' {
		t = append(t, ',')
	}
	return append(t, name...)
}

// must appends a string, str one that is not empty.
func (t text) must(name, v string) text { return event.AppendJSONString(t.name(name), v) }

func (t text) str(name, v string) text {
	if v == "" {
		return t
	}
	return t.must(name, v)
}

func (t text) bool(name string, v bool) text { return strconv.AppendBool(t.name(name), v) }

func (t text) flag(name string, v bool) text {
	if !v {
		return t
	}
	return t.bool(name, v)
}

func (t text) int(name string, v int64) text { return strconv.AppendInt(t.name(name), v, 10) }

func (t text) count(name string, v int64) text {
	if v == 0 {
		return t
	}
	return t.int(name, v)
}

// millis appends a time as a number.
func (t text) millis(name string, v event.Millis) text { return t.count(name, int64(v)) }

func (t text) time(name string, v stamp) text {
	t = t.name(name)
	if v == 0 {
		return append(t, "null"...)
	}
	return append(event.Millis(v).AppendRFC3339(append(t, '"')), '"')
}

func (t text) moment(name string, v stamp) text {
	if v == 0 {
		return t
	}
	return t.time(name, v)
}

func (t text) id(name string, v event.ID) text {
	t, _ = v.AppendText(append(t.name(name), '"')) // which never fails
	return append(t, '"')
}

// object appends a member that may not be there.
func object[T interface {
	comparable
	appendJSON(text) text
}](t text, name string, v T,
) text {
	var none T
	if v == none {
		return t
	}
	return v.appendJSON(t.name(name))
}

// list appends a member that is an array, if there is something in it.
func list[T any](t text, name string, v []T, each func(*T, text) text) text {
	if len(v) == 0 {
		return t
	}
	t = append(t.name(name), '[')
	for i := range v {
		if i > 0 {
			t = append(t, ',')
		}
		t = each(&v[i], t)
	}
	return append(t, ']')
}

// readList reads an array.
func readList[T any](in *event.JSONReader, each func(*T, *event.JSONReader)) (list []T) {
	for range in.Elements() {
		var v T
		each(&v, in)
		list = append(list, v)
	}
	return list
}

func readStamp(in *event.JSONReader) stamp { return stamp(in.Millis()) }

func millisOf(in *event.JSONReader) event.Millis { return event.Millis(in.Int()) }

func (w *wireCause) appendJSON(t text) text { return append(w.appendMembers(append(t, '{')), '}') }

func (w *wireCause) appendMembers(t text) text {
	t = t.must(`"reason":`, string(w.Reason)).str(`"category":`, w.Category).str(`"rule":`, w.Rule)
	t = t.str(`"mailbox_provider":`, w.MailboxProvider).str(`"note":`, w.Note)
	t = t.time(`"since":`, w.Since).moment(`"until":`, w.Until).bool(`"active":`, w.Active).flag(`"quarantined":`, w.Quarantined)
	t = object(t, `"evidence":`, w.Evidence)
	return t.moment(`"ended":`, w.Ended).str(`"ended_by":`, w.EndedBy).moment(`"reactivated":`, w.Reactivated)
}

func (w *wireCause) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		w.readMember(in, name)
	}
}

func (w *wireCause) readMember(in *event.JSONReader, name string) {
	switch name {
	case "reason":
		w.Reason = Reason(in.String())
	case "category":
		w.Category = in.String()
	case "rule":
		w.Rule = in.String()
	case "mailbox_provider":
		w.MailboxProvider = in.String()
	case "note":
		w.Note = in.String()
	case "since":
		w.Since = readStamp(in)
	case "until":
		w.Until = readStamp(in)
	case "active":
		w.Active = in.Bool()
	case "quarantined":
		w.Quarantined = in.Bool()
	case "evidence":
		w.Evidence = &wireEvidence{}
		w.Evidence.readJSON(in)
	case "ended":
		w.Ended = readStamp(in)
	case "ended_by":
		w.EndedBy = in.String()
	case "reactivated":
		w.Reactivated = readStamp(in)
	default:
		in.Skip()
	}
}

func (w *wireEvidence) appendJSON(t text) text {
	t = append(t, '{').must(`"event":`, w.Event).must(`"kind":`, w.Kind).time(`"time":`, w.Time)
	return append(t.str(`"message":`, w.Message).str(`"status":`, w.Status).str(`"diagnostic":`, w.Diagnostic), '}')
}

func (w *wireEvidence) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "event":
			w.Event = in.String()
		case "kind":
			w.Kind = in.String()
		case "time":
			w.Time = readStamp(in)
		case "message":
			w.Message = in.String()
		case "status":
			w.Status = in.String()
		case "diagnostic":
			w.Diagnostic = in.String()
		default:
			in.Skip()
		}
	}
}

func (w *wireSuppression) appendJSON(t text) text {
	t = append(t, '{').must(`"type":`, w.Type).must(`"account":`, w.Account).str(`"address":`, w.Address).str(`"hash":`, w.Hash)
	t = t.str(`"original":`, w.Original).must(`"scope":`, string(w.Scope))
	t = list(w.appendMembers(t), `"others":`, w.Others, (*wireCause).appendJSON)
	if len(w.Facts) > 0 {
		t = append(t.name(`"facts":`), w.Facts...)
	}
	return append(object(t, `"origin":`, w.At), '}')
}

func (w *wireSuppression) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "type":
			w.Type = in.String()
		case "account":
			w.Account = in.String()
		case "address":
			w.Address = in.String()
		case "hash":
			w.Hash = in.String()
		case "original":
			w.Original = in.String()
		case "scope":
			w.Scope = Scope(in.String())
		case "others":
			w.Others = readList(in, (*wireCause).readJSON)
		case "facts":
			w.Facts = json.RawMessage(in.Raw())
		case "origin":
			w.At = &wirePlace{}
			w.At.readJSON(in)
		default:
			w.readMember(in, name)
		}
	}
}

func (w *wirePlace) appendJSON(t text) text {
	t = append(t, '{').int(`"addresses":`, w.Addresses).int(`"partition":`, int64(w.Partition)).int(`"offset":`, w.Offset)
	return append(t.int(`"n":`, int64(w.N)), '}')
}

func (w *wirePlace) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "addresses":
			w.Addresses = in.Int()
		case "partition":
			w.Partition = int32(in.Int())
		case "offset":
			w.Offset = in.Int()
		case "n":
			w.N = int32(in.Int())
		default:
			in.Skip()
		}
	}
}

func (w *wireOrder) appendJSON(t text) text {
	t = append(t, '{').must(`"id":`, w.ID).str(`"digest":`, w.Digest).must(`"op":`, w.Op).str(`"account":`, w.Account).str(`"address":`, w.Address)
	t = t.str(`"reason":`, string(w.Reason)).str(`"category":`, w.Category).str(`"note":`, w.Note).moment(`"until":`, w.Until)
	t = t.time(`"time":`, w.Time).str(`"actor":`, w.Actor).flag(`"confirmed":`, w.Confirmed)
	return append(object(t, `"filter":`, w.Filter), '}')
}

func (w *wireOrder) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "id":
			w.ID = in.String()
		case "digest":
			w.Digest = in.String()
		case "op":
			w.Op = in.String()
		case "account":
			w.Account = in.String()
		case "address":
			w.Address = in.String()
		case "reason":
			w.Reason = Reason(in.String())
		case "category":
			w.Category = in.String()
		case "note":
			w.Note = in.String()
		case "until":
			w.Until = readStamp(in)
		case "time":
			w.Time = readStamp(in)
		case "actor":
			w.Actor = in.String()
		case "confirmed":
			w.Confirmed = in.Bool()
		case "filter":
			w.Filter = &wireFilter{}
			w.Filter.readJSON(in)
		default:
			in.Skip()
		}
	}
}

func (w *wireFilter) appendJSON(t text) text {
	t = append(t, '{').str(`"provider":`, w.Provider).str(`"rule":`, w.Rule).str(`"category":`, w.Category)
	return append(t.moment(`"from":`, w.From).moment(`"to":`, w.To).flag(`"dry_run":`, w.DryRun), '}')
}

func (w *wireFilter) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "provider":
			w.Provider = in.String()
		case "rule":
			w.Rule = in.String()
		case "category":
			w.Category = in.String()
		case "from":
			w.From = readStamp(in)
		case "to":
			w.To = readStamp(in)
		case "dry_run":
			w.DryRun = in.Bool()
		default:
			in.Skip()
		}
	}
}

func (w *wireDecision) appendJSON(t text) text {
	t = append(t, '{').must(`"type":`, w.Type)
	t = w.Order.appendJSON(t.name(`"order":`)).time(`"made":`, w.Made).bool(`"ok":`, w.OK).str(`"rule":`, w.Rule)
	t = t.moment(`"possible_at":`, w.PossibleAt).str(`"title":`, w.Title).str(`"detail":`, w.Detail)
	t = object(t, `"suppression":`, w.Suppression)
	if len(w.Counts) > 0 {
		t = append(t.name(`"counts":`), '{')
		for _, name := range slices.Sorted(maps.Keys(w.Counts)) {
			t = append(event.AppendJSONString(t.name(""), name), ':')
			t = strconv.AppendInt(t, w.Counts[name], 10)
		}
		t = append(t, '}')
	}
	return append(object(t, `"origin":`, w.At), '}')
}

// decisionHead is by what a decision is found.
type decisionHead struct {
	id      event.ID
	account string
	made    event.Millis
}

func readDecisionHead(value []byte) (d decisionHead, err error) {
	in := event.NewJSONReader(string(value))
	for name := range in.Members() {
		switch name {
		case "order":
			for name := range in.Members() {
				switch name {
				case "id":
					d.id = in.ID()
				case "account":
					d.account = in.String()
				default:
					in.Skip()
				}
			}
		case "made":
			d.made = in.Millis()
		default:
			in.Skip()
		}
	}
	if err = in.End(); err == nil && d.id == (event.ID{}) {
		err = errOrder
	}
	return d, err
}

func (w *wireDecision) readJSON(in *event.JSONReader) {
	for name := range in.Members() {
		switch name {
		case "type":
			w.Type = in.String()
		case "order":
			w.Order = &wireOrder{}
			w.Order.readJSON(in)
		case "made":
			w.Made = readStamp(in)
		case "ok":
			w.OK = in.Bool()
		case "rule":
			w.Rule = in.String()
		case "possible_at":
			w.PossibleAt = readStamp(in)
		case "title":
			w.Title = in.String()
		case "detail":
			w.Detail = in.String()
		case "suppression":
			w.Suppression = &wireSuppression{}
			w.Suppression.readJSON(in)
		case "counts":
			w.Counts = make(map[string]int64)
			for name := range in.Members() {
				w.Counts[name] = in.Int()
			}
		case "origin":
			w.At = &wirePlace{}
			w.At.readJSON(in)
		default:
			in.Skip()
		}
	}
}
