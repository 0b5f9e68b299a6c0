package suppress

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"carom/kv"
	"carom/pipeline/event"
)

// maxWaitingOfMessage bounds the facts that wait for one message.
const maxWaitingOfMessage = 64

// wait keeps a fact until somebody registers its message. No account may take more room than it leaves: so whoever comes
// finds some.
func (p *Partition) wait(f *event.AddressFact) error {
	if f.Kind == event.Sent {
		return nil
	}
	of, err := p.waitingOf(f.Account)
	if err != nil {
		return err
	}
	if of >= int64(p.o.MaxWaiting)-p.at.waiting {
		p.metrics.skipped.WithLabelValues(skipFull).Inc()
		return nil
	}
	prefix := p.waitingPrefix(f.Account, f.Message)
	n := 0
	err = p.scan(prefix, kv.PrefixEnd(prefix), func(_, _ []byte) (bool, error) { n++; return n < maxWaitingOfMessage, nil })
	if err != nil || n >= maxWaitingOfMessage {
		p.metrics.skipped.WithLabelValues(skipFull).Inc()
		return err
	}
	f.Contact, f.Reported = "", "" // whom it is about, the sent fact says
	if p.o.HashOnly {
		f.Bounce.Diagnostic = ""
	}
	return p.setWaiting(f)
}

// setWaiting writes a fact that waits, and publishes it for a worker that takes over.
func (p *Partition) setWaiting(f *event.AddressFact) error {
	key, value := p.waitingKey(f), f.AppendJSON(nil)
	known, err := p.get(key)
	if err != nil {
		return err
	}
	if known == nil {
		if err := p.countWaiting(f.Account, 1); err != nil {
			return err
		}
		if err := p.due(p.at.time.Add(p.o.WaitFor), dueWaiting, key); err != nil {
			return err
		}
	}
	p.publishOwn(waitingKey(f), &wireWaiting{typeWaiting, value})
	return p.set(key, value)
}

// unwait drops a fact that waits no longer.
func (p *Partition) unwait(key, value []byte) error {
	var f event.AddressFact
	if err := f.DecodeJSON(value); err != nil {
		return fmt.Errorf("read a fact that waited: %w", err)
	}
	p.publishOwn(waitingKey(&f), nil)
	if err := p.countWaiting(f.Account, -1); err != nil {
		return err
	}
	return p.drop(key)
}

// release hears what waited for f's message.
func (p *Partition) release(f *event.AddressFact) error {
	if p.at.waiting == 0 {
		return nil
	}
	prefix := p.waitingPrefix(f.Account, f.Message)
	var keys, values [][]byte
	err := p.scan(prefix, kv.PrefixEnd(prefix), func(key, value []byte) (bool, error) {
		keys, values = append(keys, key), append(values, value)
		return true, nil
	})
	if err != nil {
		return err
	}
	for i := range keys {
		value, err := openRow(values[i])
		if err != nil {
			return err
		}
		var waited event.AddressFact
		if err := waited.DecodeJSON(value); err != nil {
			return fmt.Errorf("read a fact that waited: %w", err)
		}
		waited.Ref, waited.Recipient = f.Ref, f.Recipient
		if err := p.apply(&waited); err != nil {
			return err
		}
		if err := p.unwait(keys[i], value); err != nil {
			return err
		}
	}
	return nil
}

// waitingKey is the row of a fact that waits: those of a message in the order in which they came.
func (p *Partition) waitingKey(f *event.AddressFact) []byte {
	key := p.waitingPrefix(f.Account, f.Message)
	for _, n := range []int64{int64(f.Origin.Partition), f.Origin.Offset, int64(f.Origin.N)} {
		key = kv.AppendUint64(key, uint64(n))
	}
	return key
}

func (p *Partition) waitersKey(account string) []byte {
	return kv.AppendName(p.table(tableWaiters), account)
}

// waitingOf returns how many facts of an account wait.
func (p *Partition) waitingOf(account string) (int64, error) {
	row, err := p.get(p.waitersKey(account))
	if err != nil || row == nil {
		return 0, err
	}
	if len(row) != 8 {
		return 0, errRow
	}
	return int64(binary.BigEndian.Uint64(row)), nil
}

func (p *Partition) countWaiting(account string, more int64) error {
	n, err := p.waitingOf(account)
	if err != nil {
		return err
	}
	p.at.waiting += more
	if n += more; n <= 0 {
		return p.drop(p.waitersKey(account))
	}
	return p.set(p.waitersKey(account), kv.AppendUint64(nil, uint64(n)))
}

// wireWaiting is a fact that waits, as the log of suppressions has it.
type wireWaiting struct {
	Type string          `json:"type"`
	Fact json.RawMessage `json:"fact"`
}

// waitingKey is the key of such a record: waiting/account/message/origin, all escaped.
func waitingKey(f *event.AddressFact) []byte {
	return fmt.Appendf(nil, "%s%s/%s/%d-%d-%d", keyWaiting, url.QueryEscape(f.Account), url.QueryEscape(f.Message), f.Origin.Partition, f.Origin.Offset, f.Origin.N)
}

// cutWaitingKey reads what waitingKey wrote: of the fact what names it.
func cutWaitingKey(key []byte) (f event.AddressFact, ok bool) {
	parts := strings.Split(strings.TrimPrefix(string(key), keyWaiting), "/")
	if !bytes.HasPrefix(key, []byte(keyWaiting)) || len(parts) != 3 {
		return f, false
	}
	origin := strings.Split(parts[2], "-")
	if len(origin) != 3 {
		return f, false
	}
	var n [3]int64
	for i := range origin {
		v, err := strconv.ParseInt(origin[i], 10, 64)
		if err != nil {
			return f, false
		}
		n[i] = v
	}
	f.Origin = event.Origin{Partition: int32(n[0]), Offset: n[1], N: int32(n[2])}
	var err1, err2 error
	f.Account, err1 = url.QueryUnescape(parts[0])
	f.Message, err2 = url.QueryUnescape(parts[1])
	return f, err1 == nil && err2 == nil
}
