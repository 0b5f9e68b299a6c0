package targets

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	rnd "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// MintedOptions say what the minted hits are.
type MintedOptions struct {
	Path    string  // before /o/ and /c/: that of the node's track.base_url, as a rule empty
	Clicks  float64 // share of clicks, 0 to 1; the others are opens
	Repeats float64 // share of hits that repeat the one before them on their connection, by the same client, 0 to 1
}

// Minted are hits with references that are minted for them, each of a new message: every request is a new event. They
// are minted in advance, so that asking costs no more than a copy.
type Minted struct {
	options MintedOptions
	keys    *ref.Keyring
	run     string // tells this run's messages from all others'

	batches chan *batch
	ended   chan struct{}
	closing sync.Once

	mu    sync.Mutex // guards what follows
	spent time.Duration
	made  int64
}

// batch is a run of hits in one piece of memory.
type batch struct {
	text []byte
	ends []uint32 // of each path in text
	kind []HitKind
	from uint32 // the client of the first
}

// How much is minted in advance: 65,536 hits, some 15 MB. A batch takes some 25 µs, in which a request may have to wait.
const (
	batchHits     = 16
	batchesBefore = 4096
)

// landing is where the clicks lead.
const landing = "https://example.com/"

// NewMinted starts to mint. Close ends that.
func NewMinted(keys *ref.Keyring, o MintedOptions) (*Minted, error) {
	if !(o.Clicks >= 0 && o.Clicks <= 1) {
		return nil, fmt.Errorf("clicks: %g: want a share from 0 to 1", o.Clicks)
	}
	if !(o.Repeats >= 0 && o.Repeats <= 1) {
		return nil, fmt.Errorf("repeats: %g: want a share from 0 to 1", o.Repeats)
	}
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	m := &Minted{
		options: o, keys: keys, run: hex.EncodeToString(id[:]),
		batches: make(chan *batch, batchesBefore), ended: make(chan struct{}),
	}
	first, err := m.mint(0)
	if err != nil {
		return nil, err
	}
	m.batches <- first
	go m.mintAll()
	return m, nil
}

// mintAll mints until Close.
func (m *Minted) mintAll() {
	for n := int64(batchHits); ; n += batchHits {
		// A batch is short: that the scheduler moves this goroutine to another thread meanwhile is rare, and then the batch
		// is left out.
		began := threadTime()
		b, err := m.mint(n)
		if err != nil {
			panic("BUG: a reference can't be minted any more: " + err.Error()) // the first could
		}
		if took := threadTime() - began; took > 0 && took < time.Millisecond {
			m.mu.Lock()
			m.spent += took
			m.made += batchHits
			m.mu.Unlock()
		}
		select {
		case m.batches <- b:
		case <-m.ended:
			close(m.batches)
			return
		}
	}
}

// mint makes the hits from a number on.
func (m *Minted) mint(from int64) (*batch, error) {
	b := &batch{text: make([]byte, 0, batchHits*192), ends: make([]uint32, 0, batchHits), kind: make([]HitKind, 0, batchHits), from: uint32(from)}
	message := make([]byte, 0, 64)
	for n := from; n < from+batchHits; n++ {
		message = append(append(message[:0], "bench-"...), m.run...)
		message = strconv.AppendInt(append(message, '-'), n, 10)
		r := event.Ref{Account: "default", Sender: "bench", Message: string(message)}
		r.Contact = r.Message
		kind, purpose := Open, ref.OpenPixel
		b.text = append(b.text, m.options.Path...)
		if rnd.Float64() < m.options.Clicks {
			kind, purpose, r.URL = Click, ref.Click, landing
			b.text = append(b.text, "/c/"...)
		} else {
			b.text = append(b.text, "/o/"...)
		}
		var err error
		if b.text, err = m.keys.Seal(b.text, purpose, &r); err != nil {
			return nil, fmt.Errorf("mint a reference: %w", err)
		}
		if kind == Open {
			b.text = append(b.text, ".gif"...)
		}
		b.ends = append(b.ends, uint32(len(b.text)))
		b.kind = append(b.kind, kind)
	}
	return b, nil
}

// Close ends the minting. Connections that still ask get what they had last.
func (m *Minted) Close() { m.closing.Do(func() { close(m.ended) }) }

// Cost is the CPU time that minting a hit takes; 0 where that can't be measured.
func (m *Minted) Cost() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spent / time.Duration(max(m.made, 1))
}

// Hits returns what one connection asks.
func (m *Minted) Hits() Hits { return &mintedHits{m: m} }

type mintedHits struct {
	m    *Minted
	b    *batch
	next int
	last Hit
}

func (h *mintedHits) Next(into *Hit) {
	if repeats := h.m.options.Repeats; repeats > 0 && h.last.Path != nil && rnd.Float64() < repeats {
		*into = h.last
		return
	}
	if h.b == nil || h.next == len(h.b.ends) {
		if b := <-h.m.batches; b != nil {
			h.b, h.next = b, 0
		} else if h.b == nil {
			panic("BUG: hits are asked for after Close and before any was")
		} else {
			h.next = 0
		}
	}
	begin := uint32(0)
	if h.next > 0 {
		begin = h.b.ends[h.next-1]
	}
	h.last = Hit{Kind: h.b.kind[h.next], Path: h.b.text[begin:h.b.ends[h.next]], Client: h.b.from + uint32(h.next)}
	h.next++
	*into = h.last
}
