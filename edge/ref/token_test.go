package ref

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"carom/pipeline/event"
)

var urlPurposes = []Purpose{OpenPixel, Click, Unsubscribe, Header}

func TestOpenGivesWhatWasSealed(t *testing.T) {
	k := keyring(t, "1 seal")
	seed := [2]uint64{rand.Uint64(), rand.Uint64()}
	t.Logf("seed %#x", seed)
	rnd := rand.New(rand.NewPCG(seed[0], seed[1]))
	var o Opened
	for range 2000 {
		p := urlPurposes[rnd.IntN(len(urlPurposes))]
		want := randomRef(rnd, p)
		if err := k.Open(p, sealed(t, k, p, want), &o); err != nil {
			t.Fatalf("%c %+v: %v", p, want, err)
		}
		if o.Ref != want || o.Key != event.KeyOf(want.Account, want.Message) {
			t.Fatalf("%c: opened\n%+v, want\n%+v", p, o.Ref, want)
		}
	}
}

// randomRef returns a normalised ref that can be sealed for a purpose.
func randomRef(rnd *rand.Rand, p Purpose) event.Ref {
	text := func(least, most int) string {
		const runes = "ab1-@. <>/é✉😀"
		var b strings.Builder
		for n := least + rnd.IntN(most-least+1); b.Len() < n; {
			b.WriteRune([]rune(runes)[rnd.IntN(len([]rune(runes)))])
		}
		return b.String()
	}
	r := event.Ref{
		Account: text(0, 60), Sender: text(1, 60), Sequence: text(0, 60), Contact: text(0, 60), Message: "m" + text(0, 200) + "m",
		SentAt: event.Millis(rnd.Int64N(int64(maxMillis))), Flags: event.Flags(rnd.Uint32()),
	}
	if p == Click {
		r.Link, r.URL = rnd.Uint32()>>rnd.IntN(32), "https://example.com/"+strings.NewReplacer(" ", "+").Replace(text(0, 300))+"\x80\xff"
	}
	normalise(&r, p)
	return r
}

func TestSealAppends(t *testing.T) {
	k := keyring(t, "1 seal")
	const before = "https://track.example.com/c/"
	a, err := k.Seal([]byte(before), Click, &typical)
	if err != nil {
		t.Fatal(err)
	}
	token, ok := bytes.CutPrefix(a, []byte(before))
	if !ok {
		t.Fatalf("%q", a)
	}
	var o Opened
	if err := k.Open(Click, token, &o); err != nil || o.Ref != typical {
		t.Errorf("%+v, %v", o.Ref, err)
	}
	if b := sealed(t, k, Click, typical); bytes.Equal(b, token) {
		t.Error("two tokens with the same nonce")
	}
	// What Seal leaves behind the text is no plaintext.
	if bytes.Contains(a[:cap(a)], []byte(typical.URL)) || bytes.Contains(a[:cap(a)], []byte(typical.Sender)) {
		t.Error("the plaintext is still in the buffer")
	}
}

func TestSealRefuses(t *testing.T) {
	k := keyring(t, "1 seal")
	for _, c := range invalidRefs() {
		var r event.Ref
		if !parsePlain(c.plain, &r) {
			continue // nothing that a Ref could say
		}
		dst, err := k.Seal([]byte("x"), c.p, &r)
		if want := refusals[c.err]; !errors.Is(err, want) || string(dst) != "x" {
			t.Errorf("%s: %q, %v, want %v", c.name, dst, err, want)
		}
	}
	for _, p := range []Purpose{ReturnPath, ReplyTo, 0, 'O'} {
		if _, err := k.Seal(nil, p, &typical); !errors.Is(err, ErrInvalid) {
			t.Errorf("purpose %q: %v", byte(p), err)
		}
	}
}

func TestOpenIgnoresGif(t *testing.T) {
	k := keyring(t, "1 seal")
	for _, p := range urlPurposes {
		err := k.Open(p, append(sealed(t, k, p, typical), ".gif"...), new(Opened))
		if p == OpenPixel && err != nil || p != OpenPixel && !errors.Is(err, ErrMalformed) {
			t.Errorf("%c: %v", p, err)
		}
	}
	if err := k.Open(OpenPixel, []byte(".gif"), new(Opened)); !errors.Is(err, ErrMalformed) {
		t.Errorf(".gif alone: %v", err)
	}
}

func TestNoTokenServesForAnotherPurpose(t *testing.T) {
	k := keyring(t, "1 seal")
	for _, made := range urlPurposes {
		token := sealed(t, k, made, typical)
		for p := range 256 {
			err := k.Open(Purpose(p), token, new(Opened))
			if Purpose(p) == made && err != nil || Purpose(p) != made && !errors.Is(err, ErrForged) {
				t.Errorf("%c opened as %q: %v", made, rune(p), err)
			}
		}
	}
}

