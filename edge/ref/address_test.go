package ref

import (
	"errors"
	"strings"
	"testing"

	"carom/pipeline/event"
)

var addressPurposes = []Purpose{ReturnPath, ReplyTo, MailtoUnsubscribe}

func TestOpenAddress(t *testing.T) {
	k := keyring(t, "1 seal")
	for _, key := range []event.Key{{}, event.KeyOf("acme", "m-1"), {0: 0xff, 15: 0xff}} {
		for _, made := range addressPurposes {
			token := string(k.SealAddress([]byte("b-"), made, key))[2:]
			if len(token) != AddressTokenLen || AddressTokenLen != 45 || token != strings.ToLower(token) {
				t.Errorf("token %q", token)
			}
			mixed := strings.ToUpper(token[:20]) + token[20:]
			for _, text := range []string{token, strings.ToUpper(token), mixed} {
				for p := range 256 {
					got, err := k.OpenAddress(Purpose(p), text)
					if Purpose(p) == made && (err != nil || got != key) {
						t.Errorf("%c %q: %v, %v", p, text, got, err)
					} else if Purpose(p) != made && !errors.Is(err, ErrForged) {
						t.Errorf("%c opened as %q: %v", made, rune(p), err)
					}
				}
			}
		}
	}
}

func TestOpenAddressRefusesEveryChange(t *testing.T) {
	k := keyring(t, "1 seal", "2 open")
	token := string(k.SealAddress(nil, ReturnPath, event.KeyOf("acme", "m-1")))
	for i := range len(token) {
		for b := range 256 {
			changed := token[:i] + string([]byte{byte(b)}) + token[i+1:]
			key, err := k.OpenAddress(ReturnPath, changed)
			if same := strings.EqualFold(changed, token); same != (err == nil) {
				t.Errorf("%q for %q at %d: %v", rune(b), token[i], i, err)
			}
			if err != nil && key != (event.Key{}) {
				t.Errorf("a refused token gives the key %v", key)
			}
		}
	}
}

func TestSealAddressKnowsItsPurposes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("sealed an address for a click")
		}
	}()
	keyring(t, "1 seal").SealAddress(nil, Click, event.Key{})
}
