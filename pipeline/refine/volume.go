package refine

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/provider"
)

// Volumes are told when a minute of log time is over, or so many entries wait; and those of a provider before each hard
// bounce there, which would otherwise be compared with too little: a campaign sends most of its mail within a minute.
const (
	volumeEvery   = 60_000
	maxVolumes    = 1024
	hourMillis    = 3_600_000
	maxVolumeBody = 7 << 10 // of one fact; the provider that comes last may be as long as a domain
)

// volume collects how many messages were sent. It is one row:
//
//	byte 0       format: 1
//	bytes 1-8    when its timer is due
//	bytes 9-16   the offset of its timer
//	then         the number of entries (uvarint), and of each, by hour and provider,
//	             hour (uvarint), provider: length (uvarint) and bytes, messages (uvarint)
type volume struct {
	timer   timerKey
	sent    map[volumeKey]uint64
	changed bool
}

type volumeKey struct {
	hour     int64 // since 1970
	provider string
}

const volumeFormat = 1

func (k volumeKey) compare(l volumeKey) int {
	return cmp.Or(cmp.Compare(k.hour, l.hour), cmp.Compare(k.provider, l.provider))
}

// countSent counts a message that was registered as sent just now.
func (p *Partition) countSent(s *state) error {
	name := provider.OfAddress(s.recipient)
	if name == "" {
		return nil
	}
	v := &p.volume
	if v.timer == (timerKey{}) {
		v.timer = timerKey{due: (p.now.at/volumeEvery + 1) * volumeEvery, offset: p.now.offset, what: timerVolume}
		if err := p.timers.add(p.step.batch, timer{timerKey: v.timer}); err != nil {
			return err
		}
	}
	v.sent[volumeKey{int64(s.ref.SentAt) / hourMillis, name}]++
	v.changed = true
	if len(v.sent) < maxVolumes {
		return nil
	}
	if err := p.timers.remove(p.step.batch, v.timer); err != nil {
		return err
	}
	p.tellVolumes()
	return nil
}

// tellVolumes tells all that was counted. The timer has fired, or is removed.
func (p *Partition) tellVolumes() {
	p.tellVolume("")
	p.volume.timer, p.volume.changed = timerKey{}, true
}

// tellVolume tells the log of addresses what was counted of a provider, or of all, in as many facts as it takes.
func (p *Partition) tellVolume(of string) {
	v := &p.volume
	var body []byte
	last := int64(-1)
	end := func() {
		if len(body) == 0 {
			return
		}
		p.tellAddress(&event.AddressFact{
			ID: p.toldID(event.Volume), Kind: event.Volume, Time: p.now.at, Body: append(body, `}}]}`...),
		}, "")
		body, last = nil, -1
	}
	for _, k := range v.sorted(of) {
		if len(body) > maxVolumeBody {
			end()
		}
		switch {
		case last < 0:
			body = append(body, `{"hours":[{"hour":"`...)
		case last != k.hour:
			body = append(body, `}},{"hour":"`...)
		}
		if last != k.hour {
			body = event.Millis(k.hour*hourMillis).Time().AppendFormat(body, "2006-01-02T15:04:05Z")
			body = append(body, `","sent":{`...)
		} else {
			body = append(body, ',')
		}
		last = k.hour
		// Names of providers have nothing that JSON escapes.
		body = append(append(append(body, '"'), k.provider...), `":`...)
		body = strconv.AppendUint(body, v.sent[k], 10)
		delete(v.sent, k)
		v.changed = true
	}
	end()
}

// sorted returns the entries of a provider, or of all.
func (v *volume) sorted(of string) []volumeKey {
	var keys []volumeKey
	for k := range v.sent {
		if of == "" || k.provider == of {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, volumeKey.compare)
	return keys
}

func (v *volume) write(keys keyspace, b *kv.Batch) error {
	if !v.changed {
		return nil
	}
	v.changed = false
	key := keys.table(nil, tableVolume)
	if v.timer == (timerKey{}) {
		return b.Delete(key, nil)
	}
	dst := []byte{volumeFormat}
	dst = binary.BigEndian.AppendUint64(dst, uint64(v.timer.due))
	dst = binary.BigEndian.AppendUint64(dst, uint64(v.timer.offset))
	dst = binary.AppendUvarint(dst, uint64(len(v.sent)))
	for _, k := range v.sorted("") {
		dst = binary.AppendUvarint(dst, uint64(k.hour))
		dst = binary.AppendUvarint(dst, uint64(len(k.provider)))
		dst = append(dst, k.provider...)
		dst = binary.AppendUvarint(dst, v.sent[k])
	}
	if err := b.Set(key, dst, nil); err != nil {
		return fmt.Errorf("write volume: %w", err)
	}
	return nil
}

// loadVolume reads what write wrote.
func (p *Partition) loadVolume() error {
	p.volume = volume{sent: make(map[volumeKey]uint64)}
	value, ok, err := p.store.Get(nil, p.keys.table(nil, tableVolume))
	if err != nil || !ok {
		return err
	}
	return p.volume.decode(value)
}

func (v *volume) decode(b []byte) error {
	if err := checkFormat("volume", b, volumeFormat); err != nil {
		return err
	}
	d := decoder{rest: b[1:], text: string(b[1:])}
	v.timer = timerKey{due: event.Millis(d.uint64()), offset: int64(d.uint64()), what: timerVolume}
	v.sent = make(map[volumeKey]uint64)
	for range d.uvarint(maxVolumes) {
		k := volumeKey{hour: int64(d.uvarint(maxMillis / hourMillis)), provider: d.string(maxText)}
		v.sent[k] = d.uvarint(1<<63 - 1)
	}
	return d.finish("volume")
}