// Any change of any character is refused: those of bits, those to characters outside the alphabet, and those that a lax
// decoder reads as the same bytes.
func TestOpenRefusesEveryChange(t *testing.T) {
	k := keyring(t, "1 seal", "2 open")
	// Tokens of three lengths in a row, so that each number of bits behind the last byte occurs.
	for n := range 3 {
		r := typical
		r.Contact = strings.Repeat("c", 1+n)
		token := sealed(t, k, Click, r)
		c := make([]byte, len(token))
		var o Opened
		for i := range token {
			for b := range 256 {
				if byte(b) == token[i] {
					continue
				}
				copy(c, token)
				c[i] = byte(b)
				if err := k.Open(Click, c, &o); err == nil {
					t.Fatalf("opened with %q for %q at %d of %d", rune(b), token[i], i, len(token))
				}
			}
			if err := k.Open(Click, token[:i], &o); err == nil {
				t.Errorf("opened cut to %d of %d", i, len(token))
			}
		}
		if o.Ref != (event.Ref{}) || o.Key != (event.Key{}) {
			t.Errorf("a refused token leaves %+v", o.Ref)
		}
	}
}

// A refusal leaves nothing of the token opened before, or of one that turned out to be unacceptable.
func TestOpenedIsEmptyAfterARefusal(t *testing.T) {
	k := keyring(t, vectorKeys...)
	good := sealed(t, k, OpenPixel, typical)
	for _, c := range invalidRefs() {
		var o Opened
		if err := k.Open(OpenPixel, good, &o); err != nil {
			t.Fatal(err)
		}
		if err := k.Open(c.p, []byte(text64(rawToken(t, 255, c.p, c.plain))), &o); err == nil {
			t.Errorf("%s: opened", c.name)
		}
		if o.Ref != (event.Ref{}) || o.Key != (event.Key{}) {
			t.Errorf("%s: left %+v", c.name, o.Ref)
		}
	}
}

func TestKeyStates(t *testing.T) {
	old := keyring(t, "1 seal")
	token := sealed(t, old, Click, typical)
	address := string(old.SealAddress(nil, ReturnPath, event.KeyOf("a", "m")))
	for _, c := range []struct {
		keys []string
		want error
	}{
		{[]string{"1 seal"}, nil},
		{[]string{"1 open", "2 seal"}, nil},
		{[]string{"1 retired", "2 seal"}, ErrRetired},
		{[]string{"2 seal"}, ErrUnknownKey},
	} {
		k := keyring(t, c.keys...)
		if err := k.Open(Click, token, new(Opened)); !errors.Is(err, c.want) {
			t.Errorf("%q: URL token: %v, want %v", c.keys, err, c.want)
		}
		if _, err := k.OpenAddress(ReturnPath, address); !errors.Is(err, c.want) {
			t.Errorf("%q: address token: %v, want %v", c.keys, err, c.want)
		}
	}
}

// Other minters may write fields in any order, write them twice, and know fields that this one doesn't.
func TestOpenReadsProtobufAsOthersWriteIt(t *testing.T) {
	k := keyring(t, "255 seal")
	plain := []byte{
		0x48, 4, // flags
		0x2a, 2, 'm', '0', // message, which comes again
		0x9a, 0x06, 3, 'n', 'e', 'w', // field 99, text
		0xa0, 0x06, 0x7f, // field 100, a number
		0x2a, 3, 'm', '-', '1',
		0x12, 5, 'a', 'l', 'i', 'c', 'e',
		0x0a, 0, // account, empty but there
	}
	var o Opened
	if err := k.Open(Header, []byte(text64(rawToken(t, 255, Header, plain))), &o); err != nil {
		t.Fatal(err)
	}
	if want := (event.Ref{Account: DefaultAccount, Sender: "alice", Message: "m-1", Flags: event.Shared}); o.Ref != want {
		t.Errorf("opened %+v, want %+v", o.Ref, want)
	}
}

func TestLongestToken(t *testing.T) {
	k := keyring(t, "1 seal")
	r := event.Ref{
		Account: strings.Repeat("a", 128), Sender: strings.Repeat("s", 128), Sequence: "q", Contact: strings.Repeat("c", 127),
		Message: strings.Repeat("m", 128), Link: 1<<32 - 1, URL: "https://example.com/?" + strings.Repeat("x", MaxURL-21), SentAt: maxMillis, Flags: 1<<32 - 1,
	}
	token := sealed(t, k, Click, r)
	if len(token) > MaxTokenLen {
		t.Errorf("%d characters, more than MaxTokenLen %d", len(token), MaxTokenLen)
	}
	var o Opened
	if err := k.Open(Click, token, &o); err != nil || o.Ref != r {
		t.Error(err)
	}
	// The buffer grew for it, and goes on serving short ones.
	if err := k.Open(OpenPixel, sealed(t, k, OpenPixel, typical), &o); err != nil || o.Ref.Sender != typical.Sender {
		t.Error(err)
	}
}

func TestKeyringIsSafeForConcurrentUse(t *testing.T) {
	k := keyring(t, "1 seal")
	shared := sealed(t, k, Click, typical)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var o Opened
			for range 200 {
				for _, token := range [][]byte{shared, sealed(t, k, Click, typical)} {
					if err := k.Open(Click, token, &o); err != nil || o.Ref != typical {
						t.Errorf("%+v, %v", o.Ref, err)
						return
					}
				}
				key, err := k.OpenAddress(ReplyTo, string(k.SealAddress(nil, ReplyTo, o.Key)))
				if err != nil || key != o.Key {
					t.Errorf("address: %v, %v", key, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
